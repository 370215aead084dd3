//! Our outbox as the relay of `libs/messaging` sees it.

use crate::store::{SCHEMA, Store};
use std::{collections::BTreeMap, time::Duration};
use tenantry_db::outbox::{self, OutboxMessage};
use tenantry_kernel::Result;
use tenantry_messaging::{Message, OutboxSource};
use uuid::Uuid;

/// A relay that dies with a batch gives it back after this time.
const LEASE: Duration = Duration::from_secs(30);
/// After the broker refused: it is probably away, and back within seconds.
const AGAIN: Duration = Duration::from_secs(1);

/// See the module.
pub struct Outbox(Store);

impl Outbox {
    /// Over the store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }
}

impl OutboxSource for Outbox {
    async fn claim(&self, limit: u32) -> Result<Vec<Message>> {
        let mut tx = self.0.begin_job("outbox relay").await?;
        let batch = outbox::claim_batch(&mut tx, SCHEMA, limit, LEASE).await?;
        tx.commit().await?;
        Ok(batch.into_iter().map(message).collect())
    }
    async fn done(&self, ids: Vec<Uuid>) -> Result<()> {
        let mut tx = self.0.begin_job("outbox relay").await?;
        outbox::delete_sent(&mut tx, SCHEMA, &ids).await?;
        tx.commit().await
    }
    async fn failed(&self, ids: Vec<Uuid>, _error: &str) -> Result<()> {
        let mut tx = self.0.begin_job("outbox relay").await?;
        outbox::release(&mut tx, SCHEMA, &ids, AGAIN).await?;
        tx.commit().await
    }
}

fn message(row: OutboxMessage) -> Message {
    Message {
        id: row.id,
        exchange: row.exchange,
        routing_key: row.routing_key,
        kind: row.kind,
        subject: row.subject,
        tenant: row.tenant,
        time: row.time,
        content_type: row.content_type,
        payload: row.payload,
        headers: BTreeMap::new(), // ours have none
        traceparent: row.traceparent,
    }
}
