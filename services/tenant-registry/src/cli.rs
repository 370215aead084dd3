//! The command line of `tenantry-registry`.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// The tenant registry.
#[derive(Parser)]
#[command(name = "tenantry-registry", version)]
pub struct Args {
    /// TOML file over the built-in defaults.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// What to do.
    #[arg(value_enum, default_value = "run")]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Copy, ValueEnum)]
pub enum Command {
    /// Serve.
    Run,
    /// Bring the database up to this version, then exit.
    Migrate,
}
