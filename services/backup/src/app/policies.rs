//! When a tenant's snapshots are taken and how long they are kept.

use super::{
    Parts,
    once::{self, Once},
};
use crate::{
    domain::{Policy, policy},
    store,
};
use serde::{Deserialize, Serialize};
use tenantry_kernel::{Ctx, Error, Result};

/// What to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// New schedule.
    pub schedule: Option<String>,
    /// New days.
    pub keep_days: Option<i32>,
    /// New count.
    pub keep_last: Option<i32>,
    /// Checked if not empty.
    pub etag: String,
}

/// As an idempotent answer is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    schedule: String,
    keep_days: i32,
    keep_last: i32,
    next_time: Option<chrono::DateTime<chrono::Utc>>,
    version: i64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Policies {
    parts: Parts,
}

impl Policies {
    /// Over shared parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
    /// The tenant's policy; a tenant that the scheduler has not met yet gets the standard one.
    ///
    /// # Errors
    /// As every statement.
    pub async fn get(&self, ctx: &Ctx) -> Result<Policy> {
        let mut tx = self.parts.store.begin(ctx).await?;
        let found = store::policy::fetch(&mut tx).await?;
        tx.commit().await?;
        match found {
            Some(found) => Ok(found),
            None => Policy::standard(ctx.tenant()?, self.parts.clock.now()),
        }
    }
    /// Changes it; what it says about keeping counts for snapshots that are there, too.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `ETAG_MISMATCH`.
    pub async fn update(&self, ctx: &Ctx, change: Change, once: Option<&Once>) -> Result<Policy> {
        let (tenant, now) = (ctx.tenant()?, self.parts.clock.now());
        let mut tx = self.parts.store.begin(ctx).await?;
        if let Some(kept) = once::replay::<Kept>(once, &mut tx, ctx).await? {
            return Ok(Policy {
                schedule: kept.schedule,
                keep_days: kept.keep_days,
                keep_last: kept.keep_last,
                next_time: kept.next_time,
                version: kept.version,
            });
        }
        store::policy::ensure(&mut tx, tenant, &Policy::standard(tenant, now)?).await?;
        let mut policy = store::policy::lock(&mut tx).await?;
        if !change.etag.is_empty() && change.etag != policy.etag() {
            return Err(Error::etag_mismatch());
        }
        if let Some(schedule) = change.schedule {
            schedule.trim().clone_into(&mut policy.schedule);
            policy.next_time = policy::next(&policy.schedule, tenant, now)?;
        }
        policy.keep_days = change.keep_days.unwrap_or(policy.keep_days);
        policy.keep_last = change.keep_last.unwrap_or(policy.keep_last);
        policy.check()?;
        policy.version += 1;
        store::policy::update(&mut tx, &policy).await?;
        if change.keep_days.is_some() {
            store::snapshot::expire_after(&mut tx, policy.keep_days).await?;
        }
        let kept = Kept {
            schedule: policy.schedule.clone(),
            keep_days: policy.keep_days,
            keep_last: policy.keep_last,
            next_time: policy.next_time,
            version: policy.version,
        };
        once::finish(once, &mut tx, ctx, &kept).await?;
        tx.commit().await?;
        Ok(policy)
    }
}
