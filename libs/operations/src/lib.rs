//! Long-running operations (AIP-151): callers that wait and the form on the wire, as every service has them; rows that a
//! worker leases, moves on and ends, where no saga does. What an operation does, and its columns beside these, is its
//! service's own.

pub mod lease;
pub mod wait;
pub mod wire;
pub mod worker;

pub use lease::{Claim, is_lost};

use tenantry_kernel::{Error, Kind, Reason};

/// Where an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum State {
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl State {
    /// Column text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
    /// From column text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// Whether trying again later can help.
#[must_use]
pub fn is_transient(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Unavailable | Kind::DeadlineExceeded | Kind::Aborted | Kind::Internal
    ) || error.reason() == Reason::Overloaded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_written() {
        for state in [State::Running, State::Succeeded, State::Failed, State::Cancelled] {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("done"), None);
    }

    #[test]
    fn what_passes_by_itself_is_tried_again_and_what_does_not_is_not() {
        assert!(is_transient(&Error::unavailable("away")));
        assert!(is_transient(&Error::internal("a bug, or a broken disk")));
        assert!(!is_transient(&Error::not_found()));
        assert!(!is_transient(&Error::invalid_field("slug", "is taken")));
    }
}
