//! Removes what has expired in two phases: first a row says DELETING, then its objects go, then the row. A tenant that
//! the registry does not know any more for a while loses everything: snapshots, operations, policy.

use crate::{app::Parts, store};
use std::time::Duration;
use tenantry_db::idempotency;
use tenantry_kernel::{Reason, Result, TenantId};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(30);
const BATCH: i64 = 100;

/// Runs until `stop`. `grace`: how long a tenant must be unknown before its snapshots go, so that a registry that was
/// itself brought back from an older backup does not cost everybody's.
pub async fn run(parts: Parts, grace: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = parts.sweep.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = run_once(&parts, grace).await {
            tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "retention waits for its next turn");
        }
    }
}

/// One round.
///
/// # Errors
/// As every statement and every object.
pub async fn run_once(parts: &Parts, grace: Duration) -> Result<()> {
    let mut tx = parts.store.begin_system("retention").await?;
    let marked = store::retention::mark(&mut tx, parts.clock.now()).await?;
    idempotency::purge(&mut tx, store::SCHEMA).await?;
    tx.commit().await?;
    if marked > 0 {
        tracing::info!(marked, "snapshots have expired");
    }
    sweep(parts).await?;
    gone(parts, grace).await
}

/// Objects, then rows, of what is marked.
async fn sweep(parts: &Parts) -> Result<()> {
    loop {
        let mut tx = parts.store.begin_system("retention").await?;
        let found = store::retention::deleting(&mut tx, BATCH).await?;
        tx.commit().await?;
        for (tenant, snapshot) in &found {
            parts.archive.remove(*tenant, *snapshot).await?;
            parts.faults.hit("backup.retention.after_objects").await?;
            let mut tx = parts.store.begin_system("retention").await?;
            store::retention::remove(&mut tx, *tenant, *snapshot).await?;
            tx.commit().await?;
        }
        if found.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            return Ok(());
        }
    }
}

/// Tenants that were purged.
async fn gone(parts: &Parts, grace: Duration) -> Result<()> {
    let mut tx = parts.store.begin_system("gone_tenants").await?;
    let tenants = store::policy::tenants(&mut tx).await?;
    tx.commit().await?;
    let now = parts.clock.now();
    for (tenant, since) in tenants {
        match (parts.resolver.by_id(tenant).await, since) {
            (Ok(_), None) => {}
            (Ok(_), Some(_)) => note(parts, tenant, None).await?,
            (Err(error), since) if error.reason() == Reason::TenantNotFound => {
                let since = since.unwrap_or(now);
                note(parts, tenant, Some(since)).await?;
                if (now - since).to_std().unwrap_or_default() >= grace {
                    purge(parts, tenant).await?;
                }
            }
            // The registry is away: nothing is known.
            (Err(_), _) => {}
        }
    }
    Ok(())
}

async fn note(parts: &Parts, tenant: TenantId, since: Option<chrono::DateTime<chrono::Utc>>) -> Result<()> {
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
