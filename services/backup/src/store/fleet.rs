//! The backups of all tenants, for operators: how many, how old, how large.

use chrono::{DateTime, Utc};
use sqlx::Row;
use tenantry_db::{PgRow, SystemTx, map_error, query};
use tenantry_kernel::{Result, TenantId};

/// One tenant.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as in the proto")]
pub struct TenantBackup {
    pub tenant: TenantId,
    pub last_snapshot_time: Option<DateTime<Utc>>,
    pub last_verify_time: Option<DateTime<Utc>>,
    pub snapshots: i64,
    pub stored_bytes: i64,
    pub problem: String,
}

/// Where a page starts: behind this tenant.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Cursor {
    /// Its newest snapshot.
    pub last: Option<DateTime<Utc>>,
    /// Its id.
    pub tenant: TenantId,
}

/// Tenants without a ready snapshot first, then the one whose newest is oldest.
///
/// # Errors
/// As every statement.
pub async fn list(tx: &mut SystemTx, after: Option<Cursor>, limit: i64) -> Result<Vec<TenantBackup>> {
    // 'epoch' stands for none: nothing was backed up in 1970.
    let sql = "WITH t AS (SELECT p.tenant_id, \
                      pg_catalog.max(s.snapshot_time) FILTER (WHERE s.state = 'ready') AS last, \
                      pg_catalog.max(s.verify_time) AS verified, \
                      pg_catalog.count(s.id) FILTER (WHERE s.state = 'ready') AS ready, \
                      COALESCE(pg_catalog.sum(s.stored_bytes), 0)::pg_catalog.int8 AS bytes, \
                      COALESCE((SELECT n.problem FROM backup.snapshots n WHERE n.tenant_id = p.tenant_id AND n.state NOT IN ('running', 'deleting') ORDER BY n.id DESC LIMIT 1), '') AS problem \
                    FROM backup.policies p LEFT JOIN backup.snapshots s ON s.tenant_id = p.tenant_id \
                    WHERE p.gone_time IS NULL GROUP BY p.tenant_id) \
               SELECT t.tenant_id, t.last, t.verified, t.ready, t.bytes, t.problem FROM t \
               WHERE $1::pg_catalog.uuid IS NULL OR (COALESCE(t.last, 'epoch'), t.tenant_id) > (COALESCE($2::pg_catalog.timestamptz, 'epoch'), $1) \
               ORDER BY COALESCE(t.last, 'epoch'), t.tenant_id LIMIT $3";
    let page = query(sql)
        .bind(after.map(|cursor| cursor.tenant.uuid()))
        .bind(after.and_then(|cursor| cursor.last))
        .bind(limit);
    let rows = tx.fetch_all(page).await?;
    let decode = |row: &PgRow| -> sqlx::Result<TenantBackup> {
        Ok(TenantBackup {
            tenant: TenantId::from_uuid(row.try_get(0)?),
            last_snapshot_time: row.try_get(1)?,
            last_verify_time: row.try_get(2)?,
            snapshots: row.try_get(3)?,
            stored_bytes: row.try_get(4)?,
            problem: row.try_get(5)?,
        })
    };
    rows.iter().map(decode).collect::<sqlx::Result<_>>().map_err(map_error)
}
