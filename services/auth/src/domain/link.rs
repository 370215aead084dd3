//! One-time links: invitations and password resets.

use super::UserState;
use chrono::{DateTime, Duration, Utc};
use tenantry_kernel::{Error, Reason, UserId};
use uuid::Uuid;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// Sets the first password.
    Invite,
    /// Replaces the password.
    Reset,
}

impl LinkKind {
    /// The column text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Reset => "reset",
        }
    }
    /// Parses the column text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Invite, Self::Reset]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
    /// How long it works.
    #[must_use]
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::Invite => Duration::hours(72),
            Self::Reset => Duration::minutes(15),
        }
    }
    /// The state in which a member can use it.
    #[must_use]
    pub const fn needs(self) -> UserState {
        match self {
            Self::Invite => UserState::Invited,
            Self::Reset => UserState::Active,
        }
    }
}

/// A stored link.
#[derive(Clone, Debug)]
pub struct Link {
    /// Id.
    pub id: Uuid,
    /// For whom.
    pub user: UserId,
    /// What for.
    pub kind: LinkKind,
    /// SHA-256 of the token.
    pub token_hash: Vec<u8>,
    /// When it ends.
    pub expire_time: DateTime<Utc>,
    /// When it was used.
    pub use_time: Option<DateTime<Utc>>,
}

impl Link {
    /// Whether a member in `state` may use it now.
    #[must_use]
    pub fn is_usable(&self, state: UserState, now: DateTime<Utc>) -> bool {
        self.use_time.is_none() && now < self.expire_time && state == self.kind.needs()
    }
}

/// The one answer for links that are used, expired, foreign or invented.
#[must_use]
pub fn invalid() -> Error {
    Error::new(
        Reason::LinkInvalid,
        "The link was used already or has expired. Ask an admin of your organisation for a new one.",
    )
}
