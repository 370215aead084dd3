//! tenantry-gateway: `run` (default); `routes` and `openapi` print what is served.

use clap::{Parser, Subcommand, ValueEnum};
use std::{io::Write, path::PathBuf, process::ExitCode};
use tenantry_gateway::{Config, open_api, routes, run};

#[derive(Parser)]
#[command(version, about = "Tenantry's public port: gRPC, gRPC-Web, REST and pages")]
struct Cli {
    /// Configuration file (TOML).
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (the default).
    Run,
    /// Print every route that is served.
    Routes {
        /// Format.
        #[arg(short, long, default_value = "table")]
        output: Output,
    },
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Table,
    Json,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Routes { output }) => return print(output).map(|()| ExitCode::SUCCESS),
        Some(Command::Openapi) => {
            writeln!(std::io::stdout(), "{:#}", open_api())?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Command::Run) | None => {}
    }
    let loaded = Config::load(cli.config.as_deref());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let work = async |config: &Config| run(config).await.map_err(anyhow::Error::from);
    Ok(runtime.block_on(tenantry_server::process(
        "gateway",
        loaded,
        |config| &config.telemetry,
        work,
    )))
}

fn print(output: Output) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match output {
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&routes())?)?,
        Output::Table => {
            for route in routes() {
                writeln!(
                    out,
                    "{:7} {:60} {}",
                    route.method,
                    route.template,
                    route.grpc_method.unwrap_or_default()
                )?;
            }
        }
    }
    Ok(())
}
