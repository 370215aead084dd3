//! Forgetting, in chunks: no statement holds locks for long.

use crate::domain::usage::{KEEP_HOURS, KEEP_MINUTES};
use chrono::{DateTime, Duration, Utc};
use tenantry_db::{SystemTx, query};
use tenantry_kernel::Result;

/// Rows of one statement.
pub const CHUNK: u64 = 5_000;
/// A report is refused before it is this old: what was forgotten cannot come again.
const KEEP_REPORTS: Duration = Duration::days(32);
const KEEP_EVENTS: Duration = Duration::days(90);
/// Events that are kept at most.
const MOST_EVENTS: i64 = 1_000_000;

/// One chunk of everything that is too old; the largest number of rows that one table gave.
///
/// # Errors
/// As every statement.
pub async fn expire(tx: &mut SystemTx, now: DateTime<Utc>) -> Result<u64> {
    let mut most = 0;
    for (table, column, keep) in [
        ("reports", "receive_time", KEEP_REPORTS),
        ("tenant_minute", "start_time", KEEP_MINUTES),
        ("tenant_hour", "start_time", KEEP_HOURS),
        ("events", "receive_time", KEEP_EVENTS),
    ] {
        let sql = format!(
            "DELETE FROM monitoring.{table} t WHERE t.ctid = ANY(ARRAY(SELECT o.ctid FROM monitoring.{table} o WHERE o.{column} < $1 LIMIT {CHUNK}))"
        );
        most = most.max(tx.execute(query(sql).bind(now - keep)).await?);
    }
    let sql = format!(
        "DELETE FROM monitoring.events t WHERE t.ctid = ANY(ARRAY(SELECT o.ctid FROM monitoring.events o \
          ORDER BY o.event_time DESC, o.event_id DESC OFFSET $1 LIMIT {CHUNK}))"
    );
    most = most.max(tx.execute(query(sql).bind(MOST_EVENTS)).await?);
    let sql = "DELETE FROM monitoring.tenant_month m WHERE m.month < $1";
    tx.execute(query(sql).bind((now - KEEP_HOURS).date_naive())).await?;
    Ok(most)
}
