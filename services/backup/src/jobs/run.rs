//! One operation that this worker has claimed: its context, its heartbeat, its progress. Killed at any point, another
//! worker takes over when the lease ends; what a lost worker still tries to write is refused by its claim.

use crate::{
    app::Parts,
    domain::{Operation, operation::Checkpoint},
    store::{SCHEMA, operation},
};
use serde::Serialize;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, AtomicI64, Ordering},
    },
    time::Duration,
};
use tenantry_db::Tx;
use tenantry_kernel::{Ctx, Error, Reason, Result, TenantRoute};
use tenantry_operations::{Claim, State, is_lost, lease};

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
    /// Which try this is since it last got further.
    attempt: AtomicI32,
}

impl Run {
    pub(super) fn new(parts: Parts, claim: Claim, route: Arc<TenantRoute>, operation: Operation) -> Self {
        Self {
            checkpoint: Mutex::new(operation.checkpoint.clone()),
            step: Mutex::new(operation.step.clone()),
            done: AtomicI64::new(operation.done_units),
            total: AtomicI64::new(operation.total_units),
            attempt: AtomicI32::new(claim.attempt),
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
    /// Which try this is since it last got further than ever before.
    pub(super) fn attempt(&self) -> i32 {
        self.attempt.load(Ordering::Relaxed)
    }
    /// Keeps what was done; in the transaction of what was done, where that is in our database.
    pub(super) async fn keep(&self, tx: &mut Tx, mut checkpoint: Checkpoint) -> Result<()> {
        let further = checkpoint.height() > checkpoint.high;
        checkpoint.high = checkpoint.high.max(checkpoint.height());
        operation::checkpoint(tx, &self.claim, &checkpoint, further).await?;
        if further {
            self.attempt.store(1, Ordering::Relaxed);
        }
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
    /// As [`Run::keep`], in a transaction of its own.
    pub(super) async fn note(&self, checkpoint: Checkpoint) -> Result<()> {
        let mut tx = self.begin().await?;
        self.keep(&mut tx, checkpoint).await?;
        tx.commit().await
    }
    /// From here on nobody can cancel, whichever worker goes on.
    ///
    /// # Errors
    /// As [`Run::advance`].
    pub(super) async fn commit(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        self.advance_in(&mut tx).await?;
        let mut checkpoint = self.checkpoint();
        checkpoint.committed = true;
        self.keep(&mut tx, checkpoint).await?;
        tx.commit().await
    }
    /// Renews the lease and shows progress.
    ///
    /// # Errors
    /// `CANCELLED` where somebody asked to stop, `CONFLICT` where the claim was lost.
    pub(super) async fn advance(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        let advanced = self.advance_in(&mut tx).await;
        if advanced
            .as_ref()
            .is_err_and(|error| error.reason() != Reason::Cancelled)
        {
            return advanced;
        }
        tx.commit().await?;
        advanced
    }
    async fn advance_in(&self, tx: &mut Tx) -> Result<()> {
        let step = self.step.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        let cancel = operation::advance(tx, &self.claim, &step, done, total, LEASE).await?;
        if cancel && !self.checkpoint().is_final() {
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
        lease::finish(tx, SCHEMA, &self.claim, (State::Succeeded, None), &result, "").await
    }
}

/// Somebody asked to stop.
#[must_use]
pub fn cancelled() -> Error {
    Error::new(Reason::Cancelled, "The operation was cancelled. Nothing was replaced.")
}
