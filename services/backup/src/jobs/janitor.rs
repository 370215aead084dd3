//! Removes what has expired in two phases: first a row says DELETING, then its objects go, then the row. A tenant that
//! the registry does not know any more for a while loses everything: snapshots, operations, policy.

use crate::{app::Parts, store};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use tenantry_db::idempotency;
use tenantry_kernel::{Reason, Result, TenantId};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const EVERY: Duration = Duration::from_secs(30);
const BATCH: i64 = 100;
/// A finished operation is shown this long.
const SHOW_FINISHED: TimeDelta = TimeDelta::days(30);

/// Runs until `stop`. `grace`: how long a tenant must be unknown before its snapshots go, so that a registry that was
/// itself brought back from an older backup does not cost everybody's.
pub async fn run(parts: Parts, grace: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = parts.sweep.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        run_once(&parts, grace).await;
    }
}

/// One round. Its parts do not wait for each other, nor one snapshot or tenant for another: what cannot be removed now is
/// counted and tried again in the next round.
pub async fn run_once(parts: &Parts, grace: Duration) {
    told("expiry", mark(parts).await);
    if let Some(overdue) = told("removal", sweep(parts).await) {
        parts.metrics.overdue("snapshots", overdue);
    }
    if let Some(overdue) = told("gone tenants", gone(parts, grace).await) {
        parts.metrics.overdue("tenants", overdue);
    }
}

fn told<T>(what: &'static str, outcome: Result<T>) -> Option<T> {
    outcome
        .inspect_err(|error| {
            tracing::warn!(what, reason = %error.reason(), cause = ?std::error::Error::source(error), "retention waits for its next turn");
        })
        .ok()
}

async fn mark(parts: &Parts) -> Result<()> {
    let now = parts.clock.now();
    let mut tx = parts.store.begin_system("retention").await?;
    let marked = store::retention::mark(&mut tx, now).await?;
    store::retention::forget_operations(&mut tx, now - SHOW_FINISHED).await?;
    idempotency::purge(&mut tx, store::SCHEMA).await?;
    tx.commit().await?;
    if marked > 0 {
        tracing::info!(marked, "snapshots have expired");
    }
    Ok(())
}

/// Objects, then rows, of what is marked; how many could not be removed.
async fn sweep(parts: &Parts) -> Result<u64> {
    let (mut after, mut overdue) = (Uuid::nil(), 0);
    loop {
        let mut tx = parts.store.begin_system("retention").await?;
        let found = store::retention::deleting(&mut tx, after, BATCH).await?;
        tx.commit().await?;
        for (tenant, snapshot) in &found {
            if let Err(error) = remove(parts, *tenant, *snapshot).await {
                overdue += 1;
                tracing::warn!(tenant.id = %tenant, %snapshot, reason = %error.reason(), cause = ?std::error::Error::source(&error), "a snapshot could not be removed");
            }
        }
        match found.last() {
            Some((_, last)) if found.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX) => after = *last,
            _ => return Ok(overdue),
        }
    }
}

async fn remove(parts: &Parts, tenant: TenantId, snapshot: Uuid) -> Result<()> {
    parts.archive.remove(tenant, snapshot).await?;
    parts.faults.hit("backup.retention.after_objects").await?;
    let mut tx = parts.store.begin_system("retention").await?;
    store::retention::remove(&mut tx, tenant, snapshot).await?;
    tx.commit().await
}

/// Tenants that the registry does not know (any more); how many could not be marked or removed.
async fn gone(parts: &Parts, grace: Duration) -> Result<u64> {
    let mut overdue = 0;
    let mut tx = parts.store.begin_system("gone_tenants").await?;
    let tenants = store::policy::tenants(&mut tx).await?;
    tx.commit().await?;
    for (tenant, since) in tenants {
        let done = match (parts.resolver.by_id(tenant).await, since) {
            (Ok(_), None) => Ok(()),
            (Ok(_), Some(_)) => note(parts, tenant, None).await,
            (Err(error), since) if error.reason() == Reason::TenantNotFound => {
                let left = leave(parts, tenant, since, grace).await;
                overdue += u64::from(left.is_err());
                left
            }
            // The registry is away: nothing is known.
            (Err(_), _) => Ok(()),
        };
        if let Err(error) = done {
            tracing::warn!(tenant.id = %tenant, reason = %error.reason(), cause = ?std::error::Error::source(&error), "a tenant could not be marked or removed");
        }
    }
    Ok(overdue)
}

/// Marks a tenant that is gone, once; removes it after the grace.
async fn leave(parts: &Parts, tenant: TenantId, since: Option<DateTime<Utc>>, grace: Duration) -> Result<()> {
    let now = parts.clock.now();
    if since.is_none() {
        note(parts, tenant, Some(now)).await?;
    }
    if (now - since.unwrap_or(now)).to_std().unwrap_or_default() < grace {
        return Ok(());
    }
    purge(parts, tenant).await
}

async fn note(parts: &Parts, tenant: TenantId, since: Option<DateTime<Utc>>) -> Result<()> {
    let mut tx = parts.store.begin_system("gone_tenants").await?;
    store::policy::set_gone(&mut tx, tenant, since).await?;
    tx.commit().await
}

async fn purge(parts: &Parts, tenant: TenantId) -> Result<()> {
    parts.archive.remove_tenant(tenant).await?;
    let mut tx = parts.store.begin_system("gone_tenants").await?;
    store::retention::purge(&mut tx, tenant).await?;
    tx.commit().await?;
    parts.clients.forget(tenant);
    tracing::info!(tenant.id = %tenant, "the snapshots of a tenant that is gone were removed");
    Ok(())
}
