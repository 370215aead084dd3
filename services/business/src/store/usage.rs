//! Record counts for plan limits, in slots so that writers of one tenant seldom meet on one row.

use sqlx::Row;
use tenantry_db::{PgRow, Statements, SystemTx, Tx, map_error, query};
use tenantry_kernel::{Result, TenantId};
use uuid::Uuid;

const SLOTS: u128 = 16;
/// Imports have a slot of their own: they hold it longer.
pub const IMPORT_SLOT: i16 = 16;

/// The slot of a record: its id ends in random bits.
#[must_use]
pub fn slot(id: Uuid) -> i16 {
    i16::try_from(id.as_u128() % SLOTS).unwrap_or(0)
}

/// Adds `delta` and answers how many records the tenant had before. The last statement before a commit: the row stays
/// locked until then.
///
/// # Errors
/// As every statement.
pub async fn add(tx: &mut Tx, type_id: &str, slot: i16, delta: i64) -> Result<u64> {
    let sql = "WITH added AS (INSERT INTO business.usage AS u (tenant_id, type, slot, records) VALUES ($1, $2, $3, $4) \
                              ON CONFLICT (tenant_id, type, slot) DO UPDATE SET records = u.records + excluded.records) \
               SELECT pg_catalog.sum(u.records)::pg_catalog.int8 FROM business.usage u WHERE u.tenant_id = $1";
    let row = tx
        .fetch_one(
            query(sql)
                .bind(tx.tenant().uuid())
                .bind(type_id.to_owned())
                .bind(slot)
                .bind(delta),
        )
        .await?;
    read_sum(&row)
}

/// Records of the tenant, or of one of its types.
///
/// # Errors
/// As every statement.
pub async fn total(tx: &mut impl Statements, tenant: TenantId, type_id: Option<&str>) -> Result<u64> {
    let sql = "SELECT pg_catalog.sum(u.records)::pg_catalog.int8 FROM business.usage u WHERE u.tenant_id = $1 AND ($2 IS NULL OR u.type = $2)";
    let row = tx
        .fetch_one(query(sql).bind(tenant.uuid()).bind(type_id.map(ToOwned::to_owned)))
        .await?;
    read_sum(&row)
}

/// Forgets the counts of a type that is dropped.
///
/// # Errors
/// As every statement.
pub async fn forget(tx: &mut impl Statements, tenant: TenantId, type_id: &str) -> Result<()> {
    let sql = "DELETE FROM business.usage u WHERE u.tenant_id = $1 AND u.type = $2";
    tx.execute(query(sql).bind(tenant.uuid()).bind(type_id.to_owned()))
        .await
        .map(|_| ())
}

/// Puts these counts in the place of all others of the tenant.
///
/// # Errors
/// As every statement.
pub async fn replace(tx: &mut SystemTx, tenant: TenantId, counts: &[(String, i64)]) -> Result<()> {
    tx.execute(query("DELETE FROM business.usage u WHERE u.tenant_id = $1").bind(tenant.uuid()))
        .await?;
    let (types, records): (Vec<String>, Vec<i64>) = counts.iter().cloned().unzip();
    let sql = "INSERT INTO business.usage (tenant_id, type, slot, records) SELECT $1, c.type, 0, c.records FROM unnest($2, $3) AS c (type, records)";
    tx.execute(query(sql).bind(tenant.uuid()).bind(types).bind(records))
        .await
        .map(|_| ())
}

/// A sum that may be NULL.
pub(super) fn read_sum(row: &PgRow) -> Result<u64> {
    let sum: Option<i64> = row.try_get(0).map_err(map_error)?;
    Ok(u64::try_from(sum.unwrap_or(0)).unwrap_or(0))
}
