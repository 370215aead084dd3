//! Keeps the quotas current.

use crate::app::quotas::Quotas;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Well below the two seconds in which watchers hear of a change.
const EVERY: Duration = Duration::from_millis(800);

/// Runs until `stop`.
pub async fn run(quotas: Arc<Quotas>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = quotas.refresh().await {
            tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "quotas cannot be compared");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
