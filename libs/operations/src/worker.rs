//! The loop of a worker: claims as much as it has hands for, and looks again when something was started or ended.

use crate::Claim;
use std::{future::Future, time::Duration};
use tenantry_kernel::Result;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Another process may have started something, or died with it.
const POLL: Duration = Duration::from_secs(1);

/// Runs until `stop`; what is cut off is taken over by the next worker. `claim` gets the number of free hands and leases
/// at most that many; `work` ends in the operation's row, and where even that fails the lease runs out.
pub async fn run<C: Future<Output = Result<Vec<Claim>>>, W: Future<Output = ()> + Send + 'static>(
    hands: i64,
    wake: &Notify,
    stop: CancellationToken,
    claim: impl Fn(i64) -> C,
    work: impl Fn(Claim) -> W,
) {
    // Dropped at the end, and with it everything in work.
    let mut busy = JoinSet::new();
    while !stop.is_cancelled() {
        let free = hands.saturating_sub(i64::try_from(busy.len()).unwrap_or(i64::MAX));
        let claimed = if free > 0 { claim(free).await } else { Ok(Vec::new()) };
        match claimed {
            Ok(claims) => {
                for claim in claims {
                    busy.spawn(work(claim));
                }
            }
            Err(error) => {
                tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "operations wait");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.notified() => {}
            Some(_) = busy.join_next() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };
    use tenantry_kernel::TenantId;
    use uuid::Uuid;

    #[tokio::test]
    async fn it_never_has_more_in_work_than_hands_and_gets_to_everything() {
        let waiting = Mutex::new((0..7_u128).collect::<Vec<_>>());
        let (now, most, done) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(0)),
        );
        let stop = CancellationToken::new();
        let claim = |free: i64| {
            let mut waiting = waiting.lock().expect("one thread");
            let taken = waiting.len().min(usize::try_from(free).expect("few"));
            let claims = waiting.drain(..taken).map(|n| Claim {
                tenant: TenantId::PLATFORM,
                operation: Uuid::from_u128(n),
                owner: Uuid::nil(),
                attempt: 1,
            });
            std::future::ready(Ok(claims.collect()))
        };
        let work = |_| {
            let (now, most, done, stop) = (now.clone(), most.clone(), done.clone(), stop.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                if done.fetch_add(1, Ordering::SeqCst) == 6 {
                    stop.cancel();
                }
            }
        };
        run(2, &Notify::new(), stop.clone(), claim, work).await;
        assert_eq!((done.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (7, 2));
    }
}
