//! How long an account waits after failed sign-ins (auth design, A7). A known and an unknown address are treated alike.

use chrono::{DateTime, Duration, Utc};
use std::time::Duration as StdDuration;
use tenantry_kernel::{Error, Reason};

/// Failures are remembered this long.
pub const WINDOW: Duration = Duration::hours(24);
/// From here on nothing is tried until the window ends.
const HARD_STOP: i32 = 100;

/// Failed sign-ins of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// In this window.
    pub failures: i32,
    /// When the window began.
    pub window_start: DateTime<Utc>,
    /// Nothing is tried before.
    pub blocked_until: DateTime<Utc>,
}

impl Throttle {
    /// How long to wait from `now`, if at all.
    #[must_use]
    pub fn wait(&self, now: DateTime<Utc>) -> Option<Duration> {
        (now < self.blocked_until).then(|| self.blocked_until - now)
    }
    /// After one more failure.
    #[must_use]
    pub fn failed(before: Option<Self>, now: DateTime<Utc>) -> Self {
        let current = before.filter(|throttle| now < throttle.window_start + WINDOW);
        let (failures, window_start) = current.map_or((1, now), |throttle| {
            (throttle.failures.saturating_add(1), throttle.window_start)
        });
        let blocked_until = if failures >= HARD_STOP {
            window_start + WINDOW
        } else {
            now + delay(failures)
        };
        Self {
            failures,
            window_start,
            blocked_until,
        }
    }
}

fn delay(failures: i32) -> Duration {
    Duration::seconds(match failures {
        ..3 => 0,
        3..6 => 1,
        6..9 => 3,
        9..25 => 5,
        _ => 10,
    })
}

/// The refusal.
#[must_use]
pub fn throttled(wait: Duration) -> Error {
    let wait = wait
        .to_std()
        .unwrap_or(StdDuration::ZERO)
        .max(StdDuration::from_millis(100));
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Error::new(
        Reason::SignInThrottled,
        format!("Too many failed sign-ins. Try again in {seconds} s, or use a password reset link."),
    )
    .retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_with_failures_and_is_forgotten_after_a_day() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut throttle = None;
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..100 {
            let next = Throttle::failed(throttle, now);
            let wait = next.wait(now).unwrap_or_default();
            waits.push(wait.num_seconds());
            now += wait;
            throttle = Some(next);
        }
        assert_eq!((waits[1], waits[2], waits[5], waits[8], waits[24]), (0, 1, 3, 5, 10));
        assert!(waits[99] > 80_000, "hard stop until the window ends");
        let after = Throttle::failed(throttle, start + WINDOW);
        assert_eq!((after.failures, after.wait(start + WINDOW)), (1, None));
    }
}
