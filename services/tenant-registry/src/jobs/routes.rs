//! Keeps this process's copy of the routes current.

use crate::app::Routes;
use std::{sync::Arc, time::Duration};
use tenantry_server::Latch;
use tokio_util::sync::CancellationToken;

/// Changes by other replicas are seen after this time at the latest; our own are nudged. Well below the two seconds
/// that a change may take to be in force everywhere.
const LOOK: Duration = Duration::from_millis(400);

/// Runs until `stop`; `ready` is released after the first comparison.
pub async fn run(routes: Arc<Routes>, ready: Latch, stop: CancellationToken) {
    let mut ready = Some(ready);
    while !stop.is_cancelled() {
        match routes.follow().await {
            Ok(count) => {
                if let Some(ready) = ready.take() {
                    tracing::info!(count, "routes loaded");
                    ready.release();
                }
            }
            Err(error) => {
                tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "routes cannot be compared");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = routes.nudged() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
