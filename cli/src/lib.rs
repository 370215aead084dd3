//! `tenantctl`: the command line for operators and members. A client like any other: it speaks REST to the gateway and
//! knows nothing that the public API does not say.
//!
//! It must never take a secret from the argument list (every user of the machine can read that), never print one, and
//! never write one to a file that others can read.

mod args;
mod backups;
mod branding;
mod confirm;
mod contexts;
mod domains;
mod error;
mod example;
mod export;
mod fields;
mod files;
mod fleet;
mod generate;
mod host;
mod http;
mod import;
mod interrupt;
mod keys;
mod login;
mod members;
mod operations;
mod output;
mod plans;
mod records;
mod resource;
mod session;
mod sessions;
mod tenants;
mod text;
mod types;
mod upload;
mod usage;
mod watch;

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
        Command::Logout(args) => login::logout(&globals, &args).await,
        Command::Whoami => login::whoami(&globals).await,
        Command::Context(command) => contexts::run(&globals, &command),
        Command::Tenants(command) => tenants::run(&globals, command).await,
        Command::Plans(command) => plans::run(&globals, command).await,
        Command::Domains(command) => domains::run(&globals, command).await,
        Command::Branding(command) => branding::run(&globals, command).await,
        Command::Members(command) => members::run(&globals, command).await,
        Command::Sessions(command) => sessions::run(&globals, command).await,
        Command::Keys(command) => keys::run(&globals, command).await,
        Command::Types(command) => types::run(&globals, command).await,
        Command::Records(command) => records::run(&globals, command).await,
        Command::Import(args) => import::run(&globals, args).await,
        Command::Export(args) => export::run(&globals, args).await,
        Command::Backups(command) => backups::run(&globals, command).await,
        Command::Operations(command) => operations::run(&globals, command).await,
        Command::Usage(command) => usage::run(&globals, command).await,
        Command::Services(command) => fleet::services(&globals, &command).await,
        Command::Alerts(command) => fleet::alerts(&globals, &command).await,
        Command::Events(command) => fleet::events(&globals, &command).await,
        Command::Example(command) => example::run(&globals, command).await,
        Command::Completion(args) => generate::completion(&args),
        Command::Man(args) => generate::man(&args),
        Command::Reference => generate::reference(),
    }
}
