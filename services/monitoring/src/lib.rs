//! Monitoring: what every tenant uses, whether every service works, what happened.

pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod jobs;
pub mod rpc;
pub mod store;
pub mod wiring;

pub use config::Config;

/// Migrations of schema `monitoring`.
pub static MIGRATOR: tenantry_db::Migrator = sqlx::migrate!("./migrations");
