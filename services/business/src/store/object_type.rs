//! Definitions of types, and the tables that go with them: both change in one transaction of the owner.

use super::{contended, corrupt, ddl, relation, usage};
use crate::domain::{Field, ObjectType};
use sqlx::Row;
use tenantry_db::{PgRow, Statements, SystemTx, map_error, query};
use tenantry_kernel::{Error, Reason, Result, TenantId};

const COLUMNS: &str = "t.type, t.id, t.version, t.definition, t.create_time, t.update_time";

/// One type.
///
/// # Errors
/// As every statement.
pub async fn fetch(tx: &mut impl Statements, tenant: TenantId, type_id: &str) -> Result<Option<ObjectType>> {
    let sql = format!("SELECT {COLUMNS} FROM business.object_types t WHERE t.tenant_id = $1 AND t.type = $2");
    let row = tx
        .fetch_optional(query(sql).bind(tenant.uuid()).bind(type_id.to_owned()))
        .await?;
    row.as_ref().map(decode).transpose()
}

/// Types in the order of their ids, behind `after`.
///
/// # Errors
/// As every statement.
pub async fn list(tx: &mut impl Statements, tenant: TenantId, after: &str, limit: i64) -> Result<Vec<ObjectType>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM business.object_types t WHERE t.tenant_id = $1 AND t.type > $2 ORDER BY t.type LIMIT $3"
    );
    let rows = tx
        .fetch_all(query(sql).bind(tenant.uuid()).bind(after.to_owned()).bind(limit))
        .await?;
    rows.iter().map(decode).collect()
}

/// How many types the tenant has.
///
/// # Errors
/// As every statement.
pub async fn count(tx: &mut impl Statements, tenant: TenantId) -> Result<u64> {
    let row = tx
        .fetch_one(
            query("SELECT pg_catalog.count(*) FROM business.object_types t WHERE t.tenant_id = $1").bind(tenant.uuid()),
        )
        .await?;
    let count: i64 = row.try_get(0).map_err(map_error)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Takes the tenant's turn for type changes: they come one after another, and not after its schema was dropped.
///
/// # Errors
/// `TENANT_NOT_ACTIVE` where the tenant has no schema here.
pub async fn lock_tenant(tx: &mut SystemTx, tenant: TenantId) -> Result<()> {
    let sql = "SELECT 1 FROM business.tenants t WHERE t.tenant_id = $1 AND t.state = 'active' FOR UPDATE";
    match tx.fetch_optional(query(sql).bind(tenant.uuid())).await? {
        Some(_) => Ok(()),
        None => Err(no_schema()),
    }
}

/// [`lock_tenant`] for a change of the tenant's types.
///
/// # Errors
/// As there, and `CONFLICT` while the tenant is held.
pub async fn lock_for_change(tx: &mut SystemTx, tenant: TenantId) -> Result<()> {
    lock_tenant(tx, tenant).await?;
    super::hold::refuse(tx, tenant).await
}

pub(super) fn no_schema() -> Error {
    Error::new(
        Reason::TenantNotActive,
        "The tenant has no data schema (yet). Try again when the tenant is active.",
    )
}

/// Adds a type and its table.
///
/// # Errors
/// `UNIQUE_VIOLATION` where it exists; else as every statement.
pub async fn insert(tx: &mut SystemTx, tenant: TenantId, object_type: &ObjectType) -> Result<()> {
    insert_row(tx, tenant, object_type).await?;
    tx.execute_script(ddl::create_table(tenant, object_type))
        .await
        .map_err(contended)
}

/// Puts these definitions in the place of all others of the tenant; their tables are there already.
///
/// # Errors
/// As every statement.
pub async fn replace(tx: &mut SystemTx, tenant: TenantId, types: &[ObjectType]) -> Result<()> {
    tx.execute(query("DELETE FROM business.object_types t WHERE t.tenant_id = $1").bind(tenant.uuid()))
        .await?;
    for object_type in types {
        insert_row(tx, tenant, object_type).await?;
    }
    Ok(())
}

async fn insert_row(tx: &mut SystemTx, tenant: TenantId, object_type: &ObjectType) -> Result<()> {
    let sql = "INSERT INTO business.object_types (tenant_id, type, id, definition, version, create_time, update_time) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let definition = serde_json::to_value(&object_type.definition).map_err(Error::internal)?;
    let insert = query(sql)
        .bind(tenant.uuid())
        .bind(object_type.id.clone())
        .bind(object_type.key)
        .bind(definition)
        .bind(object_type.version)
        .bind(object_type.create_time)
        .bind(object_type.update_time);
    tx.execute(insert).await.map(|_| ())
}

/// Stores a new definition and adds the columns of `added`.
///
/// # Errors
/// As every statement.
pub async fn update(tx: &mut SystemTx, tenant: TenantId, object_type: &ObjectType, added: &[Field]) -> Result<()> {
    let sql = "UPDATE business.object_types t SET definition = $3, version = $4, update_time = $5 WHERE t.tenant_id = $1 AND t.type = $2";
    let definition = serde_json::to_value(&object_type.definition).map_err(Error::internal)?;
    let update = query(sql)
        .bind(tenant.uuid())
        .bind(object_type.id.clone())
        .bind(definition)
        .bind(object_type.version)
        .bind(object_type.update_time);
    tx.execute(update).await?;
    if added.is_empty() {
        Ok(())
    } else {
        tx.execute_script(ddl::add_columns(tenant, &object_type.id, object_type.key, added))
            .await
            .map_err(contended)
    }
}

/// Waits until nobody writes records of the type any more.
///
/// # Errors
/// As every statement.
pub async fn lock_table(tx: &mut SystemTx, tenant: TenantId, type_id: &str) -> Result<()> {
    tx.execute_script(format!(
        "LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
        relation(tenant, type_id)
    ))
    .await
}

/// Removes a type and its table.
///
/// # Errors
/// As every statement.
pub async fn delete(tx: &mut SystemTx, tenant: TenantId, type_id: &str) -> Result<()> {
    tx.execute_script(format!("DROP TABLE {}", relation(tenant, type_id)))
        .await?;
    usage::forget(tx, tenant, type_id).await?;
    let sql = "DELETE FROM business.object_types t WHERE t.tenant_id = $1 AND t.type = $2";
    tx.execute(query(sql).bind(tenant.uuid()).bind(type_id.to_owned()))
        .await
        .map(|_| ())
}

fn decode(row: &PgRow) -> Result<ObjectType> {
    let definition: serde_json::Value = row.try_get(3).map_err(map_error)?;
    Ok(ObjectType {
        id: row.try_get(0).map_err(map_error)?,
        key: row.try_get(1).map_err(map_error)?,
        version: row.try_get(2).map_err(map_error)?,
        definition: serde_json::from_value(definition).map_err(|_| corrupt("a definition"))?,
        create_time: row.try_get(4).map_err(map_error)?,
        update_time: row.try_get(5).map_err(map_error)?,
    })
}
