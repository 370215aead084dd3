//! Starts scheduled snapshots. Every active tenant has a policy: who is met for the first time gets the standard one.

use crate::{
    app::Parts,
    domain::{Operation, Policy, Snapshot, operation::Verb, policy, snapshot::Kind},
    store,
};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tenantry_kernel::{Result, TenantId, TenantStatus};
use tenantry_tenancy::TenantRouter;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const EVERY: Duration = Duration::from_secs(5);
/// Policies in one transaction.
const BATCH: i64 = 50;

/// The scheduler of this process; several processes share the work.
pub struct Scheduler {
    parts: Parts,
    router: Arc<TenantRouter>,
    /// Tenants that are known to have a policy.
    known: HashSet<TenantId>,
}

impl Scheduler {
    /// `router` knows every tenant.
    #[must_use]
    pub fn new(parts: Parts, router: Arc<TenantRouter>) -> Self {
        Self {
            parts,
            router,
            known: HashSet::new(),
        }
    }
    /// Runs until `stop`, from when the routes are `loaded`: before, nobody knows which tenants there are.
    pub async fn run(mut self, loaded: CancellationToken, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = loaded.cancelled() => {}
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            if let Err(error) = self.turn().await {
                tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "the schedule waits");
            }
        }
    }

    async fn turn(&mut self) -> Result<()> {
        let routes = self.router.all();
        // One that is gone and comes back is met again.
        let there: HashSet<TenantId> = routes.iter().map(|route| route.tenant).collect();
        self.known.retain(|known| there.contains(known));
        let active = routes.iter().filter(|route| route.status == TenantStatus::Active);
        let active: Vec<TenantId> = active.map(|route| route.tenant).collect();
        self.meet(&active).await?;
        let active: Vec<Uuid> = active.iter().map(|tenant| tenant.uuid()).collect();
        while self.start(&active).await? > 0 {}
        let mut tx = self.parts.store.begin_system("backup_ages").await?;
        let (oldest, without) = store::retention::ages(&mut tx, self.parts.clock.now(), &active).await?;
        tx.commit().await?;
        self.parts.metrics.ages(oldest, without);
        Ok(())
    }

    /// Gives new tenants their policy.
    async fn meet(&mut self, active: &[TenantId]) -> Result<()> {
        let new = |tenant: &TenantId| *tenant != TenantId::PLATFORM && !self.known.contains(tenant);
        let new: Vec<TenantId> = active.iter().copied().filter(new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut tx = self.parts.store.begin_system("backup_policies").await?;
        for tenant in &new {
            let policy = Policy::standard(*tenant, self.parts.clock.now())?;
            store::policy::ensure(&mut tx, *tenant, &policy).await?;
        }
        tx.commit().await?;
        self.known.extend(new);
        Ok(())
    }

    /// Starts what is due; how many. A tenant that is not active stays due, and gets its turn when it is again.
    async fn start(&self, active: &[Uuid]) -> Result<usize> {
        let (parts, now) = (&self.parts, self.parts.clock.now());
        let mut tx = parts.store.begin_system("backup_schedule").await?;
        let due = store::policy::due(&mut tx, now, active, BATCH).await?;
        for (tenant, found) in &due {
            // A turn that was missed while nobody ran is made up for once, not once a turn.
            let next = policy::next(&found.schedule, *tenant, now)?;
            store::policy::set_next(&mut tx, *tenant, next).await?;
            let (id, operation) = (parts.ids.new_v7(), parts.ids.new_v7());
            let snapshot = Snapshot::new(id, Kind::Scheduled, String::new(), operation, now);
            let operation = Operation::new(operation, Verb::CreateSnapshot, id, String::new(), now);
            store::snapshot::insert(&mut tx, *tenant, &snapshot).await?;
            store::operation::insert(&mut tx, *tenant, &operation).await?;
        }
        tx.commit().await?;
        if !due.is_empty() {
            parts.work.notify_one();
        }
        Ok(due.len())
    }
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scheduler(..)")
    }
}
