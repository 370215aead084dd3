//! What a consumer has already done, written in the transaction of the effect: a redelivered message is answered from
//! here instead of done twice.

use crate::{Statements, error::map_error, query};
use sqlx::Row;
use tenantry_kernel::{Result, TenantId};
use uuid::Uuid;

/// The recorded reply, if `consumer` has handled `message_id` before; an effect without a reply recorded an empty one.
///
/// # Errors
/// As every statement.
pub async fn seen(
    tx: &mut impl Statements,
    schema: &'static str,
    consumer: &str,
    message_id: Uuid,
) -> Result<Option<Vec<u8>>> {
    let sql = format!("SELECT reply FROM {schema}.inbox WHERE consumer = $1 AND message_id = $2");
    let row = tx.fetch_optional(query(sql).bind(consumer).bind(message_id)).await?;
    row.map(|row| row.try_get("reply")).transpose().map_err(map_error)
}

/// Records the reply. Two consumers of one message meet here: the second gets `CONFLICT`, rolls back and is redelivered.
///
/// # Errors
/// `CONFLICT` where it is recorded already; else as every statement.
pub async fn record(
    tx: &mut impl Statements,
    schema: &'static str,
    consumer: &str,
    message_id: Uuid,
    reply: &[u8],
) -> Result<()> {
    let sql = format!(
        "INSERT INTO {schema}.inbox (tenant_id, consumer, message_id, reply) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
    );
    let tenant = tx.tenant_opt().map(TenantId::uuid);
    let done = tx
        .execute(query(sql).bind(tenant).bind(consumer).bind(message_id).bind(reply))
        .await?;
    if done == 1 {
        return Ok(());
    }
    Err(tenantry_kernel::Error::new(
        tenantry_kernel::Reason::Conflict,
        "The message was handled concurrently. It will be delivered again.",
    ))
}

/// Forgets entries older than `seconds`: longer than any message can be redelivered.
///
/// # Errors
/// As every statement.
pub async fn purge(tx: &mut impl Statements, schema: &'static str, seconds: u32) -> Result<u64> {
    let sql = format!(
        "DELETE FROM {schema}.inbox WHERE create_time < pg_catalog.now() - pg_catalog.make_interval(secs => $1)"
    );
    tx.execute(query(sql).bind(f64::from(seconds))).await
}
