//! `tenantctl plans`

use crate::{Failure, args::Globals, output::Column, session};
use clap::Subcommand;

const COLUMNS: &[Column] = &[
    ("PLAN", "/name"),
    ("NAME", "/displayName"),
    ("REQUESTS/S", "/limits/requestsPerSecond"),
    ("MEMBERS", "/limits/users"),
    ("TYPES", "/limits/objectTypes"),
    ("RECORDS", "/limits/records"),
    ("FEATURES", "/features"),
];

/// `tenantctl plans`
#[derive(Debug, Subcommand)]
pub(crate) enum PlansCommand {
    /// All plans with their limits
    #[command(after_help = "Example:\n  tenantctl plans list")]
    List,
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: &PlansCommand) -> Result<(), Failure> {
    match command {
        PlansCommand::List => globals.output.list(
            COLUMNS,
            &session::api(globals)?.list("/v1/plans", "plans", &[], 0).await?,
        ),
    }
}
