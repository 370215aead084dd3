//! A long-running operation.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tenantry_kernel::{Error, Reason};
use tenantry_operations::State;
use uuid::Uuid;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Verb {
    CreateSnapshot,
    VerifySnapshot,
    RestoreSnapshot,
}

impl Verb {
    /// Column text and `OperationMetadata.verb`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateSnapshot => "create_snapshot",
            Self::VerifySnapshot => "verify_snapshot",
            Self::RestoreSnapshot => "restore_snapshot",
        }
    }
    /// From column text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::CreateSnapshot, Self::VerifySnapshot, Self::RestoreSnapshot]
            .into_iter()
            .find(|verb| verb.as_str() == text)
    }
}

/// Where a restore goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "target", rename_all = "snake_case")]
pub enum Target {
    /// The tenant itself.
    #[default]
    InPlace,
    /// A tenant that is made for it.
    NewTenant {
        /// First label of its host.
        slug: String,
        /// Name for people; may be empty.
        display_name: String,
        /// The member who asked, its first owner.
        user: Uuid,
    },
}

/// What a restore has done so far; written before the next step begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The snapshot of the data that is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_restore: Option<Uuid>,
    /// The registry was asked for the clone: it may be there although its id was never noted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// The registry's id of the clone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub clone: String,
    /// The new tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Uuid>,
    /// Business may have replaced the data: from here on nobody can cancel, and what became of it is asked first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub committed: bool,
    /// How far it ever was; see [`Checkpoint::height`].
    #[serde(default)]
    pub high: u32,
    /// It has failed for good or was cancelled; from here on it only takes back what it has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Failure>,
}

impl Checkpoint {
    /// How far this is. Only what no later try does again counts: a copy of the present data is taken by each try anew.
    #[must_use]
    pub fn height(&self) -> u32 {
        if self.ending.is_some() {
            4
        } else if self.committed {
            3
        } else if !self.clone.is_empty() {
            2
        } else {
            u32::from(self.asked)
        }
    }
    /// Nothing is left to cancel.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.committed || self.ending.is_some()
    }
}

/// What came of a restore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Of the data that was replaced.
    #[serde(default)]
    pub before_restore: Option<Uuid>,
    /// The new tenant.
    #[serde(default)]
    pub tenant: Option<Uuid>,
    /// Its slug.
    #[serde(default)]
    pub slug: String,
    /// The owner's one-time link, sealed under the tenant's backup key: whoever opens it owns the new tenant.
    #[serde(default)]
    pub sealed_invite: String,
    /// Records written.
    pub records: i64,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "as in OperationMetadata")]
pub struct Operation {
    pub id: Uuid,
    pub verb: Verb,
    pub snapshot: Uuid,
    pub state: State,
    pub step: String,
    pub attempt: i32,
    pub last_error: String,
    pub done_units: i64,
    pub total_units: i64,
    pub cancel_requested: bool,
    pub input: Target,
    pub checkpoint: Checkpoint,
    pub result: Option<Json>,
    pub creator: String,
    pub create_time: DateTime<Utc>,
    pub update_time: DateTime<Utc>,
}

impl Operation {
    /// One that is to be started.
    #[must_use]
    pub fn new(id: Uuid, verb: Verb, snapshot: Uuid, creator: String, now: DateTime<Utc>) -> Self {
        let step = if verb == Verb::CreateSnapshot {
            "capture"
        } else {
            "verify"
        };
        Self {
            id,
            verb,
            snapshot,
            state: State::Running,
            step: step.to_owned(),
            attempt: 0,
            last_error: String::new(),
            done_units: 0,
            total_units: 0,
            cancel_requested: false,
            input: Target::InPlace,
            checkpoint: Checkpoint::default(),
            result: None,
            creator,
            create_time: now,
            update_time: now,
        }
    }
}

/// How an operation failed, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable reason.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Failure {
    /// From an error; what is our own fault stays inside.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        Self {
            reason: error.reason().as_str().to_owned(),
            message: error.public().to_owned(),
        }
    }
    /// As an error again.
    #[must_use]
    pub fn error(self) -> Error {
        Error::new(Reason::parse(&self.reason).unwrap_or(Reason::Internal), self.message)
    }
}

/// Whether trying again later can help. What the other services think of our sign-in passes, too.
#[must_use]
pub fn is_transient(error: &Error) -> bool {
    tenantry_operations::is_transient(error)
        || matches!(error.reason(), Reason::RevocationStale | Reason::CredentialsInvalid)
}
