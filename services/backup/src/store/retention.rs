//! What retention finds over all tenants. It sees ages, never what a snapshot holds.

use chrono::{DateTime, Utc};
use sqlx::Row;
use tenantry_db::{PgRow, SystemTx, map_error, query};
use tenantry_kernel::{Result, TenantId};
use uuid::Uuid;

/// Marks what has expired: past its time, not among the newest `keep_last` ready ones of its tenant, never the last
/// ready one, and not in work.
///
/// # Errors
/// As every statement.
pub async fn mark(tx: &mut SystemTx, now: DateTime<Utc>) -> Result<u64> {
    let sql = "WITH ranked AS (SELECT s.tenant_id, s.id, s.state, s.expire_time, \
                        pg_catalog.row_number() OVER (PARTITION BY s.tenant_id, s.state = 'ready' ORDER BY s.create_time DESC, s.id DESC) AS age \
                      FROM backup.snapshots s) \
               UPDATE backup.snapshots s SET state = 'deleting' \
               FROM ranked r JOIN backup.policies p ON p.tenant_id = r.tenant_id \
               WHERE s.tenant_id = r.tenant_id AND s.id = r.id AND s.state = r.state AND r.expire_time <= $1 \
                 AND (r.state IN ('failed', 'corrupt') OR (r.state = 'ready' AND r.age > GREATEST(p.keep_last, 1))) \
                 AND NOT EXISTS (SELECT FROM backup.operations o WHERE o.tenant_id = r.tenant_id AND o.snapshot_id = r.id AND o.state = 'running')";
    tx.execute(query(sql).bind(now)).await
}

/// Snapshots whose objects are to be removed.
///
/// # Errors
/// As every statement.
pub async fn deleting(tx: &mut SystemTx, limit: i64) -> Result<Vec<(TenantId, Uuid)>> {
    let sql = "SELECT s.tenant_id, s.id FROM backup.snapshots s WHERE s.state = 'deleting' ORDER BY s.id LIMIT $1";
    let rows = tx.fetch_all(query(sql).bind(limit)).await?;
    let decode = |row: &PgRow| Ok((TenantId::from_uuid(row.try_get(0)?), row.try_get(1)?));
    rows.iter().map(decode).collect::<sqlx::Result<_>>().map_err(map_error)
}

/// Removes the row of a snapshot whose objects are gone.
///
/// # Errors
/// As every statement.
pub async fn remove(tx: &mut SystemTx, tenant: TenantId, snapshot: Uuid) -> Result<()> {
    let sql = "DELETE FROM backup.snapshots s WHERE s.tenant_id = $1 AND s.id = $2 AND s.state = 'deleting'";
    tx.execute(query(sql).bind(tenant.uuid()).bind(snapshot))
        .await
        .map(|_| ())
}

/// Removes every row of a tenant that is gone and whose objects are gone.
///
/// # Errors
/// As every statement.
pub async fn purge(tx: &mut SystemTx, tenant: TenantId) -> Result<()> {
    for table in ["snapshots", "operations", "policies"] {
        let sql = format!("DELETE FROM backup.{table} t WHERE t.tenant_id = $1");
        tx.execute(query(sql).bind(tenant.uuid())).await?;
    }
    Ok(())
}

/// How old the newest ready snapshot of each tenant is: the oldest of them, and how many tenants have none. Only
/// tenants with a schedule count.
///
/// # Errors
/// As every statement.
pub async fn ages(tx: &mut SystemTx, now: DateTime<Utc>) -> Result<(f64, i64)> {
    let sql = "SELECT COALESCE(pg_catalog.max(EXTRACT(EPOCH FROM $1 - n.newest)), 0)::pg_catalog.float8, pg_catalog.count(*) FILTER (WHERE n.newest IS NULL) \
               FROM (SELECT p.tenant_id, pg_catalog.max(s.snapshot_time) AS newest FROM backup.policies p \
                     LEFT JOIN backup.snapshots s ON s.tenant_id = p.tenant_id AND s.state = 'ready' \
                     WHERE p.schedule <> '' AND p.gone_time IS NULL GROUP BY p.tenant_id) n";
    let row = tx.fetch_one(query(sql).bind(now)).await?;
    Ok((row.try_get(0).map_err(map_error)?, row.try_get(1).map_err(map_error)?))
}
