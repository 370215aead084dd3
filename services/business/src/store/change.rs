//! The change log: written beside every change of a record, read by WatchRecords.
//!
//! A reader takes windows of transactions: `from <= xid < to`, where `to` was the oldest transaction still running.
//! All of a window has ended, so nothing can appear in it later; inside, `seq` is the order in which a record changed.

use super::corrupt;
use crate::domain::{
    Record,
    change::{Change, ChangeKind},
};
use chrono::{DateTime, Utc};
use sqlx::Row;
use tenantry_db::{PgRow, Query, SystemTx, Tx, map_error, query};
use tenantry_kernel::{Result, TenantId};
use uuid::Uuid;

/// Grows with every restore of the tenant.
const GENERATION: &str = "(SELECT COALESCE(pg_catalog.max(r.generation), 0) FROM business.restores r WHERE r.tenant_id = $1 AND r.state = 'done')";
const CHUNK: i64 = 10_000;

/// Ended transactions `from <= xid < to`, of which rows up to `last` are there and those up to `seq` are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// First transaction.
    pub from: i64,
    /// Behind the last transaction.
    pub to: i64,
    /// Delivered up to here.
    pub seq: i64,
    /// Last row of the window.
    pub last: i64,
}

impl Window {
    /// Whether everything in it is delivered.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.seq >= self.last
    }
}

/// Logs changes of one type, in their order.
///
/// # Errors
/// As every statement.
pub async fn log(
    tx: &mut Tx,
    type_id: &str,
    kind: ChangeKind,
    records: &[(Uuid, Option<&Record>)],
    now: DateTime<Utc>,
) -> Result<()> {
    let sql = "INSERT INTO business.changes (tenant_id, type, kind, change_time, record_id, record) \
               SELECT $1, $2, $3, $4, u.id, u.record FROM unnest($5, $6) WITH ORDINALITY AS u (id, record, place) ORDER BY u.place";
    let ids: Vec<Uuid> = records.iter().map(|(id, _)| *id).collect();
    let bodies = records
        .iter()
        .map(|(_, record)| record.map(serde_json::to_value).transpose())
        .collect::<serde_json::Result<Vec<_>>>();
    let bodies = bodies.map_err(tenantry_kernel::Error::internal)?;
    let insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(type_id.to_owned())
        .bind(kind.as_str())
        .bind(now)
        .bind(ids)
        .bind(bodies);
    tx.execute(insert).await.map(|_| ())
}

/// Logs one change.
///
/// # Errors
/// As every statement.
pub async fn log_one(
    tx: &mut Tx,
    type_id: &str,
    kind: ChangeKind,
    id: Uuid,
    record: Option<&Record>,
    now: DateTime<Utc>,
) -> Result<()> {
    let sql = "INSERT INTO business.changes (tenant_id, type, kind, change_time, record_id, record) VALUES ($1, $2, $3, $4, $5, $6)";
    tx.execute(one(query(sql), tx.tenant(), type_id, kind, id, record, now)?)
        .await
        .map(|_| ())
}

/// Logs one new or removed record and counts it, in one statement; answers how many records the tenant had before. The
/// last statement before a commit: the counter stays locked until then.
///
/// # Errors
/// As every statement.
pub async fn log_and_count(
    tx: &mut Tx,
    type_id: &str,
    kind: ChangeKind,
    id: Uuid,
    record: Option<&Record>,
    now: DateTime<Utc>,
) -> Result<u64> {
    let sql = "WITH logged AS (INSERT INTO business.changes (tenant_id, type, kind, change_time, record_id, record) VALUES ($1, $2, $3, $4, $5, $6)), \
                    counted AS (INSERT INTO business.usage AS u (tenant_id, type, slot, records) VALUES ($1, $2, $7, $8) \
                                ON CONFLICT (tenant_id, type, slot) DO UPDATE SET records = u.records + excluded.records) \
               SELECT pg_catalog.sum(u.records)::pg_catalog.int8 FROM business.usage u WHERE u.tenant_id = $1";
    let delta: i64 = if kind == ChangeKind::Deleted { -1 } else { 1 };
    let both = one(query(sql), tx.tenant(), type_id, kind, id, record, now)?
        .bind(super::usage::slot(id))
        .bind(delta);
    super::usage::read_sum(&tx.fetch_one(both).await?)
}

fn one<'q>(
    insert: Query<'q>,
    tenant: TenantId,
    type_id: &str,
    kind: ChangeKind,
    id: Uuid,
    record: Option<&Record>,
    now: DateTime<Utc>,
) -> Result<Query<'q>> {
    let body = record
        .map(serde_json::to_value)
        .transpose()
        .map_err(tenantry_kernel::Error::internal)?;
    Ok(insert
        .bind(tenant.uuid())
        .bind(type_id.to_owned())
        .bind(kind.as_str())
        .bind(now)
        .bind(id)
        .bind(body))
}

