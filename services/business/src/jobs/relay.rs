//! Publishes what the outbox of the data database holds.

use crate::store::{SCHEMA, Store};
use std::time::Duration;
use tenantry_db::outbox;
use tenantry_kernel::Result;
use tenantry_messaging::{Message, OutboxSource};
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(1);

/// The outbox as the relay sees it.
#[derive(Debug)]
pub struct Outbox(pub Store);

impl OutboxSource for Outbox {
    async fn claim(&self, limit: u32) -> Result<Vec<Message>> {
        let mut tx = self.0.begin_system("outbox_relay").await?;
        let rows = outbox::claim_batch(&mut tx, SCHEMA, limit, LEASE).await?;
        tx.commit().await?;
        Ok(rows.into_iter().map(message).collect())
    }
    async fn done(&self, ids: Vec<Uuid>) -> Result<()> {
        let mut tx = self.0.begin_system("outbox_relay").await?;
        outbox::delete_sent(&mut tx, SCHEMA, &ids).await?;
        tx.commit().await
    }
    async fn failed(&self, ids: Vec<Uuid>, _error: &str) -> Result<()> {
        let mut tx = self.0.begin_system("outbox_relay").await?;
        outbox::release(&mut tx, SCHEMA, &ids, AGAIN).await?;
        tx.commit().await
    }
}

fn message(row: outbox::OutboxMessage) -> Message {
    let headers = row.headers.as_object().map(|map| {
        map.iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect()
    });
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
        headers: headers.unwrap_or_default(),
        traceparent: row.traceparent,
    }
}
