//! Graceful shutdown: SIGTERM or SIGINT turns the process unready, then, after the delay, makes it drain; what is not done
//! after the limit is cut.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest time between SIGTERM and the end of the process, with a second to flush what is left.
const LIMIT: Duration = Duration::from_secs(9);

/// The process's shutdown tokens. Passed, never static.
#[derive(Clone, Default)]
pub struct Shutdown {
    asked: CancellationToken,
    drain: CancellationToken,
    delay: Duration,
}

impl Shutdown {
    /// Listens for SIGTERM and SIGINT from now on. For `delay` after the signal the process is unready but serves as before:
    /// balancers need that long to send their next requests elsewhere (as kube-apiserver's `--shutdown-delay-duration`).
    #[must_use]
    pub fn install(delay: Duration) -> Self {
        let shutdown = Self::after(delay);
        let asked = shutdown.clone();
        tokio::spawn(async move {
            signal().await;
            asked.begin().await;
        });
        shutdown
    }
    /// As [`Shutdown::install`], begun by [`Shutdown::begin`] instead of a signal.
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }
    /// What a signal does; ends when the drain begins.
    pub async fn begin(&self) {
        tracing::info!(delay_seconds = self.delay.as_secs(), "shutting down");
        self.asked.cancel();
        tokio::time::sleep(self.delay).await;
        self.drain.cancel();
    }
    /// Cancelled when the process was asked to stop: it is not ready any more, and still serves.
    #[must_use]
    pub fn asked(&self) -> CancellationToken {
        self.asked.clone()
    }
    /// Cancelled when the process takes nothing new and ends what it has.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.drain.clone()
    }
    /// How long draining may take, so that delay and drain together stay below ten seconds.
    #[must_use]
    pub fn limit(&self) -> Duration {
        LIMIT.saturating_sub(self.delay)
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
