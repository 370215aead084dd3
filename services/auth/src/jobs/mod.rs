//! Background work. Every loop ends at the shutdown token and survives an absent database or broker.

pub mod janitor;
pub mod keys;
pub mod outbox;
pub mod revocations;
pub mod saga;

use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Sleeps; `false` where the process should stop instead.
async fn pause(stop: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}
