//! `tenantry-auth [run|migrate] [--config FILE]`

use clap::{Parser, ValueEnum};
use std::{path::PathBuf, process::ExitCode};
use tenantry_auth::{Config, wiring};

#[derive(Parser)]
#[command(version, about = "Members, sessions, keys and tokens")]
struct Args {
    #[arg(value_enum, default_value = "run")]
    command: Command,
    /// TOML file over the built-in defaults.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Command {
    /// Serve.
    Run,
    /// Bring the databases up to this version, make keys and the first operator, then exit.
    Migrate,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let loaded = Config::load(args.config.as_deref());
    tenantry_server::process(
        "auth",
        loaded,
        |config| &config.telemetry,
        async |config: &Config| match args.command {
            Command::Run => wiring::run(config).await,
            Command::Migrate => wiring::migrate(config).await,
        },
    )
    .await
}
