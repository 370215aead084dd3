//! An uploaded file and what its import is going to do.

use super::{Field, FieldType, ObjectType, cell::Dialect, object_type::Definition};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use tenantry_kernel::{Error, Result};
use uuid::Uuid;

/// Largest file.
pub const MAX_BYTES: u64 = 100 * 1024 * 1024;
/// Largest chunk a client may send.
pub const MAX_CHUNK: usize = 1024 * 1024;
/// Most columns.
pub const MAX_COLUMNS: usize = 200;
/// Up to this many rows are one transaction.
pub const ONE_TRANSACTION: i64 = 50_000;
/// Above it, rows of one batch.
pub const BATCH: usize = 10_000;
/// Wrong rows that are reported.
pub const MAX_ERRORS: usize = 100;

/// One column of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// As in the file.
    pub header: String,
    /// Empty = left out.
    pub field_id: String,
    /// Inferred or chosen.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// First values.
    #[serde(default)]
    pub samples: Vec<String>,
}

/// Where an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the proto says what each is")]
pub enum ImportState {
    Uploading,
    Uploaded,
    Running,
    Succeeded,
    Failed,
}

impl ImportState {
    /// Column text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Uploaded => "uploaded",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
    /// From column text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Uploading,
            Self::Uploaded,
            Self::Running,
            Self::Succeeded,
            Self::Failed,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }
}

/// An uploaded file.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// Its id.
    pub id: Uuid,
    /// As the client called it.
    pub filename: String,
    /// Bytes.
    pub size_bytes: i64,
    /// Rows behind the header.
    pub row_count: i64,
    /// What was understood.
    pub columns: Vec<Column>,
    /// See [`ImportState`].
    pub state: ImportState,
    /// Once started.
    pub operation: Option<Uuid>,
    /// When it was uploaded.
    pub create_time: DateTime<Utc>,
}

/// What a started import does; the input of its operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The file.
    pub import: Uuid,
    /// Type id.
    pub object_type: String,
    /// The incarnation of the type the columns were checked against.
    pub type_key: Uuid,
    /// The type was made for this file.
    #[serde(default)]
    pub made_type: bool,
    /// Names of the columns, for messages.
    pub headers: Vec<String>,
    /// For each column of the file the field it goes to; `None` leaves it out.
    pub fields: Vec<Option<String>>,
    /// How cells are read.
    pub dialect: Dialect,
    /// Rows in the file.
    pub rows: i64,
}

/// What a finished import did; the result of its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Rows written.
    pub imported: i64,
    /// All in one transaction.
    pub one_transaction: bool,
}

/// Applies the caller's columns over the inferred ones.
///
/// # Errors
/// Headers that the file does not have, or that are there twice.
pub fn resolve_columns(inferred: &[Column], given: &[Column]) -> Result<Vec<Column>> {
    if given.is_empty() {
        return Ok(inferred.to_vec());
    }
    let mut seen = HashSet::new();
    for (i, column) in given.iter().enumerate() {
        let known = inferred.iter().any(|own| own.header == column.header);
        if !known || !seen.insert(column.header.as_str()) {
            let headers: Vec<_> = inferred.iter().map(|own| own.header.as_str()).collect();
            return Err(Error::invalid_field(
                format!("columns[{i}].header"),
                format!("must be a header of the file, each once: {}", headers.join(", ")),
            ));
        }
    }
    // A column the caller does not list is left out.
    let choose = |own: &Column| match given.iter().find(|column| column.header == own.header) {
        Some(column) => Column {
            samples: own.samples.clone(),
            ..column.clone()
        },
        None => Column {
            field_id: String::new(),
            ..own.clone()
        },
    };
    Ok(inferred.iter().map(choose).collect())
}

/// The definition that `create_type` makes.
#[must_use]
pub fn definition_of(columns: &[Column]) -> Definition {
    let fields = columns
        .iter()
        .filter(|column| !column.field_id.is_empty())
        .map(|column| {
            let mut field = Field::new(&column.field_id, column.kind);
            field
                .display_name
                .clone_from(&column.header.chars().take(200).filter(|c| !c.is_control()).collect());
            field
        });
    Definition {
        fields: fields.collect(),
        ..Definition::default()
    }
}

/// Maps every column to a field of the type.
///
/// # Errors
/// Unknown fields, two columns for one field, required fields without a column.
pub fn map_columns(columns: &[Column], object_type: &ObjectType) -> Result<Vec<Option<String>>> {
    let mut bad = super::Violations::default();
    let mut used = HashSet::new();
    for (i, column) in columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !column.field_id.is_empty())
    {
        let at = format!("columns[{i}].field_id");
        if object_type.field(&column.field_id).is_none() {
            let known: Vec<_> = object_type.fields().iter().map(|field| field.id.as_str()).collect();
            bad.unknown(
                at,
                format!(
                    "{} (column {:?}) is not a field of {}; it has {}. Leave field_id empty to leave the column out",
                    column.field_id,
                    column.header,
                    object_type.name(),
                    known.join(", ")
                ),
            );
        } else if !used.insert(column.field_id.as_str()) {
            bad.invalid(at, format!("two columns go to {}", column.field_id));
        }
    }
    for field in object_type
        .fields()
        .iter()
        .filter(|field| field.required && field.default_value.is_null())
    {
        if !used.contains(field.id.as_str()) {
            bad.invalid("columns", format!("{} is required and has no column", field.id));
        }
    }
    if used.is_empty() {
        bad.invalid("columns", "no column goes to a field");
    }
    bad.finish()?;
    Ok(columns
        .iter()
        .map(|column| (!column.field_id.is_empty()).then(|| column.field_id.clone()))
        .collect())
}

/// One wrong value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowError {
    /// Line in the file, the header is line 1.
    pub line: u64,
    /// Header.
    pub column: String,
    /// What is wrong and what is accepted.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kernel::Reason;

    fn column(header: &str, field_id: &str) -> Column {
        Column {
            header: header.into(),
            field_id: field_id.into(),
            kind: FieldType::String,
            samples: vec![],
        }
    }

    #[test]
    fn columns_are_mapped_or_refused_with_names() {
        let file = [column("IATA", "iata"), column("Name", "name")];
        let mut required = Field::new("iata", FieldType::String);
        required.required = true;
        let definition = Definition {
            fields: vec![required, Field::new("name", FieldType::String)],
            ..Definition::default()
        };
        let airports = ObjectType {
            id: "airports".into(),
            key: Uuid::nil(),
            version: 1,
            definition,
            create_time: DateTime::UNIX_EPOCH,
            update_time: DateTime::UNIX_EPOCH,
        };
        assert_eq!(
            map_columns(&file, &airports).expect("as inferred"),
            [Some("iata".to_owned()), Some("name".to_owned())]
        );
        let chosen = resolve_columns(&file, &[column("Name", "name")]).expect("known header");
        assert!(
            map_columns(&chosen, &airports).expect_err("iata is required").fields()[0]
                .description
                .contains("iata")
        );
        assert!(resolve_columns(&file, &[column("City", "city")]).is_err());
        assert!(map_columns(&[column("IATA", "iata"), column("Name", "iata")], &airports).is_err());
        let unknown = map_columns(&[column("IATA", "iata"), column("Name", "nom")], &airports).expect_err("unknown");
        assert_eq!(unknown.reason(), Reason::UnknownField);
    }
}
