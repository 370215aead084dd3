//! Operators manage plans. A change reaches the routes of all tenants of the plan.

use crate::{
    app::{Idempotency, Page, Pager, Query, Sagas},
    domain::{Plan, etag, plan, tenant},
    store::{self, Store},
};
use std::{collections::BTreeSet, sync::Arc};
use tenantry_kernel::{Ctx, Limits, Result};

/// A change of a plan; `None` leaves a value.
#[derive(Clone, Debug, Default)]
pub struct PlanChange {
    /// Name for people.
    pub display_name: Option<String>,
    /// Limits, all of them.
    pub limits: Option<Limits>,
    /// Features, all of them.
    pub features: Option<BTreeSet<String>>,
    /// Etag that was read; empty = not checked.
    pub etag: String,
}

/// See the module.
#[derive(Clone)]
pub struct PlanApp {
    store: Store,
    pager: Pager,
    sagas: Arc<Sagas>,
}

impl PlanApp {
    /// All parts.
    #[must_use]
    pub fn new(store: Store, pager: Pager, sagas: Arc<Sagas>) -> Self {
        Self { store, pager, sagas }
    }

    /// Adds a plan.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `ALREADY_EXISTS`.
    pub async fn create(&self, ctx: &Ctx, plan: Plan, once: &Idempotency) -> Result<Plan> {
        plan::check_id(&plan.id)?;
        check(&plan)?;
        let mut tx = self.store.begin_system(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let plan = store::plan_insert(&mut tx, &plan).await?;
        once.remember(&mut tx, ctx, &plan).await?;
        tx.commit().await?;
        Ok(plan)
    }

    /// One plan.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, ctx: &Ctx, id: &str) -> Result<Plan> {
        store::plan_fetch(&mut self.store.begin_system(ctx).await?, id).await
    }

    /// A page of plans by id.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `INVALID_PAGE_TOKEN`.
    pub async fn list(&self, ctx: &Ctx, method: &'static str, query: &Query) -> Result<Page<Plan>> {
        let slice = self.pager.open(ctx, method, &[], query).await?;
        let rows = store::plan_list(&mut self.store.begin_system(ctx).await?, &slice.after, slice.limit()).await?;
        slice.page(rows, |plan| plan.id.clone()).await
    }

    /// Changes a plan and the routes of its tenants.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID_ARGUMENT`, `ETAG_MISMATCH`.
    pub async fn update(&self, ctx: &Ctx, id: &str, change: PlanChange, once: &Idempotency) -> Result<Plan> {
        let mut tx = self.store.begin_system(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let mut plan = store::plan_lock(&mut tx, id).await?;
        etag::check(&change.etag, plan.version)?;
        plan.display_name = change.display_name.unwrap_or(plan.display_name);
        plan.limits = change.limits.unwrap_or(plan.limits);
        plan.features = change.features.unwrap_or(plan.features);
        check(&plan)?;
        let plan = store::plan_update(&mut tx, &plan).await?;
        store::route_touch_plan(&mut tx, id).await?;
        once.remember(&mut tx, ctx, &plan).await?;
        tx.commit().await?;
        self.sagas.nudge();
        Ok(plan)
    }
}

fn check(plan: &Plan) -> Result<()> {
    tenant::check_display_name("plan.display_name", &plan.display_name)?;
    plan::check_limits(&plan.limits)?;
    plan::check_features(&plan.features)
}
