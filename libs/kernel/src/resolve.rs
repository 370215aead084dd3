//! The edge between "a name from outside" and a [`TenantRoute`].

use crate::{Result, TenantId, TenantRoute};
use std::{future::Future, pin::Pin, sync::Arc};

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Finds a tenant's route. Implemented by `libs/tenancy` from the registry's push, and by the registry from its own table.
pub trait Resolve: Send + Sync + 'static {
    /// By id.
    ///
    /// # Errors
    /// `TENANT_NOT_FOUND`, or `UNAVAILABLE` while nothing is known yet.
    fn by_id(&self, tenant: TenantId) -> BoxFuture<'_, Result<Arc<TenantRoute>>>;
    /// By slug (the first label of a tenant host).
    ///
    /// # Errors
    /// As [`Resolve::by_id`].
    fn by_slug<'a>(&'a self, slug: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>>;
    /// By verified custom domain.
    ///
    /// # Errors
    /// As [`Resolve::by_id`].
    fn by_domain<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>>;
}
