//! What this service does, step by step: one struct per resource, one method per command. The only place that opens
//! transactions and orders their steps.

pub mod events;
pub mod exports;
pub mod feature;
pub mod holds;
pub mod imports;
pub mod object_types;
pub mod operations;
pub mod provisioning;
pub mod records;
pub mod records_batch;
pub mod restores;
pub mod upload;
pub mod violation;
pub mod watch;

pub use tenantry_db::once;

use crate::store::{Store, cached::Cached};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tenantry_crypto::{Binding, PageTokens, TenantKeys};
use tenantry_kernel::{BoxFuture, Clock, Ctx, DbContext, Ids, Result, TenantId};
use tokio::sync::Notify;

/// What every part needs.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The cache.
    pub cached: Cached,
    /// Tenant keys.
    pub keys: Arc<dyn TenantKeys>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn Ids>,
    /// Wakes watchers of this process.
    pub nudges: Nudges,
}

/// Where jobs and streams get a fresh database context: auth, by this service's identity.
pub trait Contexts: Send + Sync + 'static {
    /// A context for `tenant`; `purpose` is audited.
    fn database_context(&self, tenant: TenantId, purpose: &'static str) -> BoxFuture<'_, Result<DbContext>>;
}

impl Parts {
    /// Seals the place where a list's next page starts.
    async fn seal_page(&self, ctx: &Ctx, method: &str, query: [u8; 32], cursor: &[u8]) -> Result<String> {
        let principal = ctx.principal().name();
        let binding = Binding {
            tenant: ctx.tenant()?,
            principal: &principal,
            method,
            query_hash: query,
        };
        PageTokens::seal_keyed(self.keys.as_ref(), binding, cursor, self.clock.now()).await
    }
    /// Opens a page token of the same caller, method and query.
    async fn open_page(&self, ctx: &Ctx, method: &str, query: [u8; 32], token: &str) -> Result<Option<Vec<u8>>> {
        if token.is_empty() {
            return Ok(None);
        }
        let principal = ctx.principal().name();
        let binding = Binding {
            tenant: ctx.tenant()?,
            principal: &principal,
            method,
            query_hash: query,
        };
        PageTokens::open_keyed(self.keys.as_ref(), binding, token, self.clock.now())
            .await
            .map(Some)
    }
    /// `users/{user}`, or empty for a service.
    fn creator(ctx: &Ctx) -> String {
        ctx.principal()
            .user()
            .map(|user| format!("users/{user}"))
            .unwrap_or_default()
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts(..)")
    }
}

/// Tells the watchers of a tenant, in this process, that something was committed. Others find it by polling.
#[derive(Clone, Debug, Default)]
pub struct Nudges(Arc<Mutex<HashMap<TenantId, Arc<Notify>>>>);

impl Nudges {
    /// Wakes the tenant's watchers.
    pub fn nudge(&self, tenant: TenantId) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = known.get(&tenant) {
            notify.notify_waiters();
        }
    }
    /// What a watcher of the tenant waits on.
    #[must_use]
    pub fn of(&self, tenant: TenantId) -> Arc<Notify> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Tenants that nobody watches any more.
        known.retain(|_, notify| Arc::strong_count(notify) > 1);
        known.entry(tenant).or_default().clone()
    }
}
