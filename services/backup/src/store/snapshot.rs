//! Rows of snapshots.

use super::{corrupt, json};
use crate::domain::{
    Manifest, Snapshot,
    snapshot::{Kind, State},
};
use chrono::{DateTime, Utc};
use sqlx::Row;
use tenantry_db::{PgRow, Statements, Tx, map_error, query};
use tenantry_kernel::{Error, Reason, Result, TenantId};
use uuid::Uuid;

const COLUMNS: &str = "s.id, s.description, s.kind, s.state, s.snapshot_time, s.create_time, s.expire_time, s.verify_time, \
                       s.problem, s.types, s.records, s.size_bytes, s.stored_bytes, s.operation_id";

/// Adds a snapshot that is about to be written.
///
/// # Errors
/// As every statement.
pub async fn insert(tx: &mut impl Statements, tenant: TenantId, snapshot: &Snapshot) -> Result<()> {
    let sql = "INSERT INTO backup.snapshots (tenant_id, id, description, kind, state, create_time, expire_time, operation_id) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let insert = query(sql)
        .bind(tenant.uuid())
        .bind(snapshot.id)
        .bind(snapshot.description.clone())
        .bind(snapshot.kind.as_str())
        .bind(snapshot.state.as_str())
        .bind(snapshot.create_time)
        .bind(snapshot.expire_time)
        .bind(snapshot.operation);
    tx.execute(insert).await.map(|_| ())
}

/// One snapshot.
///
/// # Errors
/// As every statement.
pub async fn fetch(tx: &mut Tx, id: Uuid) -> Result<Option<Snapshot>> {
    let sql = format!("SELECT {COLUMNS} FROM backup.snapshots s WHERE s.tenant_id = $1 AND s.id = $2");
    let row = tx.fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id)).await?;
    row.as_ref().map(decode).transpose()
}

/// One snapshot, locked: nothing else can start on it or remove it until the transaction ends.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Snapshot> {
    let sql = format!("SELECT {COLUMNS} FROM backup.snapshots s WHERE s.tenant_id = $1 AND s.id = $2 FOR UPDATE");
    decode(&tx.fetch_one(query(sql).bind(tx.tenant().uuid()).bind(id)).await?)
}

/// Snapshots, newest first, behind `before`.
///
/// # Errors
/// As every statement.
pub async fn list(tx: &mut Tx, before: Option<Uuid>, limit: i64) -> Result<Vec<Snapshot>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM backup.snapshots s WHERE s.tenant_id = $1 AND ($2 IS NULL OR s.id < $2) ORDER BY s.id DESC LIMIT $3"
    );
    let rows = tx
        .fetch_all(query(sql).bind(tx.tenant().uuid()).bind(before).bind(limit))
        .await?;
    rows.iter().map(decode).collect()
}

/// It is complete.
///
/// # Errors
/// `FAILED_PRECONDITION` where it is not being written (any more).
pub async fn ready(tx: &mut Tx, manifest: &Manifest, expire_time: Option<DateTime<Utc>>) -> Result<()> {
    let sql = "UPDATE backup.snapshots s SET state = 'ready', snapshot_time = $3, types = $4, records = $5, size_bytes = $6, stored_bytes = $7, expire_time = $8 \
               WHERE s.tenant_id = $1 AND s.id = $2 AND s.state = 'running'";
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let update = query(sql)
        .bind(tx.tenant().uuid())
        .bind(manifest.snapshot)
        .bind(manifest.snapshot_time)
        .bind(json(&manifest.counts())?)
        .bind(whole(manifest.totals.rows))
        .bind(whole(manifest.totals.raw_bytes))
        .bind(whole(manifest.totals.bytes))
        .bind(expire_time);
    match tx.execute(update).await? {
        0 => Err(Error::new(
            Reason::FailedPrecondition,
            "The snapshot was removed while it was being written. Take a new one.",
        )),
        _ => Ok(()),
    }
}

/// It did not come to be; its objects are gone.
///
/// # Errors
/// As every statement.
pub async fn failed(tx: &mut Tx, id: Uuid, problem: &str, expire_time: DateTime<Utc>) -> Result<()> {
    let sql = "UPDATE backup.snapshots s SET state = 'failed', problem = $3, expire_time = $4 WHERE s.tenant_id = $1 AND s.id = $2 AND s.state = 'running'";
    let update = query(sql)
        .bind(tx.tenant().uuid())
        .bind(id)
        .bind(problem.to_owned())
        .bind(expire_time);
    tx.execute(update).await.map(|_| ())
}

/// Every object was read: `problem` is what was found, empty if nothing.
///
/// # Errors
/// As every statement.
pub async fn verified(tx: &mut Tx, id: Uuid, problem: &str, now: DateTime<Utc>) -> Result<()> {
    let sql = "UPDATE backup.snapshots s SET state = CASE WHEN $3 = '' THEN 'ready' ELSE 'corrupt' END, problem = $3, verify_time = $4 \
               WHERE s.tenant_id = $1 AND s.id = $2 AND s.state IN ('ready', 'corrupt')";
    let update = query(sql)
        .bind(tx.tenant().uuid())
        .bind(id)
        .bind(problem.to_owned())
        .bind(now);
    tx.execute(update).await.map(|_| ())
}

/// Its objects are to be removed.
///
/// # Errors
/// As every statement.
pub async fn deleting(tx: &mut Tx, id: Uuid) -> Result<()> {
    let sql = "UPDATE backup.snapshots s SET state = 'deleting' WHERE s.tenant_id = $1 AND s.id = $2";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(id))
        .await
        .map(|_| ())
}

/// A changed policy counts for what is there, too.
///
/// # Errors
/// As every statement.
pub async fn expire_after(tx: &mut Tx, keep_days: i32) -> Result<()> {
    let sql = "UPDATE backup.snapshots s SET expire_time = s.create_time + pg_catalog.make_interval(days => $2) \
               WHERE s.tenant_id = $1 AND s.kind <> 'on_demand' AND s.state IN ('ready', 'corrupt')";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(keep_days))
        .await
        .map(|_| ())
}

fn decode(row: &PgRow) -> Result<Snapshot> {
    let text = |at: usize| row.try_get::<String, _>(at).map_err(map_error);
    let bad = || corrupt("a snapshot");
    let (kind, state) = (
        Kind::parse(&text(2)?).ok_or_else(bad)?,
        State::parse(&text(3)?).ok_or_else(bad)?,
    );
    let types = row.try_get::<serde_json::Value, _>(9).map_err(map_error)?;
    let types = serde_json::from_value(types).map_err(Error::internal)?;
    let read = || -> sqlx::Result<Snapshot> {
        Ok(Snapshot {
            id: row.try_get(0)?,
            description: row.try_get(1)?,
            kind,
            state,
            snapshot_time: row.try_get(4)?,
            create_time: row.try_get(5)?,
            expire_time: row.try_get(6)?,
            verify_time: row.try_get(7)?,
            problem: row.try_get(8)?,
            types,
            records: row.try_get(10)?,
            size_bytes: row.try_get(11)?,
            stored_bytes: row.try_get(12)?,
            operation: row.try_get(13)?,
        })
    };
    read().map_err(map_error)
}
