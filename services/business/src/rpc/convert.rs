//! Domain values and their proto forms.

use super::json;
use crate::domain::{
    Field, FieldType, ObjectType, Record,
    import::{Column, Import, ImportState},
    object_type::{Definition, etag},
};
use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use std::time::SystemTime;
use tenantry_api::business as pb;
use tenantry_kernel::{Error, Result};

pub(super) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    SystemTime::from(time).into()
}

pub(super) fn record(record: Record) -> pb::Record {
    pb::Record {
        name: record.name(),
        etag: etag(record.version),
        fields: Some(json::to_struct(record.fields)),
        create_time: Some(timestamp(record.create_time)),
        update_time: Some(timestamp(record.update_time)),
        creator: record.creator,
    }
}

pub(super) fn object_type(object_type: ObjectType) -> pb::ObjectType {
    pb::ObjectType {
        name: object_type.name(),
        etag: object_type.etag(),
        display_name: object_type.definition.display_name,
        description: object_type.definition.description,
        fields: object_type.definition.fields.into_iter().map(field).collect(),
        create_time: Some(timestamp(object_type.create_time)),
        update_time: Some(timestamp(object_type.update_time)),
    }
}

fn field(field: Field) -> pb::Field {
    pb::Field {
        r#type: field_type(field.kind).into(),
        required: field.required,
        unique: field.unique,
        indexed: field.indexed,
        max_length: i32::try_from(field.max_length).unwrap_or(i32::MAX),
        scale: i32::try_from(field.scale).unwrap_or(0),
        enum_values: field.enum_values,
        reference_type: if field.reference_type.is_empty() {
            String::new()
        } else {
            format!("objectTypes/{}", field.reference_type)
        },
        display_name: field.display_name,
        description: field.description,
        default_value: (!field.default_value.is_null()).then(|| json::to_value(field.default_value)),
        field_id: field.id,
    }
}

pub(super) fn definition(given: pb::ObjectType) -> Result<Definition> {
    let fields = given.fields.into_iter().enumerate();
    let fields = fields
        .map(|(i, field)| field_from(field, &format!("object_type.fields[{i}]")))
        .collect::<Result<_>>()?;
    Ok(Definition {
        display_name: given.display_name,
        description: given.description,
        fields,
    })
}

fn field_from(given: pb::Field, path: &str) -> Result<Field> {
    let kind = field_type_from(given.r#type)
        .ok_or_else(|| Error::invalid_field(format!("{path}.type"), "must be one of the field types"))?;
    let number = |name: &str, value: i32| {
        u32::try_from(value).map_err(|_| Error::invalid_field(format!("{path}.{name}"), "must not be negative"))
    };
    let target = given.reference_type.strip_prefix("objectTypes/");
    if target.is_none() && !given.reference_type.is_empty() {
        return Err(Error::invalid_field(
            format!("{path}.reference_type"),
            "must be objectTypes/{type}",
        ));
    }
    let default_value = match given.default_value {
        None => serde_json::Value::Null,
        Some(value) => json::json(value)
            .ok_or_else(|| Error::invalid_field(format!("{path}.default_value"), "must not contain NaN or infinity"))?,
    };
    Ok(Field {
        kind,
        required: given.required,
        unique: given.unique,
        indexed: given.indexed,
        max_length: number("max_length", given.max_length)?,
        scale: number("scale", given.scale)?,
        enum_values: given.enum_values,
        reference_type: target.unwrap_or_default().to_owned(),
        display_name: given.display_name,
        description: given.description,
        default_value,
        id: given.field_id,
    })
}

const TYPES: [(FieldType, pb::FieldType); 12] = [
    (FieldType::String, pb::FieldType::String),
    (FieldType::Text, pb::FieldType::Text),
    (FieldType::Int64, pb::FieldType::Int64),
    (FieldType::Double, pb::FieldType::Double),
    (FieldType::Decimal, pb::FieldType::Decimal),
    (FieldType::Bool, pb::FieldType::Bool),
    (FieldType::Date, pb::FieldType::Date),
    (FieldType::Timestamp, pb::FieldType::Timestamp),
    (FieldType::Uuid, pb::FieldType::Uuid),
    (FieldType::Enum, pb::FieldType::Enum),
    (FieldType::Reference, pb::FieldType::Reference),
    (FieldType::Json, pb::FieldType::Json),
];

fn field_type(kind: FieldType) -> pb::FieldType {
    TYPES
        .iter()
        .find(|(own, _)| *own == kind)
        .map_or(pb::FieldType::Unspecified, |(_, wire)| *wire)
}

fn field_type_from(number: i32) -> Option<FieldType> {
    TYPES
        .iter()
        .find(|(_, wire)| i32::from(*wire) == number)
        .map(|(own, _)| *own)
}

pub(super) fn import(import: Import) -> pb::Import {
    let state = match import.state {
        ImportState::Uploading => pb::ImportState::Unspecified,
        ImportState::Uploaded => pb::ImportState::Uploaded,
        ImportState::Running => pb::ImportState::Running,
        ImportState::Succeeded => pb::ImportState::Succeeded,
        ImportState::Failed => pb::ImportState::Failed,
    };
    let column = |column: Column| pb::ImportColumn {
        r#type: field_type(column.kind).into(),
        header: column.header,
        field_id: column.field_id,
        samples: column.samples,
    };
    pb::Import {
        name: format!("imports/{}", import.id),
        filename: import.filename,
        size_bytes: import.size_bytes,
        row_count: import.row_count,
        columns: import.columns.into_iter().map(column).collect(),
        state: state.into(),
        operation: import.operation.map(super::operation::name).unwrap_or_default(),
        create_time: Some(timestamp(import.create_time)),
    }
}

/// Columns that a caller chose; a column without a type keeps the inferred one only where it is left out.
pub(super) fn columns(given: Vec<pb::ImportColumn>) -> Result<Vec<Column>> {
    let read = |(i, column): (usize, pb::ImportColumn)| {
        let kind = match (field_type_from(column.r#type), column.field_id.is_empty()) {
            (Some(kind), _) => kind,
            (None, true) => FieldType::String,
            (None, false) => {
                return Err(Error::invalid_field(
                    format!("columns[{i}].type"),
                    "must be one of the field types",
                ));
            }
        };
        Ok(Column {
            header: column.header,
            field_id: column.field_id,
            kind,
            samples: Vec::new(),
        })
    };
    given.into_iter().enumerate().map(read).collect()
}
