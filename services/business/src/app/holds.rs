//! Keeps a tenant's data as it is while it is being replaced: from before the copy that is kept of it until the swap. See
//! `docs/decisions/0011`.

use super::Parts;
use crate::store::{self, Store, hold, object_type, restore};
use std::{convert::Infallible, time::Duration};
use tenantry_db::{RetryPolicy, retry};
use tenantry_kernel::{Ctx, Error, Reason, Result, TenantId};
use uuid::Uuid;

/// Several renewals can fail before a hold is lost.
const RENEW: Duration = Duration::from_secs(20);
/// Whoever writes just now is waited for, two seconds at a time, so that readers behind the lock are not held up.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 20,
    base: Duration::from_millis(50),
    max: Duration::from_secs(2),
};
/// More than any plan allows.
const ALL: i64 = 100_000;

/// Holds a tenant for a restore. When this answers, everything that was acknowledged can be seen, and nothing more will
/// be acknowledged.
///
/// # Errors
/// `FAILED_PRECONDITION` for a restore that is done, `CONFLICT` where somebody writes for a long time.
pub async fn take(store: &Store, tenant: TenantId, id: Uuid) -> Result<()> {
    let types = retry("hold_tenant", RETRY, || async {
        let mut tx = store.begin_ddl("hold_tenant").await?;
        object_type::lock_tenant(&mut tx, tenant).await?;
        if restore::done(&mut tx, tenant, id).await?.is_some() {
            let text = "This restore is done; there is nothing to hold the tenant for.";
            return Err(Error::new(Reason::FailedPrecondition, text));
        }
        let types = object_type::list(&mut tx, tenant, "", ALL).await?;
        hold::take(&mut tx, tenant, id, &types).await?;
        tx.commit().await?;
        Ok(types)
    })
    .await?;
    let awaited = retry("await_writers", RETRY, || async {
        let mut tx = store.begin_ddl("await_writers").await?;
        hold::await_writers(&mut tx, tenant, &types).await?;
        tx.commit().await
    });
    match awaited.await {
        Ok(()) => Ok(()),
        Err(error) => {
            release(store, tenant, id).await;
            Err(error)
        }
    }
}

/// Renews the hold for as long as this is polled.
pub async fn keep(store: &Store, tenant: TenantId, id: Uuid) -> Infallible {
    loop {
        tokio::time::sleep(RENEW).await;
        if let Err(error) = renew(store, tenant, id).await {
            tracing::warn!(tenant.id = %tenant, reason = %error.reason(), "a hold was not renewed");
        }
    }
}

async fn renew(store: &Store, tenant: TenantId, id: Uuid) -> Result<()> {
    let mut tx = store.begin_ddl("renew_hold").await?;
    hold::renew(&mut tx, tenant, id).await?;
    tx.commit().await
}

/// Lets the tenant be changed again, if this restore holds it. What fails here ends with the lease.
pub async fn release(store: &Store, tenant: TenantId, id: Uuid) {
    if let Err(error) = end(store, tenant, id, false).await {
        tracing::warn!(tenant.id = %tenant, reason = %error.reason(), "a hold ends later");
    }
}

/// Ends holds whose restore is silent. For the janitor.
///
/// # Errors
/// As every statement.
pub async fn sweep(store: &Store) -> Result<()> {
    let mut tx = store.begin_ddl("sweep_holds").await?;
    let expired = hold::expired(&mut tx).await?;
    tx.commit().await?;
    for (tenant, id) in expired {
        end(store, tenant, id, true).await?;
    }
    Ok(())
}

async fn end(store: &Store, tenant: TenantId, id: Uuid, expired: bool) -> Result<()> {
    retry("end_hold", RETRY, || async {
        let mut tx = store.begin_ddl("end_hold").await?;
        match object_type::lock_tenant(&mut tx, tenant).await {
            // Dropped: its rows go with it.
            Err(error) if error.reason() == Reason::TenantNotActive => return Ok(()),
            locked => locked?,
        }
        if hold::forget(&mut tx, tenant, id, expired).await? {
            let types = object_type::list(&mut tx, tenant, "", ALL).await?;
            hold::allow(&mut tx, tenant, &types).await?;
        }
        tx.commit().await
    })
    .await
}

/// Whether a statement that was denied was so because the tenant is held.
pub(super) async fn explains(parts: &Parts, ctx: &Ctx) -> bool {
    let asked = async {
        let mut tx = parts.store.begin(ctx).await?;
        let held = store::hold::is_held(&mut tx).await?;
        tx.commit().await?;
        Ok::<_, Error>(held)
    };
    asked.await.unwrap_or(false)
}
