//! `tenantry-auth [run|migrate] [--config FILE]`

use clap::{Parser, ValueEnum};
use std::{io::Write, path::PathBuf, process::ExitCode};
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
    let config = Config::load(args.config.as_deref()).map_err(anyhow::Error::from);
    let started = config.and_then(|config| Ok((tenantry_telemetry::init("auth", &config.telemetry)?, config)));
    let (telemetry, config) = match started {
        Ok(started) => started,
        Err(error) => {
            // There is no log yet; if standard error is closed, the exit code must do.
            drop(writeln!(std::io::stderr(), "{error:#}"));
            return ExitCode::from(tenantry_config::EX_USAGE);
        }
    };
    let done = match args.command {
        Command::Run => wiring::run(&config).await,
        Command::Migrate => wiring::migrate(&config).await,
    };
    if let Err(error) = &done {
        tracing::error!(cause = format!("{error:#}"), "stopped");
    }
    telemetry.shutdown().await;
    if done.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
