//! Uploaded files: a row and sealed chunks.

use super::corrupt;
use crate::domain::import::{Column, Import, ImportState};
use chrono::{DateTime, Utc};
use sqlx::Row;
use tenantry_db::{PgRow, Statements, Tx, map_error, query};
use tenantry_kernel::{Error, Result, TenantId};
use uuid::Uuid;

const COLUMNS: &str = "i.id, i.filename, i.size_bytes, i.row_count, i.columns, i.state, i.operation_id, i.create_time";

/// Begins an upload.
///
/// # Errors
/// As every statement.
pub async fn insert(tx: &mut Tx, import: &Import, creator: &str) -> Result<()> {
    let sql = "INSERT INTO business.imports (tenant_id, id, filename, size_bytes, row_count, columns, state, creator, create_time) \
               VALUES ($1, $2, $3, 0, 0, '[]', $4, $5, $6)";
    let insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(import.id)
        .bind(import.filename.clone())
        .bind(import.state.as_str())
        .bind(creator.to_owned())
        .bind(import.create_time);
    tx.execute(insert).await.map(|_| ())
}

/// Removes uploads that were cut off, and files of failed imports but the newest.
///
/// # Errors
/// As every statement.
pub async fn prune(tx: &mut Tx, cut_off_before: DateTime<Utc>, keep_failed: i64) -> Result<()> {
    let sql = "DELETE FROM business.imports i WHERE i.tenant_id = $1 AND (i.state = 'uploading' AND i.create_time < $2 \
                 OR i.state = 'failed' AND i.id NOT IN (SELECT k.id FROM business.imports k WHERE k.tenant_id = $1 AND k.state = 'failed' \
                                                         ORDER BY k.create_time DESC, k.id DESC LIMIT $3))";
    let prune = query(sql)
        .bind(tx.tenant().uuid())
        .bind(cut_off_before)
        .bind(keep_failed);
    tx.execute(prune).await.map(|_| ())
}

/// How many files the tenant keeps here that wait to be imported, or are.
///
/// # Errors
/// As every statement.
pub async fn count_waiting(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT pg_catalog.count(*) FROM business.imports i WHERE i.tenant_id = $1 AND i.state IN ('uploading', 'uploaded', 'running')";
    tx.fetch_one(query(sql).bind(tx.tenant().uuid()))
        .await?
        .try_get(0)
        .map_err(map_error)
}

/// Adds a sealed chunk.
///
/// # Errors
/// As every statement.
pub async fn insert_chunk(tx: &mut Tx, import: Uuid, seq: i32, sealed: Vec<u8>) -> Result<()> {
    let sql = "INSERT INTO business.import_chunks (tenant_id, import_id, seq, sealed) VALUES ($1, $2, $3, $4)";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(import).bind(seq).bind(sealed))
        .await
        .map(|_| ())
}

/// A sealed chunk; none behind the last one.
///
/// # Errors
/// As every statement.
pub async fn fetch_chunk(tx: &mut Tx, import: Uuid, seq: i32) -> Result<Option<Vec<u8>>> {
    let sql =
        "SELECT c.sealed FROM business.import_chunks c WHERE c.tenant_id = $1 AND c.import_id = $2 AND c.seq = $3";
    let row = tx
        .fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(import).bind(seq))
        .await?;
    row.map(|row| row.try_get(0)).transpose().map_err(map_error)
}

/// Removes the chunks of a finished import.
///
/// # Errors
/// As every statement.
pub async fn delete_chunks(tx: &mut Tx, import: Uuid) -> Result<()> {
    let sql = "DELETE FROM business.import_chunks c WHERE c.tenant_id = $1 AND c.import_id = $2";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(import))
        .await
        .map(|_| ())
}

/// Removes an upload that failed, chunks included.
///
/// # Errors
/// As every statement.
pub async fn delete(tx: &mut Tx, import: Uuid) -> Result<()> {
    let sql = "DELETE FROM business.imports i WHERE i.tenant_id = $1 AND i.id = $2";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(import))
        .await
        .map(|_| ())
}

/// Ends an upload with what was understood.
///
/// # Errors
/// As every statement.
pub async fn complete(tx: &mut Tx, import: &Import) -> Result<()> {
    let sql = "UPDATE business.imports i SET state = $3, size_bytes = $4, row_count = $5, columns = $6 WHERE i.tenant_id = $1 AND i.id = $2";
    let columns = serde_json::to_value(&import.columns).map_err(Error::internal)?;
    let complete = query(sql)
        .bind(tx.tenant().uuid())
        .bind(import.id)
        .bind(import.state.as_str())
        .bind(import.size_bytes)
        .bind(import.row_count)
        .bind(columns);
    tx.execute(complete).await.map(|_| ())
}

/// One import; one that is still being uploaded is not there yet.
///
/// # Errors
/// As every statement.
pub async fn fetch(tx: &mut impl Statements, tenant: TenantId, id: Uuid) -> Result<Option<Import>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM business.imports i WHERE i.tenant_id = $1 AND i.id = $2 AND i.state <> 'uploading'"
    );
    let row = tx.fetch_optional(query(sql).bind(tenant.uuid()).bind(id)).await?;
    row.as_ref().map(decode).transpose()
}

/// Starts an import that is not running and not done; whether it could be.
///
/// # Errors
/// As every statement.
pub async fn start(tx: &mut impl Statements, tenant: TenantId, id: Uuid, operation: Uuid) -> Result<bool> {
    let sql = "UPDATE business.imports i SET state = 'running', operation_id = $3 WHERE i.tenant_id = $1 AND i.id = $2 AND i.state IN ('uploaded', 'failed') \
               AND EXISTS (SELECT 1 FROM business.import_chunks c WHERE c.tenant_id = $1 AND c.import_id = $2)";
    Ok(tx
        .execute(query(sql).bind(tenant.uuid()).bind(id).bind(operation))
        .await?
        == 1)
}

/// Sets the state at the end of its operation.
///
/// # Errors
/// As every statement.
pub async fn set_state(tx: &mut Tx, id: Uuid, state: ImportState) -> Result<()> {
    let sql = "UPDATE business.imports i SET state = $3 WHERE i.tenant_id = $1 AND i.id = $2";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(id).bind(state.as_str()))
        .await
        .map(|_| ())
}

fn decode(row: &PgRow) -> Result<Import> {
    let (columns, state): (serde_json::Value, String) =
        (row.try_get(4).map_err(map_error)?, row.try_get(5).map_err(map_error)?);
    let columns: Vec<Column> = serde_json::from_value(columns).map_err(|_| corrupt("an import"))?;
    let state = ImportState::parse(&state).ok_or_else(|| corrupt("an import"))?;
    let read = || -> sqlx::Result<Import> {
        Ok(Import {
            id: row.try_get(0)?,
            filename: row.try_get(1)?,
            size_bytes: row.try_get(2)?,
            row_count: row.try_get(3)?,
            columns,
            state,
            operation: row.try_get(6)?,
            create_time: row.try_get(7)?,
        })
    };
    read().map_err(map_error)
}
