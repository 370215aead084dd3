//! One line of the change log.

use super::Record;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Added.
    Created,
    /// Changed.
    Updated,
    /// Removed.
    Deleted,
}

impl ChangeKind {
    /// Column text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
    /// From column text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Deleted]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// One change as it was logged.
#[derive(Clone, Debug)]
pub struct Change {
    /// Place in the log.
    pub seq: i64,
    /// What happened.
    pub kind: ChangeKind,
    /// Type id.
    pub object_type: String,
    /// The record.
    pub id: Uuid,
    /// After the change; none after a delete.
    pub record: Option<Record>,
    /// When it was written.
    pub time: DateTime<Utc>,
}
