//! What runs without being asked: consumers, polls, timers.

pub mod events;
pub mod health;
pub mod janitor;
pub mod quotas;
pub mod reports;

use std::time::Duration;
use tenantry_kernel::{Error, Kind, Reason};
use tenantry_messaging::Outcome;

/// Waits between the attempts of a message; the last one goes on.
const LADDER: [u64; 5] = [1, 1, 10, 10, 60];
/// Nothing is given up because the database is away for some days.
const ATTEMPTS: u32 = 10_000;

/// What becomes of a message whose handling failed for the `attempt`th time.
fn outcome(error: &Error, attempt: u32) -> Outcome {
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
    let step = LADDER.len().min(attempt.max(1) as usize) - 1;
    Outcome::Retry {
        delay: Duration::from_secs(LADDER[step]),
        reason: format!("{error} {cause}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_longer_each_time_and_only_what_never_fits_is_dead() {
        let away = Error::unavailable("no database");
        let delays: Vec<u64> = [0, 1, 2, 3, 4, 5, 6, ATTEMPTS]
            .into_iter()
            .map(|attempt| match outcome(&away, attempt) {
                Outcome::Retry { delay, .. } => delay.as_secs(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(delays, [1, 1, 1, 10, 10, 60, 60, 60]);
        let never = Error::new(Reason::InvalidArgument, "no report");
        assert!(matches!(outcome(&never, 1), Outcome::Dead { .. }));
    }
}
