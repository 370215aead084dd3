//! Business: the tenants' object types, records, change stream and CSV imports.
//!
//! ```text
//! request -> rpc (proto) -> app (order of steps, transactions) -> domain (rules)
//!                            |-> store (SQL as the tenant, bound by the signed context) -> PostgreSQL t_<tenant>.o_<type>
//!                            `-> store/cached (sealed, after commit)                    -> Redis
//! jobs: import_worker (claims operations), saga (provision and drop schemas), relay, janitor
//! ```
//!
//! It must never reach a tenant's rows without that tenant's signed database context, change a type outside of the
//! transaction of its definition, or know another service's tables.

pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod jobs;
pub mod rpc;
pub mod store;
pub mod wiring;

pub use config::Config;

/// Migrations of schema `business`.
pub static MIGRATOR: tenantry_db::Migrator = sqlx::migrate!("./migrations");
