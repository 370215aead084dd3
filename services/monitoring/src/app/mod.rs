//! What this service does, step by step. The only place that opens transactions and orders their steps.

pub mod alerts;
pub mod events;
pub mod fleet;
pub mod ingest;
pub mod quotas;
pub mod series;
pub mod usage;

pub use tenantry_crypto::paging;

use std::sync::Arc;
use tenantry_kernel::{BoxFuture, Result, TenantId, TenantRoute};

/// Which tenants there are.
pub trait Routes: Send + Sync + 'static {
    /// The route, if it is known here.
    fn known(&self, tenant: TenantId) -> Option<Arc<TenantRoute>>;
    /// The route, asking the registry for one that is not known here. `None`: there is no such tenant.
    fn ask(&self, tenant: TenantId) -> BoxFuture<'_, Result<Option<Arc<TenantRoute>>>>;
}
