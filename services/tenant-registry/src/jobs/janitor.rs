//! Starts purges whose time has come and forgets what is no longer needed.

use crate::app::TenantApp;
use std::time::Duration;
use tenantry_kernel::Result;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(60);

/// Runs until `stop`.
pub async fn run(tenants: TenantApp, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = run_once(&tenants).await {
            tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "janitor waits");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// One round.
///
/// # Errors
/// As every statement; the next round goes on.
pub async fn run_once(tenants: &TenantApp) -> Result<()> {
    while tenants.purge_due().await? {}
    tenants.forget_old().await
}
