//! Records: rows of a type's table.

use super::{bind, list::Select, relation};
use crate::domain::{
    Kind, ObjectType, Record, Value,
    order::{Cursor, Order},
    record,
};
use chrono::{DateTime, Utc};
use sqlx::Row;
use tenantry_db::{PgRow, Query, Tx, map_error, query};
use tenantry_kernel::{Result, TenantId};
use uuid::Uuid;

/// Columns every table has, in the order [`decode`] reads them.
const SYSTEM: &str = "id, version, create_time, update_time, creator";
const SYSTEM_COUNT: usize = 5;

/// A record to be inserted.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Its id.
    pub id: Uuid,
    /// One for each field of the type.
    pub values: Vec<Value>,
}

/// Everything a new record gets besides its values.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Now.
    pub time: DateTime<Utc>,
    /// Who.
    pub creator: String,
}

/// `id, ..., f_a, f_b`
fn columns(object_type: &ObjectType) -> String {
    let fields: String = object_type
        .fields()
        .iter()
        .map(|field| format!(", {}", field.column()))
        .collect();
    format!("{SYSTEM}{fields}")
}

/// Names of the columns that hold a record, but for the tenant.
pub(super) fn column_names(object_type: &ObjectType) -> Vec<String> {
    columns(object_type).split(", ").map(ToOwned::to_owned).collect()
}

/// The record a row holds.
fn decode(row: &PgRow, object_type: &ObjectType) -> Result<Record> {
    let fields = object_type.fields().iter().enumerate();
    let values = fields
        .map(|(i, field)| bind::read(row, SYSTEM_COUNT + i, field.column_kind()))
        .collect::<Result<Vec<_>>>()?;
    Ok(Record {
        object_type: object_type.id.clone(),
        id: row.try_get(0).map_err(map_error)?,
        fields: record::render(object_type, &values),
        version: row.try_get(1).map_err(map_error)?,
        create_time: row.try_get(2).map_err(map_error)?,
        update_time: row.try_get(3).map_err(map_error)?,
        creator: row.try_get(4).map_err(map_error)?,
    })
}

/// Adds one record at version 1.
///
/// # Errors
/// `UNIQUE_VIOLATION`, `REFERENCE_NOT_FOUND`; else as every statement.
pub async fn insert(tx: &mut Tx, object_type: &ObjectType, new: &NewRecord, stamp: &Stamp) -> Result<()> {
    let parameters: String = (0..object_type.fields().len())
        .map(|i| format!(", ${}", i + 5))
        .collect();
    let sql = format!(
        "INSERT INTO {} (tenant_id, {}) VALUES ($1, $2, 1, $3, $3, $4{parameters})",
        relation(tx.tenant(), &object_type.id),
        columns(object_type)
    );
    let mut insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(new.id)
        .bind(stamp.time)
        .bind(stamp.creator.clone());
    for (field, value) in object_type.fields().iter().zip(&new.values) {
        insert = bind::value(insert, value, field.column_kind());
    }
    tx.execute(insert).await.map(|_| ())
}

/// Adds many records in one statement.
///
/// # Errors
/// As [`insert`].
pub async fn insert_many(tx: &mut Tx, object_type: &ObjectType, new: &[NewRecord], stamp: &Stamp) -> Result<u64> {
    let count = object_type.fields().len();
    let selected: String = (0..count).map(|i| format!(", u.c{i}")).collect();
    let arrays: String = (0..count).map(|i| format!(", ${}", i + 5)).collect();
    let names: String = (0..count).map(|i| format!(", c{i}")).collect();
    let sql = format!(
        "INSERT INTO {} (tenant_id, {}) SELECT $1, u.id, 1, $2, $2, $3{selected} FROM unnest($4{arrays}) AS u (id{names})",
        relation(tx.tenant(), &object_type.id),
        columns(object_type)
    );
    let ids: Vec<Uuid> = new.iter().map(|record| record.id).collect();
    let mut insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(stamp.time)
        .bind(stamp.creator.clone())
        .bind(ids);
    for (i, field) in object_type.fields().iter().enumerate() {
        let column: Vec<Value> = new.iter().map(|record| record.values[i].clone()).collect();
        insert = bind::array(insert, &column, field.column_kind());
    }
    tx.execute(insert).await
}

/// One record.
///
/// # Errors
/// As every statement.
pub async fn fetch(tx: &mut Tx, object_type: &ObjectType, id: Uuid) -> Result<Option<Record>> {
    let sql = format!(
        "SELECT {} FROM {} WHERE tenant_id = $1 AND id = $2",
        columns(object_type),
        relation(tx.tenant(), &object_type.id)
    );
    let row = tx.fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id)).await?;
    row.map(|row| decode(&row, object_type)).transpose()
}

