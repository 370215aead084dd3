//! Runs imports: claims one by lease, checks all rows, writes them. Killed at any point, another worker takes over when
//! the lease ends; what a lost worker still tries to commit is refused, because its claim is part of every transaction.

use super::{import_apply::Applied, import_read, import_validate::Validator};
use crate::{
    app::{Contexts, Parts, object_types::ObjectTypes},
    domain::{
        ObjectType,
        import::{ImportState, Plan, RowError},
        operation::{Failure, Operation},
    },
    store::{self, SCHEMA, operation},
};
use std::{sync::Arc, time::Duration};
use tenantry_kernel::{
    Ctx, Error, Principal, Reason, RequestId, Resolve, Result, TenantRoute, TenantStatus, within_limit,
};
use tenantry_operations::{Claim, State, is_lost, is_transient, lease};
use tenantry_server::Faults;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A worker that is silent this long has lost its claim.
pub(super) const LEASE: Duration = Duration::from_secs(15);
const AT_ONCE: i64 = 3;
/// After this many tries of one step an error that should pass is taken for one that does not.
const MOST_ATTEMPTS: i32 = 20;

/// The worker of this process.
#[derive(Clone)]
pub struct Worker {
    parts: Parts,
    contexts: Arc<dyn Contexts>,
    resolver: Arc<dyn Resolve>,
    faults: Faults,
    wake: Arc<Notify>,
}

impl Worker {
    /// `wake` is notified when an import was started here.
    #[must_use]
    pub fn new(
        parts: Parts,
        contexts: Arc<dyn Contexts>,
        resolver: Arc<dyn Resolve>,
        faults: Faults,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            parts,
            contexts,
            resolver,
            faults,
            wake,
        }
    }

    /// Runs until `stop`; what is cut off is taken over by the next worker.
    pub async fn run(self, stop: CancellationToken) {
        let claim = |free| self.claim(free);
        let work = |claim| {
            let worker = self.clone();
            async move { worker.work(claim).await }
        };
        tenantry_operations::worker::run(AT_ONCE, &self.wake, stop, claim, work).await;
    }

    /// Claims what is due and runs it; how many were claimed.
    ///
    /// # Errors
    /// Where nothing can be claimed.
    pub async fn run_once(&self) -> Result<usize> {
        let claims = self.claim(AT_ONCE).await?;
        futures::future::join_all(claims.iter().map(|claim| self.work(*claim))).await;
        Ok(claims.len())
    }

    async fn claim(&self, free: i64) -> Result<Vec<Claim>> {
        let owner = self.parts.ids.new_v7();
        let mut tx = self.parts.store.begin_system("claim_imports").await?;
        let claims = operation::claim(&mut tx, owner, free, LEASE).await?;
        tx.commit().await?;
        Ok(claims)
    }

    /// Every outcome ends in the operation's row; where even that fails, the lease runs out and the work is repeated.
    async fn work(&self, claim: Claim) {
        let outcome = self.import(claim).await;
        let Err(error) = outcome else { return };
        let (tenant, operation) = (claim.tenant, claim.operation);
        if is_lost(&error) {
            tracing::info!(tenant.id = %tenant, %operation, "another worker has this import now");
            return;
        }
        tracing::warn!(tenant.id = %tenant, %operation, reason = %error.reason(), cause = ?std::error::Error::source(&error), "an import stopped");
        if let Err(second) = self.settle(claim, &error).await {
            tracing::warn!(tenant.id = %tenant, %operation, reason = %second.reason(), "the end of an import could not be noted yet");
        }
    }

    async fn import(&self, claim: Claim) -> Result<()> {
        let route = self.resolver.by_id(claim.tenant).await?;
        if route.status != TenantStatus::Active {
            return Err(Error::new(
                Reason::Unavailable,
                "The tenant is not active; the import waits.",
            ));
        }
        let ctx = context(&*self.contexts, &self.parts, &claim, &route).await?;
        let mut tx = self.parts.store.begin(&ctx).await?;
        let found = operation::fetch(&mut tx, claim.tenant, claim.operation).await?;
        tx.commit().await?;
        let found = found.ok_or_else(Error::not_found)?;
        let plan: Plan = serde_json::from_value(found.input.clone()).map_err(Error::internal)?;
        let run = Run {
            parts: self.parts.clone(),
            contexts: self.contexts.clone(),
            faults: self.faults.clone(),
            route,
            claim,
            plan,
            creator: found.creator.clone(),
        };
        run.go(&found).await
    }

    async fn settle(&self, claim: Claim, error: &Error) -> Result<()> {
        let route = self.resolver.by_id(claim.tenant).await?;
        let ctx = context(&*self.contexts, &self.parts, &claim, &route).await?;
        if is_transient(error) && claim.attempt < MOST_ATTEMPTS {
            let mut tx = self.parts.store.begin(&ctx).await?;
            let delay = lease::backoff(claim.attempt);
            lease::retry_later(&mut tx, SCHEMA, &claim, error.public(), delay).await?;
            return tx.commit().await;
        }
        end(&self.parts, &ctx, &claim, State::Failed, &Failure::of(error)).await
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Worker(..)")
    }
}

/// One import that this worker has claimed.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) parts: Parts,
    contexts: Arc<dyn Contexts>,
    pub(super) faults: Faults,
    pub(super) route: Arc<TenantRoute>,
    pub(super) claim: Claim,
    pub(super) plan: Plan,
    pub(super) creator: String,
}

