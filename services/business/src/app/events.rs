//! Domain events: what has happened, for whoever reads along. Each is written to the outbox in the transaction of what it
//! tells, and carries names, never values.

use super::Parts;
use crate::store::SCHEMA;
use tenantry_db::{
    Statements,
    outbox::{self, OutboxMessage},
};
use tenantry_kernel::{Ctx, Result, TenantId};

/// The shared exchange of events and who reads it.
const EXCHANGE: &str = "tenantry.events";
const READER: &str = "monitoring";

/// A type was made.
pub const TYPE_CREATED: &str = "tenantry.business.object_type.created";
/// A type was changed.
pub const TYPE_UPDATED: &str = "tenantry.business.object_type.updated";
/// A type was dropped.
pub const TYPE_DELETED: &str = "tenantry.business.object_type.deleted";
/// An import has written its last row.
pub const IMPORT_FINISHED: &str = "tenantry.business.import.finished";

/// An event of a request.
///
/// # Errors
/// As every statement.
pub async fn emit(parts: &Parts, tx: &mut impl Statements, ctx: &Ctx, kind: &str, subject: String) -> Result<()> {
    let traceparent = ctx.traceparent().map(str::to_owned);
    emit_for(parts, tx, ctx.tenant()?, traceparent, kind, subject).await
}

/// An event of a job.
///
/// # Errors
/// As every statement.
pub async fn emit_for(
    parts: &Parts,
    tx: &mut impl Statements,
    tenant: TenantId,
    traceparent: Option<String>,
    kind: &str,
    subject: String,
) -> Result<()> {
    let message = OutboxMessage {
        subject,
        traceparent,
        content_type: "application/json".to_owned(),
        ..OutboxMessage::new(
            parts.ids.new_v7(),
            parts.clock.now(),
            Some(tenant),
            EXCHANGE,
            READER,
            kind,
            b"{}".to_vec(),
        )
    };
    outbox::insert(tx, SCHEMA, &message).await
}
