//! Reads new revocations five times a second and hands them to the feed; the budget from commit to every verifier is
//! two seconds. While the table cannot be read there is no heartbeat, and verifiers notice.

use crate::app::feed::{Feed, Reader};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tenantry_kernel::Clock;
use tenantry_server::Latch;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_millis(200);
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Runs until `stop`; `latch` is released after the first read.
pub async fn run(mut reader: Reader, feed: Arc<Feed>, clock: Arc<dyn Clock>, latch: Latch, stop: CancellationToken) {
    let (mut latch, mut last, mut failing) = (Some(latch), None::<Instant>, false);
    loop {
        match reader.read().await {
            Ok(fresh) => {
                failing = false;
                if !fresh.is_empty() || last.is_none_or(|at| at.elapsed() >= HEARTBEAT) {
                    feed.publish(fresh, clock.now());
                    last = Some(Instant::now());
                }
                if let Some(latch) = latch.take() {
                    latch.release();
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "revocations cannot be read");
                }
            }
        }
        if !super::pause(&stop, EVERY).await {
            return;
        }
    }
}
