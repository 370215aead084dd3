//! A long-running operation.

use super::import::RowError;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tenantry_kernel::{Error, Reason};
use tenantry_operations::State;
use uuid::Uuid;

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Its id.
    pub id: Uuid,
    /// `import_records`
    pub verb: String,
    /// Resource name.
    pub target: String,
    /// See [`State`].
    pub state: State,
    /// Current step.
    pub step: String,
    /// Tries of the current step.
    pub attempt: i32,
    /// In words for people.
    pub last_error: String,
    /// So far.
    pub done_units: i64,
    /// In all.
    pub total_units: i64,
    /// Somebody asked it to stop.
    pub cancel_requested: bool,
    /// What to do.
    pub input: Json,
    /// What came of it.
    pub result: Option<Json>,
    /// Whose doing it is: `users/{user}` or empty.
    pub creator: String,
    /// When it was asked for.
    pub create_time: DateTime<Utc>,
    /// When it last moved.
    pub update_time: DateTime<Utc>,
}

/// How an operation failed, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable reason.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Wrong rows, the first hundred.
    #[serde(default)]
    pub rows: Vec<RowError>,
}

impl Failure {
    /// From an error; what is our own fault stays inside.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        Self {
            reason: error.reason().as_str().to_owned(),
            message: error.public().to_owned(),
            rows: Vec::new(),
        }
    }
    /// Wrong rows of a file.
    #[must_use]
    pub fn of_rows(rows: Vec<RowError>) -> Self {
        let message = match rows.first() {
            Some(first) => format!(
                "The file has wrong rows; nothing was written. Line {}, column {}: {}",
                first.line, first.column, first.message
            ),
            None => "The file has wrong rows; nothing was written.".to_owned(),
        };
        Self {
            reason: Reason::ImportInvalid.as_str().to_owned(),
            message,
            rows,
        }
    }
}
