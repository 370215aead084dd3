//! gRPC: proto to command, call, result to proto. No rules, no SQL.

pub mod fleet;
pub mod operation;
pub mod snapshot;

use crate::app::once::Once;
use chrono::{DateTime, Utc};
use prost::Message;
use prost_types::Timestamp;
use std::time::SystemTime;
use tenantry_kernel::{Error, Result};
use uuid::Uuid;

/// The idempotency key of a request. `bare` is the request without it: what a repetition must agree with.
fn once(method: &'static str, request_id: &str, bare: &impl Message) -> Result<Option<Once>> {
    Once::new("backup", method, request_id, &bare.encode_to_vec())
}

/// `snapshots/{snapshot}`
fn snapshot_name(name: &str) -> Result<Uuid> {
    let ids = tenantry_api::parse_name("snapshots/*", name)
        .ok_or_else(|| Error::invalid_field("name", "must be snapshots/{snapshot}"))?;
    ids[0].parse().map_err(|_| Error::not_found())
}

/// `operations/backup-{id}`
fn operation_name(name: &str) -> Result<Uuid> {
    tenantry_operations::wire::id("backup", name)
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    SystemTime::from(time).into()
}
