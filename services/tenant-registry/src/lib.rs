//! The tenant registry: who the tenants are, what they may use, where they live, and the sagas that make and unmake
//! them. Routes leave it as a stream; nobody asks it on the path of a request.
//!
//! ```text
//! operator -> rpc -> app/tenants -> store (tenant, operation, route epoch)      one transaction
//!                                     |
//!             jobs/driver  -> app/sagas -> store (outbox) -> relay -> broker -> business, auth
//!             jobs/replies <- app/sagas <- broker                               state in tables only (decision 18)
//!             jobs/routes  -> app/routes -> rpc/routes (WatchRoutes)            every replica from the table
//! ```
//!
//! It must never hold tenant data or keys, and never be needed for a request that business or auth can answer.

pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod jobs;
pub mod rpc;
pub mod store;
pub mod wiring;

pub use config::Config;

/// Migrations of schema `registry`.
pub static MIGRATOR: tenantry_db::Migrator = sqlx::migrate!("./migrations");
