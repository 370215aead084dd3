//! The outbox of schema `auth` as the relay sees it.

use crate::store::{SCHEMA, Store};
use std::{collections::BTreeMap, time::Duration};
use tenantry_db::outbox;
use tenantry_kernel::Result;
use tenantry_messaging::{Message, OutboxSource};
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(1);

/// See the module.
pub struct Outbox {
    store: Store,
}

impl Outbox {
    /// Over the system login.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl OutboxSource for Outbox {
    async fn claim(&self, limit: u32) -> Result<Vec<Message>> {
        let mut tx = self.store.begin_system("relay").await?;
        let messages = outbox::claim_batch(&mut tx, SCHEMA, limit, LEASE).await?;
        tx.commit().await?;
        Ok(messages.into_iter().map(convert).collect())
    }
    async fn done(&self, ids: Vec<Uuid>) -> Result<()> {
        let mut tx = self.store.begin_system("relay").await?;
        outbox::delete_sent(&mut tx, SCHEMA, &ids).await?;
        tx.commit().await
    }
    async fn failed(&self, ids: Vec<Uuid>, _error: &str) -> Result<()> {
        let mut tx = self.store.begin_system("relay").await?;
        outbox::release(&mut tx, SCHEMA, &ids, AGAIN).await?;
        tx.commit().await
    }
}

fn convert(message: outbox::OutboxMessage) -> Message {
    let headers: BTreeMap<String, String> = serde_json::from_value(message.headers).unwrap_or_default();
    Message {
        id: message.id,
        exchange: message.exchange,
        routing_key: message.routing_key,
        kind: message.kind,
        subject: message.subject,
        tenant: message.tenant,
        time: message.time,
        content_type: message.content_type,
        payload: message.payload,
        headers,
        traceparent: message.traceparent,
    }
}
