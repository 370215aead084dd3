//! Waiting for a condition: polls it, and names the last observation if it never comes true.

use std::{
    fmt::Debug,
    future::Future,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Polls `probe` until it returns `Ok`, for at most a minute.
///
/// # Panics
/// With the last `Err` if the minute passes.
pub async fn eventually<T, E: Debug, F: Future<Output = Result<T, E>>>(what: &str, probe: impl FnMut() -> F) -> T {
    eventually_within(PATIENCE, what, probe).await
}

/// [`eventually`] with a longer patience, for recovery after a fault.
///
/// # Panics
/// With the last `Err` if `patience` passes.
pub async fn eventually_within<T, E: Debug, F: Future<Output = Result<T, E>>>(
    patience: Duration,
    what: &str,
    mut probe: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(last) if started.elapsed() > patience => panic!("{what}: not within {patience:?}; last seen: {last:?}"),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}
