//! Ready when every latch is released and nobody has asked the process to stop. Probes only read this; they never call a
//! dependency.

use crate::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The open latches of this process.
#[derive(Clone, Default)]
pub struct Readiness {
    open: Arc<Mutex<Vec<&'static str>>>,
    asked: CancellationToken,
}

/// One thing to wait for. Dropping it without [`Latch::release`] keeps the process unready.
pub struct Latch {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Without a latch; unready again as soon as `shutdown` was asked for.
    #[must_use]
    pub fn until(shutdown: &Shutdown) -> Self {
        Self {
            open: Arc::default(),
            asked: shutdown.asked(),
        }
    }
    /// Adds something to wait for.
    #[must_use]
    pub fn latch(&self, name: &'static str) -> Latch {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        Latch {
            name,
            readiness: self.clone(),
        }
    }
    /// What is still open.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Why new requests should go elsewhere, in words; `None` where they should come.
    #[must_use]
    pub fn unready(&self) -> Option<String> {
        if self.asked.is_cancelled() {
            return Some("shutting down".to_owned());
        }
        let open = self.waiting_for();
        (!open.is_empty()).then(|| format!("waiting for {}", open.join(", ")))
    }
}

impl Latch {
    /// Done.
    pub fn release(self) {
        self.readiness
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|name| *name != self.name);
    }
}