impl Run {
    async fn go(&self, found: &Operation) -> Result<()> {
        if found.cancel_requested {
            return self.cancelled().await;
        }
        let object_type = self.object_type().await?;
        if found.step == "validate" {
            let Some(errors) = self.validate(&object_type).await? else {
                return self.cancelled().await;
            };
            if !errors.is_empty() {
                return self.refused(errors).await;
            }
            if self.report("apply", 0).await? {
                return self.cancelled().await;
            }
        }
        let done = if found.step == "validate" { 0 } else { found.done_units };
        match self.apply(&object_type, done).await? {
            Applied::Done => Ok(()),
            Applied::Cancelled => self.cancelled().await,
        }
    }

    /// A context of this moment; contexts outlive a batch, not an import.
    pub(super) async fn ctx(&self) -> Result<Ctx> {
        context(&*self.contexts, &self.parts, &self.claim, &self.route).await
    }

    async fn object_type(&self) -> Result<ObjectType> {
        let mut tx = self.parts.store.begin(&self.ctx().await?).await?;
        let found = store::object_type::fetch(&mut tx, self.claim.tenant, &self.plan.object_type).await?;
        tx.commit().await?;
        let gone = || {
            let text = format!(
                "objectTypes/{} is not there any more: somebody deleted it, or the import came to nothing.",
                self.plan.object_type
            );
            Error::new(Reason::FailedPrecondition, text)
        };
        found
            .filter(|object_type| object_type.key == self.plan.type_key)
            .ok_or_else(gone)
    }

    /// What is wrong with the rows; `None` where somebody asked to stop.
    async fn validate(&self, object_type: &ObjectType) -> Result<Option<Vec<RowError>>> {
        let ctx = self.ctx().await?;
        let mut tx = self.parts.store.begin(&ctx).await?;
        let existing = store::usage::total(&mut tx, self.claim.tenant, None).await?;
        tx.commit().await?;
        let more = u64::try_from(self.plan.rows).unwrap_or(u64::MAX);
        within_limit("records", self.route.limits.records, &self.route.plan, existing, more)?;
        let mut batches = import_read::stream(self);
        let mut validator = Validator::new(&self.plan, object_type);
        while let Some(batch) = batches.recv().await {
            let mut tx = self.parts.store.begin(&self.ctx().await?).await?;
            validator.check(&mut tx, batch?).await?;
            tx.commit().await?;
            if self.report("validate", 0).await? {
                return Ok(None);
            }
            if validator.is_full() {
                break;
            }
        }
        Ok(Some(validator.errors()))
    }

    /// Shows progress and renews the lease; whether somebody asked to stop.
    pub(super) async fn report(&self, step: &str, done: i64) -> Result<bool> {
        let mut tx = self.parts.store.begin(&self.ctx().await?).await?;
        let cancel = operation::advance(&mut tx, &self.claim, step, done, self.plan.rows, LEASE).await?;
        tx.commit().await?;
        Ok(cancel)
    }

    async fn refused(&self, errors: Vec<RowError>) -> Result<()> {
        let failure = Failure::of_rows(errors);
        end(&self.parts, &self.ctx().await?, &self.claim, State::Failed, &failure).await
    }

    async fn cancelled(&self) -> Result<()> {
        let failure = Failure {
            reason: Reason::Cancelled.as_str().to_owned(),
            message: "The import was stopped. Rows of finished batches stay, if there were any.".to_owned(),
            rows: Vec::new(),
        };
        end(&self.parts, &self.ctx().await?, &self.claim, State::Cancelled, &failure).await
    }
}

/// Ends an import. The type that was made for it goes first where nothing was written: whoever sees the end may start the
/// corrected file at once under the same name.
async fn end(parts: &Parts, ctx: &Ctx, claim: &Claim, state: State, failure: &Failure) -> Result<()> {
    let mut tx = parts.store.begin(ctx).await?;
    let plan = planned(&mut tx, claim).await?.1;
    tx.commit().await?;
    if plan.made_type
        && let Err(error) = ObjectTypes::new(parts.clone())
            .take_back(ctx, &plan.object_type, plan.type_key)
            .await
    {
        tracing::warn!(tenant.id = %claim.tenant, object_type = plan.object_type, reason = %error.reason(), "an empty type stays");
    }
    let mut tx = parts.store.begin(ctx).await?;
    close(&mut tx, claim, state, failure).await?;
    tx.commit().await
}

async fn planned(tx: &mut tenantry_db::Tx, claim: &Claim) -> Result<(Operation, Plan)> {
    let found = operation::fetch(tx, claim.tenant, claim.operation)
        .await?
        .ok_or_else(Error::not_found)?;
    let plan = serde_json::from_value(found.input.clone()).map_err(Error::internal)?;
    Ok((found, plan))
}

/// An import that has written nothing can be started again; one that stopped between batches cannot, or rows would
/// come twice.
async fn close(tx: &mut tenantry_db::Tx, claim: &Claim, state: State, failure: &Failure) -> Result<()> {
    let (found, plan) = planned(tx, claim).await?;
    let batches_stay =
        plan.rows > crate::domain::import::ONE_TRANSACTION && found.step == "apply" && found.done_units > 0;
    if batches_stay {
        store::import::delete_chunks(tx, plan.import).await?;
    }
    store::import::set_state(tx, plan.import, ImportState::Failed).await?;
    let result = serde_json::to_value(failure).map_err(Error::internal)?;
    let done = if batches_stay { found.done_units } else { 0 };
    lease::finish(tx, SCHEMA, claim, (state, Some(done)), &result, &failure.message).await
}

async fn context(contexts: &dyn Contexts, parts: &Parts, claim: &Claim, route: &Arc<TenantRoute>) -> Result<Ctx> {
    let db = contexts.database_context(claim.tenant, "import").await?;
    let request = RequestId::from_uuid(parts.ids.new_v7());
    Ok(Ctx::new(Principal::service("business"), request)
        .with_route(route.clone())
        .with_db(Some(db)))
}
