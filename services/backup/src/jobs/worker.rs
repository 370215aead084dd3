//! Claims operations and runs them to their end, whatever happens to the process in between.

use super::{
    capture,
    ending::{self, Ended},
    restore,
    run::{LEASE, Run, cancelled},
};
use crate::{
    app::Parts,
    archive::{reader, verify},
    domain::{
        Failure,
        operation::{Verb, is_transient},
        snapshot::Kind,
    },
    store::{self, operation},
};
use std::{sync::Arc, time::Duration};
use tenantry_kernel::{Error, Result, TenantStatus};
use tenantry_operations::{Claim, is_lost};
use tokio_util::sync::CancellationToken;

const AT_ONCE: i64 = 4;
/// After this many tries that got no further an error that should pass is taken for one that does not.
const MOST_ATTEMPTS: i32 = 12;
/// What cannot be worked on at all is looked at again after this long.
const PARKED: Duration = Duration::from_secs(10);

/// The worker of this process.
#[derive(Clone, Debug)]
pub struct Worker {
    parts: Parts,
}

impl Worker {
    /// Over shared parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Runs until `stop`; what is cut off is taken over by the next worker.
    pub async fn run(self, stop: CancellationToken) {
        let claim = |free| self.claim(free);
        let work = |claim| {
            let worker = self.clone();
            async move { worker.work(claim).await }
        };
        tenantry_operations::worker::run(AT_ONCE, &self.parts.work, stop, claim, work).await;
    }

    async fn claim(&self, free: i64) -> Result<Vec<Claim>> {
        let owner = self.parts.ids.new_v7();
        let mut tx = self.parts.store.begin_system("claim_operations").await?;
        let claims = operation::claim(&mut tx, owner, free, LEASE).await?;
        tx.commit().await?;
        Ok(claims)
    }

    /// Every outcome ends in the operation's row; where even that fails, the lease runs out and the work is repeated.
    async fn work(&self, claim: Claim) {
        let (tenant, operation) = (claim.tenant, claim.operation);
        let run = match self.open(claim).await {
            Ok(run) => run,
            Err(error) => {
                tracing::warn!(tenant.id = %tenant, %operation, reason = %error.reason(), cause = ?std::error::Error::source(&error), "an operation waits");
                if let Err(error) = self.give_back(&claim).await {
                    tracing::info!(tenant.id = %tenant, %operation, reason = %error.reason(), "its lease runs out");
                }
                return;
            }
        };
        let ended = match run.checkpoint().ending {
            Some(failure) => ending::end(&run, failure).await,
            None if waits(&run) => park(&run).await,
            None => match steps(&run).await {
                Ok(()) => Ok(Some("ok")),
                Err(error) if is_lost(&error) => Err(error),
                Err(error) => {
                    tracing::warn!(tenant.id = %tenant, %operation, reason = %error.reason(), cause = ?std::error::Error::source(&error), "an operation stopped");
                    settle(&run, &error).await
                }
            },
        };
        match ended {
            Ok(Some(result)) => self.count(&run, result),
            Ok(None) => {}
            Err(error) if is_lost(&error) => {
                tracing::info!(tenant.id = %tenant, %operation, "another worker has this operation now");
            }
            Err(error) => {
                tracing::warn!(tenant.id = %tenant, %operation, reason = %error.reason(), cause = ?std::error::Error::source(&error), "the end of an operation could not be noted yet");
            }
        }
    }

    async fn open(&self, claim: Claim) -> Result<Run> {
        let route = self.parts.resolver.by_id(claim.tenant).await?;
        let ctx = self.parts.own_ctx(&route).await?;
        let mut tx = self.parts.store.begin(&ctx).await?;
        let found = operation::fetch(&mut tx, claim.operation).await?;
        tx.commit().await?;
        Ok(Run::new(
            self.parts.clone(),
            claim,
            route,
            found.ok_or_else(Error::not_found)?,
        ))
    }

    /// Without what a run needs, the tenant's context among it.
    async fn give_back(&self, claim: &Claim) -> Result<()> {
        let mut tx = self.parts.store.begin_system("give_back_operation").await?;
        operation::park(&mut tx, claim, PARKED).await?;
        tx.commit().await
    }

