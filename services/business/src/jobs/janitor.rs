//! Removes what has expired, a chunk at a time, once a minute.

use crate::{
    app::{holds, restores},
    store::{Store, janitor},
};
use std::time::Duration;
use tenantry_kernel::Result;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(60);

/// Runs until `stop`.
pub async fn run(store: Store, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = run_once(&store).await {
            tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "janitor waits for its next turn");
        }
    }
}

/// One round.
///
/// # Errors
/// As every statement.
pub async fn run_once(store: &Store) -> Result<()> {
    loop {
        let mut tx = store.begin_system("janitor_changes").await?;
        let deleted = janitor::changes(&mut tx).await?;
        tx.commit().await?;
        if deleted == 0 {
            break;
        }
    }
    let mut tx = store.begin_system("janitor").await?;
    janitor::imports(&mut tx).await?;
    janitor::keys(&mut tx).await?;
    tx.commit().await?;
    holds::sweep(store).await?;
    restores::sweep_stale(store).await
}
