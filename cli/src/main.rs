//! Entry point: parse, run, turn a failure into a message and an exit code.

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use tenantctl::{Cli, Exit, Failure};

fn main() -> ExitCode {
    // clap prints help and usage errors itself and ends with 0 or 2.
    let cli = Cli::parse();
    // reqwest is built without a TLS provider of its own, so that there is one in the whole workspace.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(tenantctl::run(cli));
            // Not waited for: a thread may still read from a stdin that nobody writes to.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Failure::from(error)),
    };
    match result {
        Ok(()) => ExitCode::from(Exit::Ok.code()),
        // The reader of stdout went away: nothing that anybody needs to be told.
        Err(failure) if failure.exit() == Exit::Ok => ExitCode::from(Exit::Ok.code()),
        Err(failure) => {
            // If stderr is gone too, the exit code still says it.
            let text = failure.to_string();
            let text = text.strip_prefix("error:").unwrap_or(&text);
            // Coloured on a terminal only, and not with NO_COLOR.
            let word = console::style("error:").for_stderr().red().bold();
            drop(write!(std::io::stderr(), "{word}{text}"));
            ExitCode::from(failure.exit().code())
        }
    }
}
