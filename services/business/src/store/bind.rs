//! Values into parameters and rows into values.

use crate::domain::{Kind, Value};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value as Json;
use sqlx::Row;
use tenantry_db::{PgRow, Query, map_error};
use tenantry_kernel::Result;
use uuid::Uuid;

/// Binds one value; a null is bound with its column's type.
pub(crate) fn value<'q>(query: Query<'q>, value: &Value, kind: Kind) -> Query<'q> {
    match value {
        Value::Null => null(query, kind),
        Value::Text(text) => query.bind(text.clone()),
        Value::Int(int) => query.bind(*int),
        Value::Float(float) => query.bind(*float),
        Value::Bool(truth) => query.bind(*truth),
        Value::Date(date) => query.bind(*date),
        Value::Time(time) => query.bind(*time),
        Value::Uuid(id) => query.bind(*id),
        Value::Json(json) => query.bind(json.clone()),
    }
}

fn null(query: Query<'_>, kind: Kind) -> Query<'_> {
    match kind {
        Kind::Text => query.bind(None::<String>),
        Kind::Int => query.bind(None::<i64>),
        Kind::Float => query.bind(None::<f64>),
        Kind::Bool => query.bind(None::<bool>),
        Kind::Date => query.bind(None::<NaiveDate>),
        Kind::Time => query.bind(None::<DateTime<Utc>>),
        Kind::Uuid => query.bind(None::<Uuid>),
        Kind::Json => query.bind(None::<Json>),
    }
}

macro_rules! column_of {
    ($values:expr, $query:expr, $variant:ident) => {
        $query.bind(
            $values
                .iter()
                .map(|value| match value {
                    Value::$variant(inner) => Some(inner.clone()),
                    _ => None,
                })
                .collect::<Vec<_>>(),
        )
    };
}

/// Binds one column of many rows as an array.
pub(crate) fn array<'q>(query: Query<'q>, values: &[Value], kind: Kind) -> Query<'q> {
    match kind {
        Kind::Text => column_of!(values, query, Text),
        Kind::Int => column_of!(values, query, Int),
        Kind::Float => column_of!(values, query, Float),
        Kind::Bool => column_of!(values, query, Bool),
        Kind::Date => column_of!(values, query, Date),
        Kind::Time => column_of!(values, query, Time),
        Kind::Uuid => column_of!(values, query, Uuid),
        Kind::Json => column_of!(values, query, Json),
    }
}

/// Reads the column at `index`.
pub(crate) fn read(row: &PgRow, index: usize, kind: Kind) -> Result<Value> {
    let value = match kind {
        Kind::Text => row
            .try_get::<Option<String>, _>(index)
            .map(|value| value.map(Value::Text)),
        Kind::Int => row.try_get::<Option<i64>, _>(index).map(|value| value.map(Value::Int)),
        Kind::Float => row
            .try_get::<Option<f64>, _>(index)
            .map(|value| value.map(Value::Float)),
        Kind::Bool => row
            .try_get::<Option<bool>, _>(index)
            .map(|value| value.map(Value::Bool)),
        Kind::Date => row
            .try_get::<Option<NaiveDate>, _>(index)
            .map(|value| value.map(Value::Date)),
        Kind::Time => row
            .try_get::<Option<DateTime<Utc>>, _>(index)
            .map(|value| value.map(Value::Time)),
        Kind::Uuid => row
            .try_get::<Option<Uuid>, _>(index)
            .map(|value| value.map(Value::Uuid)),
        Kind::Json => row
            .try_get::<Option<Json>, _>(index)
            .map(|value| value.map(Value::Json)),
    };
    Ok(value.map_err(map_error)?.unwrap_or(Value::Null))
}
