//! Signed-in browsers and clients.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use tenantry_kernel::{SessionId, UserId};

/// Sessions a member has at most; a further one ends the one that was idle longest.
pub const MAX_PER_USER: i64 = 50;
/// Last use is written at most this often.
pub const LAST_USED_STEP: Duration = Duration::seconds(60);
/// Longest name a client may give itself, in characters.
pub const MAX_USER_AGENT: usize = 200;

/// How a session's owner proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionKind {
    /// A session token in a cookie.
    Browser,
    /// Access and refresh tokens.
    Tokens,
}

impl SessionKind {
    /// The column text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Tokens => "tokens",
        }
    }
}

/// A session as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// What the client called itself.
    pub user_agent: String,
    /// When it began.
    pub create_time: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_time: DateTime<Utc>,
    /// When it ends at the latest.
    pub expire_time: DateTime<Utc>,
}

/// Whether a session still works: neither over nor idle for too long.
#[must_use]
pub fn is_live(expire: DateTime<Utc>, last_used: DateTime<Utc>, idle: Duration, now: DateTime<Utc>) -> bool {
    now < expire && now < last_used + idle
}

/// A client's name for itself, cut to size and freed of control characters: it is shown and logged.
#[must_use]
pub fn clean_user_agent(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT).collect()
}
