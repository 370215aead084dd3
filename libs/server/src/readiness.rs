//! Ready when every latch is released. Probes only read this; they never call a dependency.

use std::sync::{Arc, Mutex, PoisonError};

/// The open latches of this process.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Vec<&'static str>>>);

/// One thing to wait for. Dropping it without [`Latch::release`] keeps the process unready.
pub struct Latch {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Adds something to wait for.
    #[must_use]
    pub fn latch(&self, name: &'static str) -> Latch {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        Latch {
            name,
            readiness: self.clone(),
        }
    }
    /// What is still open.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Latch {
    /// Done.
    pub fn release(self) {
        self.readiness
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|name| *name != self.name);
    }
}
