//! `tenantry-business [--config FILE] [run|migrate]`

use clap::Parser;
use std::process::ExitCode;
use tenantry_business::{
    Config,
    cli::{Args, Command},
    wiring,
};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let loaded = Config::load(args.config.as_deref());
    let command = args.command.unwrap_or(Command::Run);
    tenantry_server::process(
        "business",
        loaded,
        |config| &config.telemetry,
        async |config: &Config| match command {
            Command::Migrate => wiring::migrate(config).await,
            Command::Run => wiring::run(config).await,
        },
    )
    .await
}
