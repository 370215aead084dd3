//! Waiting for the end of an operation (AIP-151, WaitOperation). It may end in another process, so the row is looked at.

use prost_types::Duration as Asked;
use std::{future::Future, time::Duration};
use tenantry_kernel::{Ctx, Error, Result};
use tokio::time::{Instant, sleep};

const DEFAULT: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_secs(30);
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LAST_LOOK: Duration = Duration::from_millis(500);
/// Waiting ends this long before the caller's own deadline, so that an answer arrives.
const MARGIN: Duration = Duration::from_millis(500);

/// How long somebody who asks for `timeout` waits at most.
///
/// # Errors
/// `INVALID_ARGUMENT` for a time that is none.
pub fn timeout(asked: Option<Asked>) -> Result<Duration> {
    let Some(asked) = asked else { return Ok(DEFAULT) };
    let asked = Duration::try_from(asked).map_err(|_| Error::invalid_field("timeout", "must be 0 s to 30 s"))?;
    Ok(asked.min(MOST))
}

/// What `look` finds when it `is_over`, or after `timeout`, or shortly before the caller's deadline.
///
/// # Errors
/// Those of `look`.
pub async fn until<T, F: Future<Output = Result<T>>>(
    ctx: &Ctx,
    timeout: Duration,
    look: impl Fn() -> F,
    is_over: impl Fn(&T) -> bool,
) -> Result<T> {
    let asked = Instant::now() + timeout;
    let own = ctx.deadline().and_then(|at| at.checked_sub(MARGIN));
    let end = own.map_or(asked, |at| asked.min(at.into()));
    let mut pause = FIRST_LOOK;
    loop {
        let found = look().await?;
        let left = end.saturating_duration_since(Instant::now());
        if is_over(&found) || left.is_zero() {
            return Ok(found);
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(LAST_LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tenantry_kernel::{Principal, RequestId};

    fn ctx() -> Ctx {
        Ctx::new(Principal::service("test"), RequestId::parse("wait").expect("an id"))
    }

    #[test]
    fn a_wait_is_bounded_whatever_is_asked() {
        let asked = |seconds, nanos| timeout(Some(Asked { seconds, nanos }));
        assert_eq!(timeout(None).expect("the usual"), DEFAULT);
        assert_eq!(asked(3, 0).expect("three"), Duration::from_secs(3));
        assert_eq!(asked(3_600, 0).expect("the most"), MOST);
        assert!(asked(-1, 0).is_err());
    }

    #[tokio::test]
    async fn it_ends_with_the_operation_or_with_time() {
        let looks = AtomicU32::new(0);
        let look = || async { Ok(looks.fetch_add(1, Ordering::Relaxed)) };
        let found = until(&ctx(), MOST, look, |seen| *seen == 2).await;
        assert_eq!(found.expect("it ended"), 2);
        let found = until(&ctx(), Duration::ZERO, look, |_| false).await;
        assert_eq!(found.expect("as it is"), 3, "looked once");
    }

    #[tokio::test]
    async fn the_callers_deadline_leaves_time_to_answer() {
        let ctx = ctx().with_deadline(Some(std::time::Instant::now() + MARGIN));
        let looks = AtomicU32::new(0);
        let look = || async { Ok(looks.fetch_add(1, Ordering::Relaxed)) };
        let found = until(&ctx, MOST, look, |_| false).await;
        assert_eq!(found.expect("as it is"), 0, "nothing is left to wait in");
    }
}