    fn count(&self, run: &Run, result: &'static str) {
        let elapsed = self.parts.clock.now() - run.operation.create_time;
        let seconds = elapsed.to_std().unwrap_or_default().as_secs_f64();
        self.parts.metrics.ended(run.operation.verb.as_str(), result, seconds);
    }
}

/// The tenant is suspended, or on its way out; what was committed is finished all the same.
fn waits(run: &Run) -> bool {
    run.route.status != TenantStatus::Active && !run.checkpoint().is_final()
}

/// Looks again later. However long that takes, it is no failed try.
async fn park(run: &Run) -> Result<Ended> {
    if run.operation.cancel_requested {
        return ending::end(run, Failure::of(&cancelled())).await;
    }
    let mut tx = run.begin().await?;
    operation::park(&mut tx, &run.claim, PARKED).await?;
    tx.commit().await.map(|()| None)
}

/// Tries again later, or ends the operation and takes back what it had begun.
async fn settle(run: &Run, error: &Error) -> Result<Ended> {
    if goes_on(error, run.attempt(), run.checkpoint().committed) {
        return ending::later(run, error).await.map(|()| None);
    }
    ending::end(run, Failure::of(error)).await
}

/// Whether another try follows. One that may have replaced the data never ends by a count: it would say that nothing was.
fn goes_on(error: &Error, attempt: i32, committed: bool) -> bool {
    is_transient(error) && (committed || attempt < MOST_ATTEMPTS)
}

/// The operation's steps with its heart beside them.
async fn steps(run: &Run) -> Result<()> {
    let work = async {
        // Asked to stop before this try began?
        run.advance().await?;
        match run.operation.verb {
            Verb::CreateSnapshot => create(run).await,
            Verb::VerifySnapshot => check(run).await,
            Verb::RestoreSnapshot => restore::restore(run).await,
        }
    };
    tokio::select! {
        done = work => done,
        stop = run.beat() => Err(stop),
    }
}

async fn create(run: &Run) -> Result<()> {
    let id = run.operation.snapshot;
    run.step("capture", 0).await?;
    let manifest = capture::capture(run, id, None).await?;
    let mut tx = run.begin().await?;
    capture::ready(run, &mut tx, &manifest).await?;
    run.finish(&mut tx, &serde_json::json!({})).await?;
    tx.commit().await?;
    run.parts
        .metrics
        .snapshot("ok", manifest.totals.raw_bytes, manifest.totals.bytes);
    Ok(())
}

async fn check(run: &Run) -> Result<()> {
    let manifest = verified(run).await?;
    let mut tx = run.begin().await?;
    store::snapshot::verified(&mut tx, manifest.snapshot, "", run.parts.clock.now()).await?;
    run.finish(&mut tx, &serde_json::json!({})).await?;
    tx.commit().await
}

/// Reads the operation's snapshot wholly.
pub(super) async fn verified(run: &Run) -> Result<Arc<crate::domain::Manifest>> {
    let parts = &run.parts;
    let manifest = reader::manifest(&parts.archive, &parts.trusted, run.claim.tenant, run.operation.snapshot).await?;
    run.step("verify", manifest.totals.rows).await?;
    let sealer = reader::sealer(parts.keys.as_ref(), &manifest).await?;
    parts.faults.hit("backup.verify.before_read").await?;
    verify::verify(&parts.archive, &sealer, &manifest, |rows| run.progress(rows)).await?;
    Ok(Arc::new(manifest))
}

/// Whether snapshots of this kind expire by the policy.
pub(super) const fn expires(kind: Kind) -> bool {
    matches!(kind, Kind::Scheduled | Kind::BeforeRestore)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kernel::Reason;

    #[test]
    fn what_may_pass_is_tried_a_dozen_times_unless_the_data_may_be_replaced() {
        let away = Error::unavailable("away");
        assert!(goes_on(&away, MOST_ATTEMPTS - 1, false));
        assert!(!goes_on(&away, MOST_ATTEMPTS, false));
        assert!(goes_on(&away, 10 * MOST_ATTEMPTS, true));
        let refused = Error::new(Reason::QuotaExceeded, "too much");
        assert!(!goes_on(&refused, 1, false) && !goes_on(&refused, 1, true));
    }
}
