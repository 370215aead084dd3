//! Usage of all tenants, for operators.

use super::{col, ingest::Table};
use crate::domain::usage::{Span, Usage};
use std::collections::HashMap;
use tenantry_db::{SystemTx, query};
use tenantry_kernel::{Result, TenantId};
use tenantry_metering::BUCKETS;
use uuid::Uuid;

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    /// Requests of the last tenant.
    pub requests: i64,
    /// The last tenant.
    pub tenant: Uuid,
}

/// Tenants by requests, the busiest first.
///
/// # Errors
/// As every statement.
pub async fn busiest(
    tx: &mut SystemTx,
    table: Table,
    span: Span,
    after: Option<After>,
    limit: i64,
) -> Result<Vec<(TenantId, Usage)>> {
    let table = table.name();
    let sql = format!(
        "SELECT s.* FROM (SELECT u.tenant_id, pg_catalog.sum(u.requests)::bigint AS requests, pg_catalog.sum(u.errors)::bigint AS errors, \
                pg_catalog.sum(u.limited)::bigint AS limited, pg_catalog.sum(u.row_count)::bigint AS row_count, \
                pg_catalog.sum(u.request_bytes)::bigint AS request_bytes, pg_catalog.sum(u.response_bytes)::bigint AS response_bytes \
           FROM monitoring.{table} u WHERE u.start_time >= $1 AND u.start_time < $2 GROUP BY u.tenant_id) s \
          WHERE $3::bigint IS NULL OR (s.requests, s.tenant_id) < ($3::bigint, $4::pg_catalog.uuid) \
          ORDER BY s.requests DESC, s.tenant_id DESC LIMIT $5"
    );
    let select = query(sql)
        .bind(span.start)
        .bind(span.end)
        .bind(after.map(|after| after.requests))
        .bind(after.map(|after| after.tenant))
        .bind(limit);
    let mut found = Vec::new();
    for row in &tx.fetch_all(select).await? {
        let usage = Usage {
            requests: col(row, "requests")?,
            errors: col(row, "errors")?,
            limited: col(row, "limited")?,
            rows: col(row, "row_count")?,
            request_bytes: col(row, "request_bytes")?,
            response_bytes: col(row, "response_bytes")?,
            ..Usage::default()
        };
        found.push((TenantId::from_uuid(col(row, "tenant_id")?), usage));
    }
    add_latency(tx, table, span, &mut found).await?;
    Ok(found)
}

async fn add_latency(tx: &mut SystemTx, table: &str, span: Span, found: &mut [(TenantId, Usage)]) -> Result<()> {
    let sql = format!(
        "SELECT u.tenant_id, l.n, pg_catalog.sum(l.count)::bigint AS count \
           FROM monitoring.{table} u, pg_catalog.unnest(u.latency) WITH ORDINALITY AS l (count, n) \
          WHERE u.tenant_id = ANY($1) AND u.start_time >= $2 AND u.start_time < $3 AND l.count > 0 GROUP BY u.tenant_id, l.n"
    );
    let ids: Vec<Uuid> = found.iter().map(|(tenant, _)| tenant.uuid()).collect();
    let mut sums: HashMap<Uuid, [u64; BUCKETS]> = HashMap::new();
    for row in &tx
        .fetch_all(query(sql).bind(ids).bind(span.start).bind(span.end))
        .await?
    {
        let (bucket, count): (i64, i64) = (col(row, "n")?, col(row, "count")?);
        let sum = sums.entry(col(row, "tenant_id")?).or_insert([0; BUCKETS]);
        let at = usize::try_from(bucket - 1).ok();
        if let Some(slot) = at.and_then(|at| sum.get_mut(at)) {
            *slot += u64::try_from(count).unwrap_or(0);
        }
    }
    for (tenant, usage) in found {
        usage.latency = sums.remove(&tenant.uuid()).unwrap_or([0; BUCKETS]);
    }
    Ok(())
}
