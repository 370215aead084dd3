//! Drives the sagas that are due.

use crate::app::Sagas;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// An operation that waits for a reply becomes due by time alone.
const LOOK: Duration = Duration::from_millis(500);
/// After an error: the database is probably away.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until `stop`.
pub async fn run(sagas: Arc<Sagas>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match sagas.drive_one().await {
            Ok(true) => continue,
            Ok(false) => LOOK,
            Err(error) => {
                tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "saga driver waits");
                PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = sagas.nudged() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
