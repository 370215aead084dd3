//! Rows on their way out of a snapshot.

use super::{record, relation};
use crate::domain::ObjectType;
use chrono::{DateTime, Utc};
use sqlx::Row;
use tenantry_db::{CopyOut, Tx, map_error, query};
use tenantry_kernel::Result;

/// Columns of a type's rows, in the order of [`rows`]. The tenant is not among them: who restores says whose they are.
#[must_use]
pub fn columns(object_type: &ObjectType) -> Vec<String> {
    record::column_names(object_type)
}

/// When the snapshot was taken.
///
/// # Errors
/// As every statement.
pub async fn time(tx: &mut Tx) -> Result<DateTime<Utc>> {
    tx.fetch_one(query("SELECT pg_catalog.now()"))
        .await?
        .try_get(0)
        .map_err(map_error)
}

/// Every row of a type as COPY text.
///
/// # Errors
/// As every statement.
pub async fn rows<'t>(tx: &'t mut Tx, object_type: &ObjectType) -> Result<CopyOut<'t>> {
    let tenant = tx.tenant();
    // COPY takes no parameters; a UUID is safe in SQL text.
    let sql = format!(
        "COPY (SELECT {} FROM {} WHERE tenant_id = '{}') TO STDOUT",
        columns(object_type).join(", "),
        relation(tenant, &object_type.id),
        tenant.uuid()
    );
    tx.copy_out(&sql).await
}
