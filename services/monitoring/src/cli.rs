//! The command line.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Usage, quotas, health, alerts and events.
#[derive(Debug, Parser)]
#[command(name = "tenantry-monitoring", version)]
pub struct Args {
    /// TOML file; its reference is defaults.toml in the source.
    #[arg(long, global = true)]
    pub config: Option<PathBuf>,
    /// What to do; `run` unless told.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// Serve.
    Run,
    /// Bring the database up to this version, then exit.
    Migrate,
}
