//! Backup: snapshots of tenants' data, encrypted under their own keys, in an object store.
//!
//! ```text
//! request -> rpc (proto) -> app (rows, operations) -> store (SQL)
//! jobs: worker (claims operations) -> capture, verify, restore -> archive (objects) <-> peers (business, registry, auth)
//!       scheduler (policies -> operations), janitor (retention, tenants that are gone)
//! ```
//!
//! It must never overwrite an object, believe a database row about what a snapshot holds, restore anything that it has
//! not read to its end and found right, or know what is in the rows.

pub mod app;
pub mod archive;
pub mod cli;
pub mod config;
pub mod domain;
pub mod jobs;
pub mod metrics;
pub mod peers;
pub mod rpc;
pub mod store;
pub mod wiring;

pub use config::Config;

/// Migrations of schema `backup`.
pub static MIGRATOR: tenantry_db::Migrator = sqlx::migrate!("./migrations");
