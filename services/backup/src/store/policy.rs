//! Rows of policies: read and changed by their tenant, made and moved on by the scheduler.

use crate::domain::Policy;
use chrono::{DateTime, Utc};
use sqlx::Row;
use tenantry_db::{PgRow, Statements, SystemTx, Tx, map_error, query};
use tenantry_kernel::{Result, TenantId};
use uuid::Uuid;

const COLUMNS: &str = "p.schedule, p.keep_days, p.keep_last, p.next_time, p.version";

/// Adds a policy unless there is one.
///
/// # Errors
/// As every statement.
pub async fn ensure(tx: &mut impl Statements, tenant: TenantId, policy: &Policy) -> Result<()> {
    let sql = "INSERT INTO backup.policies (tenant_id, schedule, keep_days, keep_last, next_time, version) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let insert = query(sql)
        .bind(tenant.uuid())
        .bind(policy.schedule.clone())
        .bind(policy.keep_days)
        .bind(policy.keep_last)
        .bind(policy.next_time)
        .bind(policy.version);
    tx.execute(insert).await.map(|_| ())
}

/// The tenant's policy, locked.
///
/// # Errors
/// `NOT_FOUND` before [`ensure`].
pub async fn lock(tx: &mut Tx) -> Result<Policy> {
    let sql = format!("SELECT {COLUMNS} FROM backup.policies p WHERE p.tenant_id = $1 FOR UPDATE");
    decode(&tx.fetch_one(query(sql).bind(tx.tenant().uuid())).await?, 0)
}

/// The tenant's policy.
///
/// # Errors
/// As every statement.
pub async fn fetch(tx: &mut Tx) -> Result<Option<Policy>> {
    let sql = format!("SELECT {COLUMNS} FROM backup.policies p WHERE p.tenant_id = $1");
    let row = tx.fetch_optional(query(sql).bind(tx.tenant().uuid())).await?;
    row.map(|row| decode(&row, 0)).transpose()
}

/// Changes it.
///
/// # Errors
/// As every statement.
pub async fn update(tx: &mut Tx, policy: &Policy) -> Result<()> {
    let sql = "UPDATE backup.policies p SET schedule = $2, keep_days = $3, keep_last = $4, next_time = $5, version = $6, update_time = pg_catalog.now() WHERE p.tenant_id = $1";
    let update = query(sql)
        .bind(tx.tenant().uuid())
        .bind(policy.schedule.clone())
        .bind(policy.keep_days)
        .bind(policy.keep_last)
        .bind(policy.next_time)
        .bind(policy.version);
    tx.execute(update).await.map(|_| ())
}

/// Tenants that have a policy, each with when it was first seen to be gone.
///
/// # Errors
/// As every statement.
pub async fn tenants(tx: &mut SystemTx) -> Result<Vec<(TenantId, Option<DateTime<Utc>>)>> {
    let rows = tx
        .fetch_all(query("SELECT p.tenant_id, p.gone_time FROM backup.policies p"))
        .await?;
    let decode = |row: &PgRow| Ok((TenantId::from_uuid(row.try_get(0)?), row.try_get(1)?));
    rows.iter().map(decode).collect::<sqlx::Result<_>>().map_err(map_error)
}

/// Notes that a tenant is gone since `time`, or is there again (`None`).
///
/// # Errors
/// As every statement.
pub async fn set_gone(tx: &mut SystemTx, tenant: TenantId, time: Option<DateTime<Utc>>) -> Result<()> {
    let sql = "UPDATE backup.policies p SET gone_time = $2 WHERE p.tenant_id = $1";
    tx.execute(query(sql).bind(tenant.uuid()).bind(time)).await.map(|_| ())
}

/// Policies of these tenants whose time has come, locked for this transaction. One whose last scheduled snapshot is still
/// being taken waits for it.
///
/// # Errors
/// As every statement.
pub async fn due(
    tx: &mut SystemTx,
    now: DateTime<Utc>,
    active: &[Uuid],
    limit: i64,
) -> Result<Vec<(TenantId, Policy)>> {
    let sql = format!(
        "SELECT p.tenant_id, {COLUMNS} FROM backup.policies p WHERE p.next_time <= $1 AND p.tenant_id = ANY ($2) \
         AND NOT EXISTS (SELECT FROM backup.snapshots s WHERE s.tenant_id = p.tenant_id AND s.kind = 'scheduled' AND s.state = 'running') \
         ORDER BY p.next_time LIMIT $3 FOR UPDATE OF p SKIP LOCKED"
    );
    let rows = tx
        .fetch_all(query(sql).bind(now).bind(active.to_vec()).bind(limit))
        .await?;
    let tenant = |row: &PgRow| row.try_get(0).map(TenantId::from_uuid).map_err(map_error);
    rows.iter().map(|row| Ok((tenant(row)?, decode(row, 1)?))).collect()
}

/// When a tenant's next snapshot is due.
///
/// # Errors
/// As every statement.
pub async fn set_next(tx: &mut SystemTx, tenant: TenantId, next: Option<DateTime<Utc>>) -> Result<()> {
    let sql = "UPDATE backup.policies p SET next_time = $2 WHERE p.tenant_id = $1";
    tx.execute(query(sql).bind(tenant.uuid()).bind(next)).await.map(|_| ())
}

fn decode(row: &PgRow, at: usize) -> Result<Policy> {
    let read = || -> sqlx::Result<Policy> {
        Ok(Policy {
            schedule: row.try_get(at)?,
            keep_days: row.try_get(at + 1)?,
            keep_last: row.try_get(at + 2)?,
            next_time: row.try_get(at + 3)?,
            version: row.try_get(at + 4)?,
        })
    };
    read().map_err(map_error)
}
