//! What expires. Row policies of the system role bound what can be deleted here, whatever the statement says.

use super::SCHEMA;
use tenantry_db::{SystemTx, idempotency, inbox, query};
use tenantry_kernel::Result;

/// Days a change is kept.
pub const CHANGE_DAYS: i64 = 7;
const INBOX_SECONDS: u32 = 60 * 24 * 3600;
const CHUNK: i64 = 10_000;

/// Deletes a chunk of old changes.
///
/// # Errors
/// As every statement.
pub async fn changes(tx: &mut SystemTx) -> Result<u64> {
    let sql = "DELETE FROM business.changes c WHERE c.ctid = ANY (ARRAY(SELECT s.ctid FROM business.changes s WHERE s.change_time < pg_catalog.now() - pg_catalog.make_interval(days => $1) LIMIT $2))";
    tx.execute(query(sql).bind(i32::try_from(CHANGE_DAYS).unwrap_or(7)).bind(CHUNK))
        .await
}

/// Deletes old uploads.
///
/// # Errors
/// As every statement.
pub async fn imports(tx: &mut SystemTx) -> Result<u64> {
    let sql = "DELETE FROM business.imports i WHERE i.state <> 'running' AND i.create_time < pg_catalog.now() - pg_catalog.make_interval(days => 1)";
    tx.execute(query(sql)).await
}

/// Forgets idempotency keys and handled messages.
///
/// # Errors
/// As every statement.
pub async fn keys(tx: &mut SystemTx) -> Result<u64> {
    Ok(idempotency::purge(tx, SCHEMA).await? + inbox::purge(tx, SCHEMA, INBOX_SECONDS).await?)
}
