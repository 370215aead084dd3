//! A tenant's own usage.

use super::{buckets, col, ingest::Table};
use crate::domain::usage::{Span, Usage};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::postgres::PgRow;
use tenantry_db::{Tx, query};
use tenantry_kernel::Result;

/// Rows of the tenant in a span, of every service that counts.
///
/// # Errors
/// As every statement.
pub async fn list(tx: &mut Tx, table: Table, span: Span) -> Result<Vec<(DateTime<Utc>, Usage)>> {
    let sql = format!(
        "SELECT u.start_time, u.requests, u.errors, u.limited, u.row_count, u.request_bytes, u.response_bytes, u.latency \
           FROM monitoring.{} u WHERE u.tenant_id = $1 AND u.start_time >= $2 AND u.start_time < $3 ORDER BY u.start_time",
        table.name()
    );
    let select = query(sql).bind(tx.tenant().uuid()).bind(span.start).bind(span.end);
    let rows = tx.fetch_all(select).await?;
    rows.iter()
        .map(|row| Ok((col(row, "start_time")?, decode(row)?)))
        .collect()
}

/// What counts against the tenant's quota in a month.
///
/// # Errors
/// As every statement.
pub async fn admitted(tx: &mut Tx, month: NaiveDate) -> Result<i64> {
    let sql = "SELECT m.admitted FROM monitoring.tenant_month m WHERE m.tenant_id = $1 AND m.month = $2";
    let row = tx
        .fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(month))
        .await?;
    row.map_or(Ok(0), |row| col(&row, "admitted"))
}

fn decode(row: &PgRow) -> Result<Usage> {
    Ok(Usage {
        requests: col(row, "requests")?,
        errors: col(row, "errors")?,
        limited: col(row, "limited")?,
        rows: col(row, "row_count")?,
        request_bytes: col(row, "request_bytes")?,
        response_bytes: col(row, "response_bytes")?,
        latency: buckets(&col::<Vec<i64>>(row, "latency")?)?,
    })
}
