//! What runs without being asked: consumers, polls, timers.

pub mod events;
pub mod health;
pub mod janitor;
pub mod quotas;
pub mod reports;

use std::time::Duration;
use tenantry_kernel::{Error, Kind, Reason};
use tenantry_messaging::Outcome;

const AGAIN: Duration = Duration::from_secs(1);

/// What becomes of a message whose handling failed.
fn outcome(error: &Error) -> Outcome {
    let cause = std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default();
    if error.kind() == Kind::InvalidArgument {
        return Outcome::Dead {
            reason: error.public().to_owned(),
        };
    }
    if error.reason() == Reason::Internal {
        tracing::error!(cause, "a message cannot be taken");
    }
    Outcome::Retry {
        delay: AGAIN,
        reason: format!("{error} {cause}"),
    }
}
