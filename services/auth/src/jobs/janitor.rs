//! Deletes what is long over. Any number of replicas may run it: deleting twice is harmless.

use crate::store::{Store, janitor};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(300);
/// A full round is followed by another at once, but never in a tight loop.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until `stop`.
pub async fn run(store: Store, stop: CancellationToken) {
    let mut wait = AGAIN;
    while super::pause(&stop, wait).await {
        wait = match janitor::sweep(store.system()).await {
            Ok(0) => EVERY,
            Ok(gone) => {
                tracing::info!(rows = gone, "expired rows deleted");
                AGAIN
            }
            Err(error) => {
                tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "janitor waits");
                EVERY
            }
        };
    }
}