/// Locks rows in the order of their ids, so that two batches cannot wait for each other.
///
/// # Errors
/// As every statement.
pub async fn lock(tx: &mut Tx, object_type: &ObjectType, ids: &[Uuid]) -> Result<()> {
    let sql = format!(
        "SELECT id FROM {} WHERE tenant_id = $1 AND id = ANY($2) ORDER BY id FOR UPDATE",
        relation(tx.tenant(), &object_type.id)
    );
    tx.fetch_all(query(sql).bind(tx.tenant().uuid()).bind(ids.to_vec()))
        .await
        .map(|_| ())
}

/// Sets columns and raises the version, only at `expected` if given. `None` where no such row is there.
///
/// # Errors
/// As [`insert`].
pub async fn update(
    tx: &mut Tx,
    object_type: &ObjectType,
    id: Uuid,
    changes: &record::Changes,
    expected: Option<i64>,
    now: DateTime<Utc>,
) -> Result<Option<Record>> {
    let assignments: String = changes
        .iter()
        .enumerate()
        .map(|(n, (i, _))| format!("{} = ${}, ", object_type.fields()[*i].column(), n + 5))
        .collect();
    let sql = format!(
        "UPDATE {} SET {assignments}version = version + 1, update_time = $3 WHERE tenant_id = $1 AND id = $2 AND ($4 IS NULL OR version = $4) RETURNING {}",
        relation(tx.tenant(), &object_type.id),
        columns(object_type)
    );
    let mut update = query(sql).bind(tx.tenant().uuid()).bind(id).bind(now).bind(expected);
    for (i, value) in changes {
        update = bind::value(update, value, object_type.fields()[*i].column_kind());
    }
    let row = tx.fetch_optional(update).await?;
    row.map(|row| decode(&row, object_type)).transpose()
}

/// Removes a record, only at `expected` if given; answers the version it had.
///
/// # Errors
/// `STILL_REFERENCED`; else as every statement.
pub async fn delete(tx: &mut Tx, object_type: &ObjectType, id: Uuid, expected: Option<i64>) -> Result<Option<i64>> {
    let sql = format!(
        "DELETE FROM {} WHERE tenant_id = $1 AND id = $2 AND ($3 IS NULL OR version = $3) RETURNING version",
        relation(tx.tenant(), &object_type.id)
    );
    let row = tx
        .fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id).bind(expected))
        .await?;
    row.map(|row| row.try_get(0)).transpose().map_err(map_error)
}

/// One page, with the cursor of each record.
///
/// # Errors
/// As every statement.
pub async fn list(
    tx: &mut Tx,
    object_type: &ObjectType,
    comparisons: &[crate::domain::filter::Comparison],
    order: &Order,
    cursor: Option<&Cursor>,
    limit: i64,
) -> Result<Vec<(Record, Cursor)>> {
    let select = super::list::select(
        &relation(tx.tenant(), &object_type.id),
        &columns(object_type),
        comparisons,
        order,
        cursor,
        limit,
    );
    let rows = tx.fetch_all(bound(&select, tx.tenant())).await?;
    let first_key = SYSTEM_COUNT + object_type.fields().len();
    rows.iter()
        .map(|row| {
            let record = decode(row, object_type)?;
            let keys = order.keys.iter().enumerate();
            let values = keys
                .map(|(i, key)| bind::read(row, first_key + i, key.column.kind))
                .collect::<Result<Vec<_>>>()?;
            let id = record.id;
            Ok((record, Cursor { values, id }))
        })
        .collect()
}

fn bound(select: &Select, tenant: TenantId) -> Query<'static> {
    let start = query(select.sql.clone()).bind(tenant.uuid());
    select
        .binds
        .iter()
        .fold(start, |statement, (value, kind)| bind::value(statement, value, *kind))
}

/// Which of `values` a column already has.
///
/// # Errors
/// As every statement.
pub async fn taken(
    tx: &mut Tx,
    object_type: &ObjectType,
    column: &str,
    kind: Kind,
    values: &[Value],
) -> Result<Vec<Value>> {
    let sql = format!(
        "SELECT {column} FROM {} WHERE tenant_id = $1 AND {column} = ANY($2)",
        relation(tx.tenant(), &object_type.id)
    );
    let rows = tx
        .fetch_all(bind::array(query(sql).bind(tx.tenant().uuid()), values, kind))
        .await?;
    rows.iter().map(|row| bind::read(row, 0, kind)).collect()
}

/// Which of `ids` are records of `type_id`.
///
/// # Errors
/// As every statement.
pub async fn existing(tx: &mut Tx, type_id: &str, ids: &[Value]) -> Result<Vec<Value>> {
    let sql = format!(
        "SELECT id FROM {} WHERE tenant_id = $1 AND id = ANY($2)",
        relation(tx.tenant(), type_id)
    );
    let rows = tx
        .fetch_all(bind::array(query(sql).bind(tx.tenant().uuid()), ids, Kind::Uuid))
        .await?;
    rows.iter().map(|row| bind::read(row, 0, Kind::Uuid)).collect()
}