/// The oldest transaction that still runs (everything below it has ended), and the tenant's generation.
///
/// # Errors
/// As every statement.
pub async fn horizon(tx: &mut Tx) -> Result<(i64, i64)> {
    let sql = format!(
        "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.text::pg_catalog.int8, {GENERATION}"
    );
    let row = tx.fetch_one(query(sql).bind(tx.tenant().uuid())).await?;
    Ok((row.try_get(0).map_err(map_error)?, row.try_get(1).map_err(map_error)?))
}

/// The next window from transaction `from` on, and the tenant's generation at that moment.
///
/// # Errors
/// As every statement.
pub async fn window(tx: &mut Tx, from: i64) -> Result<(Window, i64)> {
    let sql = format!(
        "SELECT h.xmin, pg_catalog.min(c.seq), pg_catalog.max(c.seq), {GENERATION} \
               FROM (SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.text::pg_catalog.int8 AS xmin) h \
               LEFT JOIN business.changes c ON c.tenant_id = $1 AND c.xid >= $2 AND c.xid < h.xmin GROUP BY h.xmin"
    );
    let row = tx.fetch_one(query(sql).bind(tx.tenant().uuid()).bind(from)).await?;
    let to: i64 = row.try_get(0).map_err(map_error)?;
    let (first, last): (Option<i64>, Option<i64>) =
        (row.try_get(1).map_err(map_error)?, row.try_get(2).map_err(map_error)?);
    let generation = row.try_get(3).map_err(map_error)?;
    let (Some(first), Some(last)) = (first, last) else {
        let empty = Window {
            from: to.max(from),
            to: to.max(from),
            seq: 0,
            last: 0,
        };
        return Ok((empty, generation));
    };
    let window = Window {
        from,
        to,
        seq: first - 1,
        last,
    };
    Ok((window, generation))
}

/// Forgets changes that a stream opened from now on could still meet: those of transactions that are not older than the
/// oldest one running. In the transaction that replaces the tenant's data.
///
/// # Errors
/// As every statement.
pub async fn forget_recent(tx: &mut SystemTx, tenant: TenantId) -> Result<()> {
    let sql = "DELETE FROM business.changes c WHERE c.tenant_id = $1 \
               AND c.xid >= pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.text::pg_catalog.int8";
    tx.execute(query(sql).bind(tenant.uuid())).await.map(|_| ())
}

/// Forgets a chunk of the changes below `xid`, which nobody can reach; 0 when none is left.
///
/// # Errors
/// As every statement.
pub async fn forget_below(tx: &mut SystemTx, tenant: TenantId, xid: i64) -> Result<u64> {
    let sql = "DELETE FROM business.changes c WHERE c.ctid = ANY (ARRAY(SELECT s.ctid FROM business.changes s \
               WHERE s.tenant_id = $1 AND s.xid < $2 LIMIT $3))";
    tx.execute(query(sql).bind(tenant.uuid()).bind(xid).bind(CHUNK)).await
}

/// The next changes of a window.
///
/// # Errors
/// As every statement.
pub async fn page(tx: &mut Tx, window: &Window, type_id: Option<&str>, limit: i64) -> Result<Vec<Change>> {
    let sql = "SELECT c.seq, c.kind, c.type, c.record_id, c.record, c.change_time FROM business.changes c \
               WHERE c.tenant_id = $1 AND c.seq > $2 AND c.seq <= $3 AND c.xid >= $4 AND c.xid < $5 AND ($6 IS NULL OR c.type = $6) \
               ORDER BY c.seq LIMIT $7";
    let page = query(sql)
        .bind(tx.tenant().uuid())
        .bind(window.seq)
        .bind(window.last)
        .bind(window.from)
        .bind(window.to);
    let rows = tx
        .fetch_all(page.bind(type_id.map(ToOwned::to_owned)).bind(limit))
        .await?;
    rows.iter().map(decode).collect()
}

fn decode(row: &PgRow) -> Result<Change> {
    let kind: String = row.try_get(1).map_err(map_error)?;
    let record: Option<serde_json::Value> = row.try_get(4).map_err(map_error)?;
    Ok(Change {
        seq: row.try_get(0).map_err(map_error)?,
        kind: ChangeKind::parse(&kind).ok_or_else(|| corrupt("a change"))?,
        object_type: row.try_get(2).map_err(map_error)?,
        id: row.try_get(3).map_err(map_error)?,
        record: record
            .map(serde_json::from_value)
            .transpose()
            .map_err(|_| corrupt("a change"))?,
        time: row.try_get(5).map_err(map_error)?,
    })
}
