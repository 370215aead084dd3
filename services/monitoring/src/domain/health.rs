//! What is known about a service.

use chrono::{DateTime, Utc};

/// The longest problem that is kept.
const LONGEST: usize = 300;

/// What asking a service gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub service: String,
    /// Why it is not ready; empty if it is.
    pub problem: String,
}

/// See the proto.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Its name.
    pub service: String,
    /// Whether it said yes.
    pub ready: bool,
    /// Why not.
    pub problem: String,
    /// When it was asked.
    pub check_time: DateTime<Utc>,
    /// Since when it is as it is.
    pub since_time: DateTime<Utc>,
}

/// A text from outside, short and on one line.
#[must_use]
pub fn plain(text: &str) -> String {
    let one_line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    one_line.take(LONGEST).collect::<String>().trim().to_owned()
}
