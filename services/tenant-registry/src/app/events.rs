//! Domain events: what has happened to a tenant, for whoever reads along. Each is written to the outbox in the transaction
//! of what it tells.

use crate::{domain::Verb, store::SCHEMA};
use chrono::{DateTime, Utc};
use tenantry_db::{
    SystemTx,
    outbox::{self, OutboxMessage},
};
use tenantry_kernel::{Result, TenantId};
use uuid::Uuid;

/// The shared exchange of events and who reads it.
const EXCHANGE: &str = "tenantry.events";
const READER: &str = "monitoring";

/// A tenant is served for the first time.
pub const CREATED: &str = "tenantry.registry.tenant.created";
/// Its row is gone.
pub const PURGED: &str = "tenantry.registry.tenant.purged";

/// What a verb that takes effect at once is told as. Creation and purge are told when they are done.
#[must_use]
pub const fn of(verb: Verb) -> Option<&'static str> {
    match verb {
        Verb::Suspend => Some("tenantry.registry.tenant.suspended"),
        Verb::Resume => Some("tenantry.registry.tenant.resumed"),
        Verb::Delete => Some("tenantry.registry.tenant.deleted"),
        Verb::Undelete => Some("tenantry.registry.tenant.undeleted"),
        Verb::Create | Verb::Purge => None,
    }
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Message id.
    pub id: Uuid,
    /// When.
    pub time: DateTime<Utc>,
    /// The tenant.
    pub tenant: TenantId,
    /// CloudEvents type.
    pub kind: &'static str,
    /// Trace of the request that caused it.
    pub traceparent: Option<&'a str>,
}

impl Event<'_> {
    /// Into the outbox.
    ///
    /// # Errors
    /// As every statement.
    pub async fn write(&self, tx: &mut SystemTx) -> Result<()> {
        let tenant = Some(self.tenant);
        let message = OutboxMessage {
            subject: format!("tenants/{}", self.tenant),
            content_type: "application/json".to_owned(),
            traceparent: self.traceparent.map(str::to_owned),
            ..OutboxMessage::new(self.id, self.time, tenant, EXCHANGE, READER, self.kind, b"{}".to_vec())
        };
        outbox::insert(tx, SCHEMA, &message).await
    }
}
