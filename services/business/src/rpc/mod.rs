//! gRPC: proto to command, call, result to proto. No rule of the business, no SQL, no cache.

pub mod convert;
pub mod data;
pub mod import;
pub mod json;
pub mod object_type;
pub mod operation;
pub mod record;
pub mod watch;

use crate::app::once::Once;
use prost::Message;
use tenantry_kernel::{Error, Result};
use uuid::Uuid;

/// The idempotency key of a request. `bare` is the request without it: what a repetition must agree with.
fn once(method: &'static str, request_id: &str, bare: &impl Message) -> Result<Option<Once>> {
    Once::new("business", method, request_id, &bare.encode_to_vec())
}

/// `objectTypes/{type}`: a type that no type can be called is simply not there.
fn type_id(field: &str, name: &str) -> Result<String> {
    let shape = || Error::invalid_field(field, "must be objectTypes/{type}");
    let ids = tenantry_api::parse_name("objectTypes/*", name).ok_or_else(shape)?;
    known_type(ids[0])
}

fn known_type(id: &str) -> Result<String> {
    if crate::domain::ident::is_id(id) {
        Ok(id.to_owned())
    } else {
        Err(Error::not_found())
    }
}

/// `objectTypes/{type}/records/{record}`
fn record_name(field: &str, name: &str) -> Result<(String, Uuid)> {
    let shape = || Error::invalid_field(field, "must be objectTypes/{type}/records/{record}");
    let ids = tenantry_api::parse_name("objectTypes/*/records/*", name).ok_or_else(shape)?;
    Ok((known_type(ids[0])?, ids[1].parse().map_err(|_| Error::not_found())?))
}

/// `imports/{import}`
fn import_name(name: &str) -> Result<Uuid> {
    let ids = tenantry_api::parse_name("imports/*", name)
        .ok_or_else(|| Error::invalid_field("name", "must be imports/{import}"))?;
    ids[0].parse().map_err(|_| Error::not_found())
}

/// `operations/business-{id}`
fn operation_name(name: &str) -> Result<Uuid> {
    tenantry_operations::wire::id("business", name)
}
