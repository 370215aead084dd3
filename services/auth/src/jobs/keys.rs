//! Keeps the platform keys: rotates them where it is due and reads them again, so that every replica signs and verifies
//! with the same ones.

use crate::{
    app::{minter::Minter, rotation},
    store::Store,
};
use std::{sync::Arc, time::Duration};
use tenantry_crypto::RootKey;
use tenantry_kernel::Ids;
use tenantry_server::Latch;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(500);

/// Runs until `stop`; `latch` is released when the keys are there.
pub async fn run(
    store: Store,
    minter: Arc<Minter>,
    root: RootKey,
    ids: Arc<dyn Ids>,
    latch: Latch,
    stop: CancellationToken,
) {
    let mut latch = Some(latch);
    loop {
        let wait = match load(&store, &minter, &root, ids.as_ref(), latch.is_none()).await {
            Ok(()) => {
                if let Some(latch) = latch.take() {
                    latch.release();
                }
                EVERY
            }
            Err(error) => {
                tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "platform keys cannot be read");
                RETRY
            }
        };
        if !super::pause(&stop, wait).await {
            return;
        }
    }
}

async fn load(
    store: &Store,
    minter: &Minter,
    root: &RootKey,
    ids: &dyn Ids,
    rotate: bool,
) -> tenantry_kernel::Result<()> {
    if rotate {
        rotation::rotate(store, root, ids).await?;
    }
    minter.load().await
}
