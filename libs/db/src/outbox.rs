//! Messages that leave with a transaction: inserted in it, published later by the relay, so that an effect and its
//! message stand or fall together. A crash may send one twice, never zero times.

mod backlog;

use crate::{Statements, error::map_error, query};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::Row;
use std::time::Duration;
use tenantry_kernel::{Result, TenantId};
use uuid::Uuid;

/// One message on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxMessage {
    /// Message id, time-ordered; the consumer's inbox knows it.
    pub id: Uuid,
    /// The tenant it is about; `None` for the platform.
    pub tenant: Option<TenantId>,
    /// Exchange to publish to.
    pub exchange: String,
    /// Routing key.
    pub routing_key: String,
    /// CloudEvents `type`.
    pub kind: String,
    /// CloudEvents `subject`; empty = none.
    pub subject: String,
    /// Media type of `payload`.
    pub content_type: String,
    /// The body.
    pub payload: Vec<u8>,
    /// Further headers, a JSON object of strings.
    pub headers: Value,
    /// W3C trace context of the request that caused it.
    pub traceparent: Option<String>,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// How often a relay took it; set by [`claim_batch`].
    pub attempts: i32,
}

impl OutboxMessage {
    /// A message with a protobuf body, no subject and no further headers; change the public fields for more.
    pub fn new(
        id: Uuid,
        time: DateTime<Utc>,
        tenant: Option<TenantId>,
        exchange: &str,
        routing_key: &str,
        kind: &str,
        payload: Vec<u8>,
    ) -> Self {
        Self {
            id,
            tenant,
            exchange: exchange.to_owned(),
            routing_key: routing_key.to_owned(),
            kind: kind.to_owned(),
            subject: String::new(),
            content_type: "application/protobuf".to_owned(),
            payload,
            headers: Value::Object(serde_json::Map::new()),
            traceparent: None,
            time,
            attempts: 0,
        }
    }
}

/// Puts `message` into `<schema>.outbox`, in the transaction of its effect.
///
/// # Errors
/// As every statement. In a tenant transaction the message must name that tenant.
pub async fn insert(tx: &mut impl Statements, schema: &'static str, message: &OutboxMessage) -> Result<()> {
    let sql = format!(
        "INSERT INTO {schema}.outbox (id, tenant_id, exchange, routing_key, type, subject, content_type, payload, headers, traceparent, create_time) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    );
    let insert = query(sql)
        .bind(message.id)
        .bind(message.tenant.map(TenantId::uuid))
        .bind(&message.exchange)
        .bind(&message.routing_key)
        .bind(&message.kind)
        .bind(&message.subject)
        .bind(&message.content_type)
        .bind(&message.payload)
        .bind(&message.headers)
        .bind(&message.traceparent)
        .bind(message.time);
    tx.execute(insert).await.map(|_| ())
}

/// Takes up to `limit` due messages, in turns over the tenants, and hides them for `lease`: a relay that dies gives
/// them back by itself. Commit before publishing, so that no lock is held over the network.
///
/// # Errors
/// As every statement.
pub async fn claim_batch(
    tx: &mut impl Statements,
    schema: &'static str,
    limit: u32,
    lease: Duration,
) -> Result<Vec<OutboxMessage>> {
    let sql = format!(
        "WITH due AS (SELECT o.id, o.tenant_id, o.next_time FROM {schema}.outbox o WHERE o.next_time <= pg_catalog.now() \
                      ORDER BY o.next_time, o.id LIMIT $1 * 20), \
              fair AS (SELECT d.id, pg_catalog.row_number() OVER (PARTITION BY d.tenant_id ORDER BY d.next_time, d.id) AS turn FROM due d), \
              picked AS (SELECT o.id FROM {schema}.outbox o JOIN fair f ON f.id = o.id WHERE o.next_time <= pg_catalog.now() \
                         ORDER BY f.turn, o.id LIMIT $1 FOR UPDATE OF o SKIP LOCKED) \
         UPDATE {schema}.outbox o SET attempts = o.attempts + 1, next_time = pg_catalog.now() + pg_catalog.make_interval(secs => $2) \
         FROM picked p WHERE o.id = p.id \
         RETURNING o.id, o.tenant_id, o.exchange, o.routing_key, o.type, o.subject, o.content_type, o.payload, o.headers, o.traceparent, o.create_time, o.attempts"
    );
    let rows = tx
        .fetch_all(query(sql).bind(i64::from(limit)).bind(lease.as_secs_f64()))
        .await?;
    let mut messages = rows
        .iter()
        .map(decode)
        .collect::<sqlx::Result<Vec<_>>>()
        .map_err(map_error)?;
    messages.sort_by_key(|message| message.id);
    backlog::measure(tx, schema).await?;
    Ok(messages)
}

/// Forgets published messages.
///
/// # Errors
/// As every statement.
pub async fn delete_sent(tx: &mut impl Statements, schema: &'static str, ids: &[Uuid]) -> Result<u64> {
    tx.execute(query(format!("DELETE FROM {schema}.outbox WHERE id = ANY($1)")).bind(ids))
        .await
}

/// Makes claimed messages due again after `delay`: the broker did not take them.
///
/// # Errors
/// As every statement.
pub async fn release(tx: &mut impl Statements, schema: &'static str, ids: &[Uuid], delay: Duration) -> Result<u64> {
    let sql = format!(
        "UPDATE {schema}.outbox SET next_time = pg_catalog.now() + pg_catalog.make_interval(secs => $2) WHERE id = ANY($1)"
    );
    tx.execute(query(sql).bind(ids).bind(delay.as_secs_f64())).await
}

fn decode(row: &sqlx::postgres::PgRow) -> sqlx::Result<OutboxMessage> {
    Ok(OutboxMessage {
        id: row.try_get("id")?,
        tenant: row.try_get::<Option<Uuid>, _>("tenant_id")?.map(TenantId::from_uuid),
        exchange: row.try_get("exchange")?,
        routing_key: row.try_get("routing_key")?,
        kind: row.try_get("type")?,
        subject: row.try_get("subject")?,
        content_type: row.try_get("content_type")?,
        payload: row.try_get("payload")?,
        headers: row.try_get("headers")?,
        traceparent: row.try_get("traceparent")?,
        time: row.try_get("create_time")?,
        attempts: row.try_get("attempts")?,
    })
}
