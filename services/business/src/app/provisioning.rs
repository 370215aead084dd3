//! The steps of the tenant sagas that are done here. Effect, inbox entry and reply are one transaction: a command that
//! comes again gets the same reply and does nothing.

use super::Parts;
use crate::store::{self, SCHEMA};
use std::time::Duration;
use tenantry_db::{RetryPolicy, SystemTx, inbox, outbox, outbox::OutboxMessage, retry};
use tenantry_kernel::{Error, Reason, Result, TenantId};
use uuid::Uuid;

const CONSUMER: &str = "saga";
const DDL_RETRY: RetryPolicy = RetryPolicy {
    attempts: 10,
    base: Duration::from_millis(100),
    max: Duration::from_secs(2),
};

/// Where replies go.
#[derive(Clone, Debug)]
pub struct ReplyTo {
    /// Exchange of replies.
    pub exchange: String,
    /// CloudEvents type.
    pub kind: &'static str,
}

/// One command.
#[derive(Clone, Debug)]
pub struct Command {
    /// The same for every resend.
    pub id: Uuid,
    /// Whose data.
    pub tenant: TenantId,
    /// Of the request that began the saga.
    pub traceparent: Option<String>,
}

/// What one chunk of a drop does.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Mark,
    Tables,
    Rows,
}

/// Provisions and drops tenants' schemas.
#[derive(Clone, Debug)]
pub struct Provisioning {
    parts: Parts,
    reply_to: ReplyTo,
}

impl Provisioning {
    /// Over shared parts.
    #[must_use]
    pub fn new(parts: Parts, reply_to: ReplyTo) -> Self {
        Self { parts, reply_to }
    }

    /// Answers a command that was handled before; whether it was.
    ///
    /// # Errors
    /// As every statement.
    pub async fn repeat(&self, command: &Command) -> Result<bool> {
        let mut tx = self.parts.store.begin_ddl("saga_repeat").await?;
        let Some(reply) = inbox::seen(&mut tx, SCHEMA, CONSUMER, command.id).await? else {
            return Ok(false);
        };
        self.send(&mut tx, command, reply).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Makes the schema and replies `done`; a tenant whose data was dropped is refused with `FAILED_PRECONDITION`.
    ///
    /// # Errors
    /// As every statement.
    pub async fn provision(&self, command: &Command, done: &[u8]) -> Result<()> {
        retry("provision_data", DDL_RETRY, || async {
            let mut tx = self.parts.store.begin_ddl("provision_data").await?;
            store::provision::create(&mut tx, command.tenant).await?;
            self.settle(tx, command, done).await
        })
        .await
    }

    /// Drops everything of the tenant and replies `done`. Large tenants go in chunks; only the last one replies.
    ///
    /// # Errors
    /// As every statement.
    pub async fn drop_data(&self, command: &Command, done: &[u8]) -> Result<()> {
        let tenant = command.tenant;
        self.step(tenant, Piece::Mark).await?;
        super::restores::sweep(&self.parts.store, Some(tenant)).await?;
        while self.step(tenant, Piece::Tables).await? > 0 {}
        while self.step(tenant, Piece::Rows).await? > 0 {}
        retry("drop_data", DDL_RETRY, || async {
            let mut tx = self.parts.store.begin_ddl("drop_data").await?;
            store::provision::drop_schema(&mut tx, &tenant.schema()).await?;
            // What a request wrote between the chunks.
            while store::provision::delete_rows(&mut tx, tenant).await? > 0 {}
            self.settle(tx, command, done).await
        })
        .await
    }

    /// Replies that nothing was done.
    ///
    /// # Errors
    /// As every statement.
    pub async fn refuse(&self, command: &Command, failed: &[u8]) -> Result<()> {
        let tx = self.parts.store.begin_ddl("saga_refuse").await?;
        self.settle(tx, command, failed).await
    }

    /// One chunk in a transaction of its own; how much was or is to be done.
    async fn step(&self, tenant: TenantId, piece: Piece) -> Result<i64> {
        retry("drop_data_chunk", DDL_RETRY, || async {
            let mut tx = self.parts.store.begin_ddl("drop_data").await?;
            let count = match piece {
                Piece::Mark => store::provision::mark_dropped(&mut tx, tenant).await.map(|()| 0)?,
                Piece::Tables => store::provision::drop_tables(&mut tx, &tenant.schema()).await?,
                Piece::Rows => i64::try_from(store::provision::delete_rows(&mut tx, tenant).await?).unwrap_or(1),
            };
            tx.commit().await.map(|()| count)
        })
        .await
    }

    async fn settle(&self, mut tx: SystemTx, command: &Command, reply: &[u8]) -> Result<()> {
        inbox::record(&mut tx, SCHEMA, CONSUMER, command.id, reply).await?;
        self.send(&mut tx, command, reply.to_vec()).await?;
        tx.commit().await
    }

    async fn send(&self, tx: &mut SystemTx, command: &Command, reply: Vec<u8>) -> Result<()> {
        let message = OutboxMessage {
            id: self.parts.ids.new_v7(),
            tenant: Some(command.tenant),
            exchange: self.reply_to.exchange.clone(),
            routing_key: "registry".to_owned(),
            kind: self.reply_to.kind.to_owned(),
            subject: format!("tenants/{}", command.tenant),
            content_type: "application/protobuf".to_owned(),
            payload: reply,
            headers: serde_json::json!({}),
            traceparent: command.traceparent.clone(),
            attempts: 0,
            time: self.parts.clock.now(),
        };
        outbox::insert(tx, SCHEMA, &message).await
    }
}

/// Whether a command can never succeed.
#[must_use]
pub fn is_permanent(error: &Error) -> bool {
    error.reason() == Reason::FailedPrecondition
}
