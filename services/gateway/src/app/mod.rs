//! The one way to a service: find the tenant, prove the caller, count the request, send it on. Every front (gRPC,
//! gRPC-Web, REST, pages) walks through [`gate::Gate`], so that no front can forget a step.

pub mod credentials;
pub mod gate;
pub mod guard;
pub mod limits;
pub mod quotas;
pub mod visitor;
