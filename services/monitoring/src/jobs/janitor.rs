//! Removes what is too old, a chunk at a time.

use crate::store::{Store, alerts, janitor};
use std::{sync::Arc, time::Duration};
use tenantry_kernel::{Clock, Result};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(60);
/// Alertmanager repeats what fires every four hours unless told otherwise (`repeat_interval`): two of them, and some time.
const SILENT: chrono::Duration = chrono::Duration::hours(9);

/// Runs until `stop`.
pub async fn run(store: Store, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = run_once(&store, &*clock).await {
            tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "janitor waits for its next turn");
        }
    }
}

/// One round.
///
/// # Errors
/// As every statement.
pub async fn run_once(store: &Store, clock: &dyn Clock) -> Result<()> {
    let mut tx = store.begin_job("silent_alerts").await?;
    alerts::end_silent(&mut tx, clock.now() - SILENT).await?;
    tx.commit().await?;
    loop {
        let mut tx = store.begin_job("janitor").await?;
        let removed = janitor::expire(&mut tx, clock.now()).await?;
        tx.commit().await?;
        if removed < janitor::CHUNK {
            return Ok(());
        }
    }
}
