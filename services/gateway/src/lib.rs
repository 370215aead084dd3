//! The gateway: one public port for gRPC, gRPC-Web, REST and pages of every tenant.
//!
//! ```text
//! bytes -> edge/listener.rs   bounds on connections, heads and slowness
//!       -> edge/mod.rs        request id, span, one canonical line, headers of every response
//!       -> edge/arrival.rs    host -> place, bearer token or cookie, same-origin check
//!       -> edge/{grpc,rest,pages,system}.rs     the client's way of speaking; rest and pages become a gRPC call
//!       -> app/gate.rs        tenant, status, caller (credential -> transaction token), limits; then forward
//!       -> a service          frames as they are, both ways
//! domain/ knows the rules (hosts, paths, JSON, colours) and does nothing.
//! ```
//!
//! It has no database and believes no client about a tenant: the host, the path and the credential must agree.

pub mod app;
pub mod clients;
pub mod config;
pub mod domain;
pub mod edge;
pub mod error;
pub mod wiring;

pub use config::Config;
pub use domain::table::{Kind, RouteInfo};
pub use wiring::run;

/// Everything the public port answers, from the table that dispatches.
#[must_use]
pub fn routes() -> Vec<RouteInfo> {
    domain::table::Table::load(&tenantry_api::Methods::load(), &edge::pages::specs()).infos()
}

/// The OpenAPI 3.1 document.
#[must_use]
pub fn open_api() -> serde_json::Value {
    let methods = tenantry_api::Methods::load();
    let table = domain::table::Table::load(&methods, &edge::pages::specs());
    domain::openapi::document(&methods, &table)
}
