//! What retention finds over all tenants. It sees ages, never what a snapshot holds.

use chrono::{DateTime, Utc};
use sqlx::Row;
use tenantry_db::{PgRow, SystemTx, map_error, query};
use tenantry_kernel::{Result, TenantId};
use uuid::Uuid;

/// Rows in one transaction.
const CHUNK: i64 = 10_000;

/// Marks what has expired: past its time, not among the newest `keep_last` ready ones of its tenant, never the last
/// ready one, and not in work. A corrupt one stays until somebody removes it: a store that is not mounted makes all of
/// them look so, and nothing is deleted on the word of a look.
///
/// # Errors
/// As every statement.
pub async fn mark(tx: &mut SystemTx, now: DateTime<Utc>) -> Result<u64> {
    let sql = "WITH ranked AS (SELECT s.tenant_id, s.id, s.state, s.expire_time, s.operation_id, \
                        pg_catalog.row_number() OVER (PARTITION BY s.tenant_id, s.state = 'ready' ORDER BY s.create_time DESC, s.id DESC) AS age \
                      FROM backup.snapshots s) \
               UPDATE backup.snapshots s SET state = 'deleting' \
               FROM ranked r JOIN backup.policies p ON p.tenant_id = r.tenant_id \
               WHERE s.tenant_id = r.tenant_id AND s.id = r.id AND s.state = r.state AND r.expire_time <= $1 \
                 AND (r.state = 'failed' OR (r.state = 'ready' AND r.age > GREATEST(p.keep_last, 1))) \
                 AND NOT EXISTS (SELECT FROM backup.operations o WHERE o.tenant_id = r.tenant_id \
                                   AND (o.snapshot_id = r.id OR o.id = r.operation_id) AND o.state = 'running')";
    tx.execute(query(sql).bind(now)).await
}

/// Removes operations that are finished since before `until`, some at a time.
///
/// # Errors
/// As every statement.
pub async fn forget_operations(tx: &mut SystemTx, until: DateTime<Utc>) -> Result<u64> {
    let sql = "DELETE FROM backup.operations o WHERE o.state <> 'running' AND (o.tenant_id, o.id) IN (SELECT f.tenant_id, f.id \
               FROM backup.operations f WHERE f.state <> 'running' AND f.update_time < $1 ORDER BY f.update_time LIMIT $2)";
    tx.execute(query(sql).bind(until).bind(CHUNK)).await
}

/// Snapshots whose objects are to be removed, behind `after`.
///
/// # Errors
/// As every statement.
pub async fn deleting(tx: &mut SystemTx, after: Uuid, limit: i64) -> Result<Vec<(TenantId, Uuid)>> {
    let sql = "SELECT s.tenant_id, s.id FROM backup.snapshots s WHERE s.state = 'deleting' AND s.id > $1 ORDER BY s.id LIMIT $2";
    let rows = tx.fetch_all(query(sql).bind(after).bind(limit)).await?;
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

/// How old the newest ready snapshot of each of these tenants is: the oldest of them, and how many have none although one
/// was due. Only tenants with a schedule count.
///
/// # Errors
/// As every statement.
pub async fn ages(tx: &mut SystemTx, now: DateTime<Utc>, active: &[Uuid]) -> Result<(f64, i64)> {
    let sql = "SELECT COALESCE(pg_catalog.max(EXTRACT(EPOCH FROM $1 - n.newest)), 0)::pg_catalog.float8, \
                      pg_catalog.count(*) FILTER (WHERE n.newest IS NULL AND n.due) \
               FROM (SELECT (SELECT pg_catalog.max(s.snapshot_time) FROM backup.snapshots s WHERE s.tenant_id = p.tenant_id AND s.state = 'ready') AS newest, \
                            (p.next_time < $1 - pg_catalog.make_interval(mins => 5) \
                              OR EXISTS (SELECT FROM backup.snapshots s WHERE s.tenant_id = p.tenant_id AND s.kind = 'scheduled' \
                                           AND (s.state <> 'running' OR s.create_time < $1 - pg_catalog.make_interval(hours => 1)))) AS due \
                     FROM backup.policies p WHERE p.schedule <> '' AND p.gone_time IS NULL AND p.tenant_id = ANY ($2)) n";
    let row = tx.fetch_one(query(sql).bind(now).bind(active.to_vec())).await?;
    Ok((row.try_get(0).map_err(map_error)?, row.try_get(1).map_err(map_error)?))
}
