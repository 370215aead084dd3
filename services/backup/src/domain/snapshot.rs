//! A snapshot as its row shows it. The row is a hint for people: restore believes the signed manifest.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tenantry_kernel::{Error, Reason};
use uuid::Uuid;

/// How it came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    OnDemand,
    Scheduled,
    BeforeRestore,
}

impl Kind {
    /// Column text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on_demand",
            Self::Scheduled => "scheduled",
            Self::BeforeRestore => "before_restore",
        }
    }
    /// From column text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::OnDemand, Self::Scheduled, Self::BeforeRestore]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// Where it is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum State {
    Running,
    Ready,
    Failed,
    Corrupt,
    Deleting,
}

impl State {
    /// Column text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Corrupt => "corrupt",
            Self::Deleting => "deleting",
        }
    }
    /// From column text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Ready, Self::Failed, Self::Corrupt, Self::Deleting]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// Records of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeCount {
    /// Id.
    pub object_type: String,
    /// Records.
    pub records: i64,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as in the proto")]
pub struct Snapshot {
    pub id: Uuid,
    pub description: String,
    pub kind: Kind,
    pub state: State,
    pub snapshot_time: Option<DateTime<Utc>>,
    pub create_time: DateTime<Utc>,
    pub expire_time: Option<DateTime<Utc>>,
    pub verify_time: Option<DateTime<Utc>>,
    pub problem: String,
    pub types: Vec<TypeCount>,
    pub records: i64,
    pub size_bytes: i64,
    pub stored_bytes: i64,
    pub operation: Uuid,
}

impl Snapshot {
    /// One that is about to be written.
    #[must_use]
    pub fn new(id: Uuid, kind: Kind, description: String, operation: Uuid, now: DateTime<Utc>) -> Self {
        Self {
            id,
            description,
            kind,
            state: State::Running,
            snapshot_time: None,
            create_time: now,
            expire_time: None,
            verify_time: None,
            problem: String::new(),
            types: Vec::new(),
            records: 0,
            size_bytes: 0,
            stored_bytes: 0,
            operation,
        }
    }
    /// `snapshots/{snapshot}`
    #[must_use]
    pub fn name(&self) -> String {
        name(self.id)
    }
    /// It can be restored.
    ///
    /// # Errors
    /// `SNAPSHOT_CORRUPT`, `SNAPSHOT_NOT_READY`.
    pub fn restorable(&self) -> Result<(), Error> {
        match self.state {
            State::Ready => Ok(()),
            State::Corrupt => Err(Error::new(Reason::SnapshotCorrupt, self.problem.clone())),
            _ => Err(not_ready(self.state)),
        }
    }
    /// It can be read and checked.
    ///
    /// # Errors
    /// `SNAPSHOT_NOT_READY`.
    pub fn verifiable(&self) -> Result<(), Error> {
        match self.state {
            State::Ready | State::Corrupt => Ok(()),
            _ => Err(not_ready(self.state)),
        }
    }
}

/// `snapshots/{snapshot}`
#[must_use]
pub fn name(id: Uuid) -> String {
    format!("snapshots/{id}")
}

/// The refusal of what needs another state.
#[must_use]
pub fn not_ready(state: State) -> Error {
    let text = match state {
        State::Running => "The snapshot is still being written. Wait for its operation, or cancel it.",
        State::Failed => "The snapshot did not come to be. Take a new one.",
        State::Deleting => "The snapshot is being removed.",
        State::Ready | State::Corrupt => "Another operation works on the snapshot. Wait for it.",
    };
    Error::new(Reason::SnapshotNotReady, text)
}
