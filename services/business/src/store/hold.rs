//! A tenant whose data is about to be replaced is held: everybody may read it, nobody may change it. The right to write
//! is taken from the service's login in the database, so no path into the tables can forget to ask.

use super::{contended, relation};
use crate::domain::ObjectType;
use sqlx::Row;
use std::time::Duration;
use tenantry_db::{SystemTx, Tx, map_error, query};
use tenantry_kernel::{Error, Reason, Result, TenantId};
use uuid::Uuid;

/// A hold that is not renewed for this long ends.
pub const LEASE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_secs(5);

/// The refusal of a change while the tenant is held.
#[must_use]
pub fn held() -> Error {
    let text = "A restore of this tenant is running: its data can be read, not changed, until it has ended. Repeat the call then.";
    Error::new(Reason::Conflict, text).retry_after(PAUSE)
}

/// Holds a tenant for a restore, in the place of any other; the tenant is locked.
///
/// # Errors
/// As every statement.
pub async fn take(tx: &mut SystemTx, tenant: TenantId, restore: Uuid, types: &[ObjectType]) -> Result<()> {
    let sql = "INSERT INTO business.holds AS h (tenant_id, restore_id, expire_time) \
               VALUES ($1, $2, pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $3)) \
               ON CONFLICT (tenant_id) DO UPDATE SET restore_id = EXCLUDED.restore_id, expire_time = EXCLUDED.expire_time";
    let insert = query(sql).bind(tenant.uuid()).bind(restore).bind(LEASE.as_secs_f64());
    tx.execute(insert).await?;
    grants(tx, tenant, types, "REVOKE", "FROM").await
}

/// Waits until whoever had begun to write before the hold is done. Only then a snapshot shows all that was acknowledged.
///
/// # Errors
/// `CONFLICT` where somebody writes for a long time.
pub async fn await_writers(tx: &mut SystemTx, tenant: TenantId, types: &[ObjectType]) -> Result<()> {
    let lock = |found: &ObjectType| format!("LOCK TABLE {} IN SHARE MODE;\n", relation(tenant, &found.id));
    let script: String = types.iter().map(lock).collect();
    tx.execute_script(script).await
}

/// Renews a hold, if it is still this restore's.
///
/// # Errors
/// As every statement.
pub async fn renew(tx: &mut SystemTx, tenant: TenantId, restore: Uuid) -> Result<()> {
    let sql = "UPDATE business.holds h SET expire_time = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $3) \
               WHERE h.tenant_id = $1 AND h.restore_id = $2";
    let renew = query(sql).bind(tenant.uuid()).bind(restore).bind(LEASE.as_secs_f64());
    tx.execute(renew).await.map(|_| ())
}

/// Forgets a hold of this restore, `expired` ones or any; whether there was one. The tenant is locked.
///
/// # Errors
/// As every statement.
pub async fn forget(tx: &mut SystemTx, tenant: TenantId, restore: Uuid, expired: bool) -> Result<bool> {
    let sql = "DELETE FROM business.holds h WHERE h.tenant_id = $1 AND h.restore_id = $2 \
               AND (NOT $3 OR h.expire_time < pg_catalog.clock_timestamp())";
    let forget = query(sql).bind(tenant.uuid()).bind(restore).bind(expired);
    Ok(tx.execute(forget).await? > 0)
}

/// Gives the right to write back.
///
/// # Errors
/// As every statement.
pub async fn allow(tx: &mut SystemTx, tenant: TenantId, types: &[ObjectType]) -> Result<()> {
    grants(tx, tenant, types, "GRANT", "TO").await
}

async fn grants(tx: &mut SystemTx, tenant: TenantId, types: &[ObjectType], verb: &str, to: &str) -> Result<()> {
    let change = |found: &ObjectType| {
        let table = relation(tenant, &found.id);
        format!("{verb} INSERT, UPDATE, DELETE ON TABLE {table} {to} tenantry_business;\n")
    };
    let script: String = types.iter().map(change).collect();
    tx.execute_script(script).await.map_err(contended)
}

/// Passes where nobody holds the tenant, which is locked.
///
/// # Errors
/// See [`held`].
pub async fn refuse(tx: &mut SystemTx, tenant: TenantId) -> Result<()> {
    let sql = "SELECT 1 FROM business.holds h WHERE h.tenant_id = $1";
    match tx.fetch_optional(query(sql).bind(tenant.uuid())).await? {
        Some(_) => Err(held()),
        None => Ok(()),
    }
}

/// Whether the call's tenant is held.
///
/// # Errors
/// As every statement.
pub async fn is_held(tx: &mut Tx) -> Result<bool> {
    let sql = "SELECT 1 FROM business.holds h WHERE h.tenant_id = $1";
    Ok(tx.fetch_optional(query(sql).bind(tx.tenant().uuid())).await?.is_some())
}

/// Holds that nobody has renewed.
///
/// # Errors
/// As every statement.
pub async fn expired(tx: &mut SystemTx) -> Result<Vec<(TenantId, Uuid)>> {
    let sql =
        "SELECT h.tenant_id, h.restore_id FROM business.holds h WHERE h.expire_time < pg_catalog.clock_timestamp()";
    let rows = tx.fetch_all(query(sql)).await?;
    rows.iter()
        .map(|row| Ok((TenantId::from_uuid(row.try_get(0)?), row.try_get(1)?)))
        .collect::<sqlx::Result<_>>()
        .map_err(map_error)
}
