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
    let config = match Config::load(cli.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            writeln!(std::io::stderr(), "{error}")?;
            return Ok(ExitCode::from(error.exit_code()));
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let telemetry = tenantry_telemetry::init("gateway", &config.telemetry)?;
        let served = run(&config).await;
        if let Err(error) = &served {
            tracing::error!(error = %anyhow::format_err!("{error}: {}", std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()), "stopped");
        }
        telemetry.shutdown().await;
        Ok(if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
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
