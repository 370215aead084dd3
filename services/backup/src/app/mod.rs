//! What this service does for a request, one struct per resource, one method per command. The only place besides `jobs`
//! that opens transactions and orders their steps.

pub mod fleet;
pub mod operations;
pub mod policies;
pub mod snapshots;

pub use tenantry_db::once;

use crate::{archive::Archive, metrics::Metrics, peers::Clients, store::Store};
use std::sync::Arc;
use tenantry_crypto::{Binding, PageTokens, SigningKey, TenantKeys, VerifyingKeys};
use tenantry_kernel::{Clock, Ctx, Ids, Principal, RequestId, Resolve, Result, TenantRoute};
use tenantry_server::Faults;
use tokio::sync::Notify;

/// What every part needs.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The objects.
    pub archive: Archive,
    /// Tenant keys.
    pub keys: Arc<dyn TenantKeys>,
    /// Signs manifests.
    pub signing: Arc<SigningKey>,
    /// Whose manifests are believed.
    pub trusted: Arc<VerifyingKeys>,
    /// The other services.
    pub clients: Clients,
    /// Routes.
    pub resolver: Arc<dyn Resolve>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn Ids>,
    /// Fault points.
    pub faults: Faults,
    /// Counters.
    pub metrics: Metrics,
    /// Notified when an operation was started here.
    pub work: Arc<Notify>,
    /// Notified when a snapshot is to be removed.
    pub sweep: Arc<Notify>,
}

impl Parts {
    /// A context of this service's own for a tenant.
    ///
    /// # Errors
    /// Where auth gives no database context.
    pub async fn own_ctx(&self, route: &Arc<TenantRoute>) -> Result<Ctx> {
        let db = self.clients.database_context(route.tenant).await?;
        let request = RequestId::from_uuid(self.ids.new_v7());
        Ok(Ctx::new(Principal::service("backup"), request)
            .with_route(Arc::clone(route))
            .with_db(Some(db)))
    }
    async fn seal_page(&self, ctx: &Ctx, method: &str, cursor: &[u8]) -> Result<String> {
        let principal = ctx.principal().name();
        let binding = binding(ctx, &principal, method)?;
        PageTokens::seal_keyed(self.keys.as_ref(), binding, cursor, self.clock.now()).await
    }
    async fn open_page(&self, ctx: &Ctx, method: &str, token: &str) -> Result<Option<Vec<u8>>> {
        if token.is_empty() {
            return Ok(None);
        }
        let principal = ctx.principal().name();
        let binding = binding(ctx, &principal, method)?;
        PageTokens::open_keyed(self.keys.as_ref(), binding, token, self.clock.now())
            .await
            .map(Some)
    }
}

fn binding<'a>(ctx: &Ctx, principal: &'a str, method: &'a str) -> Result<Binding<'a>> {
    Ok(Binding {
        tenant: ctx.tenant()?,
        principal,
        method,
        query_hash: [0; 32],
    })
}

/// `users/{user}`, or empty for a service.
fn creator(ctx: &Ctx) -> String {
    let user = ctx.principal().user();
    user.map(|user| format!("users/{user}")).unwrap_or_default()
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts(..)")
    }
}
