//! What the caller's tenant used.

use crate::{
    domain::{
        quota,
        usage::{Span, Step, Usage, in_steps},
    },
    store::{self, Store, ingest::Table},
};
use chrono::{DateTime, Duration, Utc};
use std::{collections::BTreeMap, sync::Arc};
use tenantry_kernel::{Clock, Ctx, Result};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Begin.
    pub start: Option<DateTime<Utc>>,
    /// End.
    pub end: Option<DateTime<Utc>>,
    /// Length of a step.
    pub step: Step,
}

/// The plan's quota and how far it is used.
#[derive(Clone, Copy, Debug)]
pub struct QuotaUse {
    /// Used in this month.
    pub used: i64,
    /// Allowed in a month; 0 = no limit.
    pub allowed: u64,
    /// When the month ends.
    pub reset: DateTime<Utc>,
}

/// What was used.
#[derive(Clone, Debug)]
pub struct Report {
    /// The span that was taken.
    pub span: Span,
    /// All of it.
    pub total: Usage,
    /// By step.
    pub steps: BTreeMap<DateTime<Utc>, Usage>,
    /// The quota.
    pub quota: QuotaUse,
    /// The plan.
    pub plan: String,
}

/// See the module.
#[derive(Clone)]
pub struct UsageApp {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl UsageApp {
    /// Over the store.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Usage of the caller's tenant.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a wrong span.
    pub async fn get(&self, ctx: &Ctx, asked: Asked) -> Result<Report> {
        let now = self.clock.now();
        let span = Span::of(asked.start, asked.end, now, Duration::days(1), asked.step)?;
        let table = if asked.step == Step::Minute {
            Table::Minute
        } else {
            Table::Hour
        };
        let month = quota::month(now);
        let mut tx = self.store.begin(ctx).await?;
        let rows = store::usage::list(&mut tx, table, span).await?;
        let used = store::usage::admitted(&mut tx, month).await?;
        tx.commit().await?;
        let (total, steps) = in_steps(rows, asked.step);
        let route = ctx.route()?;
        Ok(Report {
            span,
            total,
            steps,
            quota: QuotaUse {
                used,
                allowed: route.limits.requests_per_month,
                reset: quota::reset(month),
            },
            plan: route.plan.clone(),
        })
    }
}

impl std::fmt::Debug for UsageApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UsageApp(..)")
    }
}
