//! Claims operations and runs them to their end, whatever happens to the process in between.

use super::{
    capture, restore,
    run::{LEASE, Run, is_lost},
};
use crate::{
    app::Parts,
    archive::{reader, verify},
    domain::{
        Failure,
        operation::{State, Target, Verb, is_transient},
        policy::SHOW_FAILED,
        snapshot::Kind,
    },
    store::{
        self,
        operation::{self, Claim},
    },
};
use std::{sync::Arc, time::Duration};
use tenantry_kernel::{Error, Reason, Result, TenantStatus};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const POLL: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 4;
/// After this many tries of one step an error that should pass is taken for one that does not.
const MOST_ATTEMPTS: i32 = 12;

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
        // Dropped at the end, and with it every operation in work.
        let mut work = JoinSet::new();
        while !stop.is_cancelled() {
            match self.claim(AT_ONCE.saturating_sub(work.len())).await {
                Ok(claims) => {
                    for claim in claims {
                        let worker = self.clone();
                        work.spawn(async move { worker.work(claim).await });
                    }
                }
                Err(error) => {
                    tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "operations wait");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.parts.work.notified() => {}
                Some(_) = work.join_next() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    async fn claim(&self, free: usize) -> Result<Vec<Claim>> {
        if free == 0 {
            return Ok(Vec::new());
        }
        let owner = self.parts.ids.new_v7();
        let mut tx = self.parts.store.begin_system("claim_operations").await?;
        let claims = operation::claim(&mut tx, owner, i64::try_from(free).unwrap_or(1), LEASE).await?;
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
                return;
            }
        };
        let Err(error) = steps(&run).await else {
            self.count(&run, "ok");
            return;
        };
        if is_lost(&error) {
            tracing::info!(tenant.id = %tenant, %operation, "another worker has this operation now");
            return;
        }
        tracing::warn!(tenant.id = %tenant, %operation, reason = %error.reason(), cause = ?std::error::Error::source(&error), "an operation stopped");
        if let Err(second) = self.settle(&run, &error).await {
            tracing::warn!(tenant.id = %tenant, %operation, reason = %second.reason(), cause = ?std::error::Error::source(&second), "the end of an operation could not be noted yet");
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

    /// Tries again later, or ends the operation and takes back what it had begun.
    async fn settle(&self, run: &Run, error: &Error) -> Result<()> {
        if is_transient(error) && run.claim.attempt < MOST_ATTEMPTS {
            let mut tx = run.begin().await?;
            let delay = Duration::from_millis(500) * 2_u32.pow(run.claim.attempt.clamp(0, 6).unsigned_abs());
            operation::retry_later(&mut tx, &run.claim, error.public(), delay).await?;
            return tx.commit().await;
        }
        let (state, result) = match error.reason() {
            Reason::Cancelled => (State::Cancelled, "cancelled"),
            Reason::SnapshotCorrupt => (State::Failed, "corrupt"),
            _ => (State::Failed, "failed"),
        };
        let mut failure = Failure::of(error);
        if let (Some(tenant), Target::NewTenant { slug, .. }) = (run.checkpoint().tenant, &run.operation.input) {
            failure.message = format!(
                "{} The new tenant {slug} (tenants/{tenant}) was made, but holds no data: an operator can delete it.",
                failure.message
            );
        }
        // The snapshot that was being written is no snapshot: first its objects go, then its row says so.
        let unfinished = match run.operation.verb {
            Verb::CreateSnapshot => Some(run.operation.snapshot),
            _ => run.checkpoint().before_restore,
        };
        let mut tx = run.begin().await?;
        if let Some(id) = unfinished
            && let Some(row) = store::snapshot::fetch(&mut tx, id).await?
            && row.state == crate::domain::snapshot::State::Running
        {
            self.parts.archive.remove(run.claim.tenant, id).await?;
            let expire = self.parts.clock.now() + SHOW_FAILED;
            store::snapshot::failed(&mut tx, id, &failure.message, expire).await?;
            self.parts.metrics.snapshot(result, 0, 0);
        }
        if error.reason() == Reason::SnapshotCorrupt && run.operation.verb != Verb::CreateSnapshot {
            store::snapshot::verified(&mut tx, run.operation.snapshot, error.public(), self.parts.clock.now()).await?;
        }
        let stored = serde_json::to_value(&failure).map_err(Error::internal)?;
        operation::finish(&mut tx, &run.claim, state, &stored, &failure.message).await?;
        tx.commit().await?;
        self.count(run, result);
        Ok(())
    }

    fn count(&self, run: &Run, result: &'static str) {
        let elapsed = self.parts.clock.now() - run.operation.create_time;
        let seconds = elapsed.to_std().unwrap_or_default().as_secs_f64();
        self.parts.metrics.ended(run.operation.verb.as_str(), result, seconds);
    }
}

/// The operation's steps with its heart beside them.
async fn steps(run: &Run) -> Result<()> {
    if run.route.status != TenantStatus::Active {
        let text = "The tenant is not active; the operation waits.";
        return Err(Error::new(Reason::Unavailable, text));
    }
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
    let manifest = capture::capture(run, id).await?;
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
