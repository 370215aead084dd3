//! Bounded retries of a whole transaction, named and counted. Only for work that is safe to repeat: everything
//! inside one transaction is.

use std::{
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};
use tenantry_kernel::{Reason, Result};

/// How often and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Runs altogether, the first included.
    pub attempts: u32,
    /// Delay before the second run; doubles from then on.
    pub base: Duration,
    /// No delay is longer.
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(20),
            max: Duration::from_millis(500),
        }
    }
}

/// Runs `work` again after `CONFLICT` and `UNAVAILABLE`.
///
/// # Errors
/// The last error.
pub async fn retry<T, F, Fut>(name: &'static str, policy: RetryPolicy, mut work: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let mut attempt = 1;
    loop {
        let error = match work().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let again = matches!(error.reason(), Reason::Conflict | Reason::Unavailable);
        if !again || attempt >= policy.attempts {
            return Err(error);
        }
        let delay = jitter(policy.base.saturating_mul(1 << (attempt - 1).min(16)).min(policy.max));
        tracing::debug!(retry.name = name, retry.attempt = attempt, reason = %error.reason(), "transaction repeated");
        tokio::time::sleep(delay).await;
        attempt += 1;
    }
}

/// Half to all of `delay`, so that rivals do not meet again.
fn jitter(delay: Duration) -> Duration {
    let chance = RandomState::new().build_hasher().finish();
    let share = f64::from(u32::try_from(chance >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    delay.mul_f64(0.5 + share / 2.0)
}
