//! Tenants, plans, domains, branding and the saga machine: pure, synchronous, no SQL, no wire format, no clock.

pub mod branding;
pub mod custom_domain;
pub mod etag;
pub mod operation;
pub mod plan;
pub mod saga;
pub mod tenant;

pub use branding::{Branding, BrandingRevision};
pub use custom_domain::{CustomDomain, DomainState};
pub use operation::{Input, Operation};
pub use plan::Plan;
pub use saga::{Failure, Moment, Phase, Place, Progress, Saga, Step, Verb};
pub use tenant::{Tenant, TenantName, TenantState};
