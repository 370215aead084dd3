//! gRPC in and out: message -> command, call, result -> message. No decisions, no SQL.

mod branding;
mod clones;
mod convert;
mod domains;
mod operations;
mod plans;
mod routes;
mod tenants;

pub use branding::BrandingRpc;
pub use clones::CloneRpc;
pub use convert::Links;
pub use domains::DomainRpc;
pub use operations::OperationRpc;
pub use plans::PlanRpc;
pub use routes::RouteRpc;
pub use tenants::TenantRpc;

use crate::app::Idempotency;
use tenantry_kernel::Result;

/// The idempotency of a request whose key was taken out of it.
fn once<M: prost::Message>(method: &'static str, key: &str, request: &M) -> Result<Idempotency> {
    Idempotency::new(method, key, &request.encode_to_vec())
}
