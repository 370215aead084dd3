//! One operation that this worker has claimed: its context, its heartbeat, its progress. Killed at any point, another
//! worker takes over when the lease ends; what a lost worker still tries to write is refused by its claim.

use crate::{
    app::Parts,
    domain::{
        Operation,
        operation::{Checkpoint, State},
    },
    store::operation::{self, Claim},
};
use serde::Serialize;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};
use tenantry_db::Tx;
use tenantry_kernel::{Ctx, Error, Reason, Result, TenantRoute};

/// A worker that is silent this long has lost its claim.
pub const LEASE: Duration = Duration::from_secs(15);
const BEAT: Duration = Duration::from_secs(1);

/// See the module.
pub struct Run {
    pub(super) parts: Parts,
    pub(super) claim: Claim,
    pub(super) route: Arc<TenantRoute>,
    pub(super) operation: Operation,
    checkpoint: Mutex<Checkpoint>,
    step: Mutex<String>,
    done: AtomicI64,
    total: AtomicI64,
    /// From here on it is finished whatever anybody asks.
    committed: AtomicBool,
}

impl Run {
    pub(super) fn new(parts: Parts, claim: Claim, route: Arc<TenantRoute>, operation: Operation) -> Self {
        Self {
            checkpoint: Mutex::new(operation.checkpoint.clone()),
            step: Mutex::new(operation.step.clone()),
            done: AtomicI64::new(operation.done_units),
            total: AtomicI64::new(operation.total_units),
            committed: AtomicBool::new(false),
            parts,
            claim,
            route,
            operation,
        }
    }
    /// A context of this moment; contexts outlive a step, not an operation.
    pub(super) async fn ctx(&self) -> Result<Ctx> {
        self.parts.own_ctx(&self.route).await
    }
    pub(super) async fn begin(&self) -> Result<Tx> {
        self.parts.store.begin(&self.ctx().await?).await
    }
    /// What was done so far.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Keeps what was done; in the transaction of what was done, where that is in our database.
    pub(super) async fn keep(&self, tx: &mut Tx, checkpoint: Checkpoint) -> Result<()> {
        operation::checkpoint(tx, &self.claim, &checkpoint).await?;
        *self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner) = checkpoint;
        Ok(())
    }
    /// Begins a step.
    pub(super) async fn step(&self, step: &str, total: u64) -> Result<()> {
        step.clone_into(&mut self.step.lock().unwrap_or_else(PoisonError::into_inner));
        self.total
            .store(i64::try_from(total).unwrap_or(i64::MAX), Ordering::Relaxed);
        self.progress(0);
        self.advance().await
    }
    /// Rows of this step that are done; shown at the next beat.
    pub(super) fn progress(&self, done: u64) {
        self.done
            .store(i64::try_from(done).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
    /// From here on nobody can cancel.
    pub(super) async fn commit(&self) -> Result<()> {
        self.advance().await?;
        self.committed.store(true, Ordering::SeqCst);
        Ok(())
    }
    /// It is at its end: there is nothing left to cancel.
    pub(super) fn cannot_be_cancelled(&self) {
        self.committed.store(true, Ordering::SeqCst);
    }
    /// Renews the lease and shows progress.
    ///
    /// # Errors
    /// `CANCELLED` where somebody asked to stop, `CONFLICT` where the claim was lost.
    pub(super) async fn advance(&self) -> Result<()> {
        let step = self.step.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        let mut tx = self.begin().await?;
        let cancel = operation::advance(&mut tx, &self.claim, &step, done, total, LEASE).await?;
        tx.commit().await?;
        if cancel && !self.committed.load(Ordering::SeqCst) {
            return Err(cancelled());
        }
        Ok(())
    }
    /// Beats until there is a reason to stop.
    pub(super) async fn beat(&self) -> Error {
        loop {
            tokio::time::sleep(BEAT).await;
            match self.advance().await {
                Ok(()) => {}
                Err(error) if is_lost(&error) || error.reason() == Reason::Cancelled => return error,
                // The database is away: nobody else can take the operation over either.
                Err(error) => tracing::debug!(reason = %error.reason(), "a heartbeat did not arrive"),
            }
        }
    }
    /// Ends the operation.
    pub(super) async fn finish(&self, tx: &mut Tx, result: &impl Serialize) -> Result<()> {
        let result = serde_json::to_value(result).map_err(Error::internal)?;
        operation::finish(tx, &self.claim, State::Succeeded, &result, "").await
    }
}

/// Somebody asked to stop.
#[must_use]
pub fn cancelled() -> Error {
    Error::new(Reason::Cancelled, "The operation was cancelled. Nothing was replaced.")
}

/// Another worker has the operation now: there is nothing left to do or to note.
#[must_use]
pub fn is_lost(error: &Error) -> bool {
    error.reason() == Reason::Conflict && std::error::Error::source(error).is_none()
}
