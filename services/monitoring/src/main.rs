//! `tenantry-monitoring [--config FILE] [run|migrate]`

use clap::Parser;
use std::{io::Write, process::ExitCode};
use tenantry_monitoring::{
    Config,
    cli::{Args, Command},
    wiring,
};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let loaded = Config::load(args.config.as_deref()).map_err(anyhow::Error::from);
    let started = loaded.and_then(|config| Ok((tenantry_telemetry::init("monitoring", &config.telemetry)?, config)));
    let (telemetry, config) = match started {
        Ok(started) => started,
        Err(error) => {
            // There is no log yet; a closed standard error leaves the exit code.
            drop(writeln!(std::io::stderr(), "{error:#}"));
            return ExitCode::from(tenantry_config::EX_USAGE);
        }
    };
    let done = match args.command.unwrap_or(Command::Run) {
        Command::Migrate => wiring::migrate(&config).await,
        Command::Run => wiring::run(&config).await,
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
