//! A tenant's schema: made and dropped by the owner.

use sqlx::Row;
use tenantry_db::{SystemTx, map_error, query};
use tenantry_kernel::{Error, Reason, Result, TenantId};

/// Rows deleted, tables dropped, in one transaction.
pub const CHUNK: i64 = 10_000;
const TABLES: i64 = 50;
/// Tables of ours with rows of tenants, children first.
const OWN: &[&str] = &[
    "import_chunks",
    "imports",
    "operations",
    "changes",
    "usage",
    "restores",
    "holds",
    "object_types",
    "idempotency",
];

/// Makes the schema. Doing it again is harmless.
///
/// # Errors
/// `FAILED_PRECONDITION` for a tenant that was dropped: a late command must not bring it back.
pub async fn create(tx: &mut SystemTx, tenant: TenantId) -> Result<()> {
    let sql = "INSERT INTO business.tenants AS t (tenant_id, state) VALUES ($1, 'active') \
               ON CONFLICT (tenant_id) DO UPDATE SET state = t.state RETURNING t.state";
    let state: String = tx
        .fetch_one(query(sql).bind(tenant.uuid()))
        .await?
        .try_get(0)
        .map_err(map_error)?;
    if state != "active" {
        return Err(Error::new(
            Reason::FailedPrecondition,
            "The tenant's data was dropped; its id cannot be provisioned again.",
        ));
    }
    let schema = tenant.schema();
    tx.execute_script(format!(
        "CREATE SCHEMA IF NOT EXISTS {schema}; GRANT USAGE ON SCHEMA {schema} TO tenantry_business"
    ))
    .await
    .map_err(super::contended)
}

/// Passes where the tenant has a schema here.
///
/// # Errors
/// `TENANT_NOT_ACTIVE`.
pub async fn ensure_active(tx: &mut SystemTx, tenant: TenantId) -> Result<()> {
    let sql = "SELECT 1 FROM business.tenants t WHERE t.tenant_id = $1 AND t.state = 'active'";
    match tx.fetch_optional(query(sql).bind(tenant.uuid())).await? {
        Some(_) => Ok(()),
        None => Err(super::object_type::no_schema()),
    }
}

/// Notes that the tenant is gone: no more provisioning, no more type changes.
///
/// # Errors
/// As every statement.
pub async fn mark_dropped(tx: &mut SystemTx, tenant: TenantId) -> Result<()> {
    let sql = "INSERT INTO business.tenants (tenant_id, state, drop_time) VALUES ($1, 'dropped', pg_catalog.now()) \
               ON CONFLICT (tenant_id) DO UPDATE SET state = 'dropped', drop_time = pg_catalog.now()";
    tx.execute(query(sql).bind(tenant.uuid())).await.map(|_| ())
}

/// Drops some tables of a tenant's live or detached schema; how many are left after that. Each table costs locks, so
/// they go in chunks.
///
/// # Errors
/// As every statement.
pub async fn drop_tables(tx: &mut SystemTx, schema: &str) -> Result<i64> {
    let sql = "SELECT c.relname, pg_catalog.count(*) OVER () FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relkind = 'r' ORDER BY c.relname LIMIT $2";
    let rows = tx.fetch_all(query(sql).bind(schema.to_owned()).bind(TABLES)).await?;
    let mut left = 0;
    let mut script = String::new();
    for row in &rows {
        let name: String = row.try_get(0).map_err(map_error)?;
        left = row.try_get::<i64, _>(1).map_err(map_error)? - i64::try_from(rows.len()).unwrap_or(0);
        let known = name.strip_prefix("o_").is_some_and(crate::domain::ident::is_id);
        if !known {
            return Err(Error::internal(format!("{schema}.{name} is no table of ours")));
        }
        // CASCADE only reaches foreign keys inside this schema.
        script.push_str(&format!("DROP TABLE {schema}.{name} CASCADE;\n"));
    }
    if !script.is_empty() {
        tx.execute_script(script).await?;
    }
    Ok(left)
}

/// Drops a schema that [`drop_tables`] has emptied.
///
/// # Errors
/// As every statement.
pub async fn drop_schema(tx: &mut SystemTx, schema: &str) -> Result<()> {
    tx.execute_script(format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))
        .await
}

/// Deletes some of the tenant's rows in our own tables; 0 when none is left.
///
/// # Errors
/// As every statement.
pub async fn delete_rows(tx: &mut SystemTx, tenant: TenantId) -> Result<u64> {
    for table in OWN {
        // An import row takes its chunks along, so few at a time.
        let limit = if *table == "import_chunks" { 20 } else { CHUNK };
        let sql = format!(
            "DELETE FROM business.{table} t WHERE t.ctid = ANY (ARRAY(SELECT s.ctid FROM business.{table} s WHERE s.tenant_id = $1 LIMIT $2))"
        );
        let deleted = tx.execute(query(sql).bind(tenant.uuid()).bind(limit)).await?;
        if deleted > 0 {
            return Ok(deleted);
        }
    }
    Ok(0)
}
