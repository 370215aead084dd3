//! What the registry does, one struct per resource: load, decide (domain), persist, return. Each command owns its
//! transaction and is the only place that orders its steps. No wire format, no SQL text.

mod branding;
mod domains;
pub mod events;
mod idempotency;
mod operations;
mod outbox;
mod plans;
mod routes;
mod sagas;
mod tenants;

pub use branding::{BrandingApp, BrandingChange};
pub use domains::DomainApp;
pub use idempotency::Idempotency;
pub use operations::OperationApp;
pub use outbox::Outbox;
pub use plans::{PlanApp, PlanChange};
pub use routes::{Change, PAGE, Routes, Watch};
pub use sagas::{Reply, ReplyOutcome, SagaSettings, Sagas};
pub use tenantry_crypto::paging::{Page, Pager, Query};
pub use tenants::{NewTenant, TenantApp, TenantChange, TenantFilter, TenantSettings};

/// Now, to the microsecond that PostgreSQL keeps: an answer given before and after storing it says the same.
fn now(clock: &dyn tenantry_kernel::Clock) -> chrono::DateTime<chrono::Utc> {
    chrono::SubsecRound::trunc_subsecs(clock.now(), 6)
}
