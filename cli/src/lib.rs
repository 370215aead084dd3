//! `tenantctl`: the command line for operators and members. A client like any other: it speaks REST to the gateway and
//! knows nothing that the public API does not say.
//!
//! It must never take a secret from the argument list (every user of the machine can read that), never print one, and
//! never write one to a file that others can read.

mod args;
mod contexts;
mod error;
mod example;
mod host;
mod http;
mod import;
mod login;
mod operations;
mod output;
mod plans;
mod records;
mod session;
mod tenants;
mod text;
mod types;

pub use args::Cli;
pub use error::{Exit, Failure};

use args::Command;

/// Runs one command.
///
/// # Errors
/// What to tell the user and with which exit code to end.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let globals = cli.globals;
    match cli.command {
        Command::Login(args) => login::run(&globals, args).await,
        Command::Context(command) => contexts::run(&globals, &command),
        Command::Tenants(command) => tenants::run(&globals, command).await,
        Command::Plans(command) => plans::run(&globals, &command).await,
        Command::Types(command) => types::run(&globals, &command).await,
        Command::Records(command) => records::run(&globals, command).await,
        Command::Import(args) => import::run(&globals, args).await,
        Command::Operations(command) => operations::run(&globals, command).await,
        Command::Example(command) => example::run(&globals, command).await,
    }
}
