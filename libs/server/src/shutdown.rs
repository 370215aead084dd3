//! Graceful shutdown: SIGTERM or SIGINT cancels the token; what is not done after the limit is cut.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest time between SIGTERM and the end of the process.
pub(crate) const LIMIT: Duration = Duration::from_secs(9);

/// The process's shutdown token. Passed, never static.
#[derive(Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Listens for SIGTERM and SIGINT from now on.
    #[must_use]
    pub fn install() -> Self {
        let shutdown = Self::default();
        let token = shutdown.0.clone();
        tokio::spawn(async move {
            signal().await;
            tracing::info!("shutting down");
            token.cancel();
        });
        shutdown
    }
    /// Cancelled when the process should stop.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.0.clone()
    }
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        },
        _ => std::future::pending().await,
    }
}
