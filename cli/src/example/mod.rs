//! `tenantctl example load`: brings the tenants that `examples/` declares into being. Idempotent: what is there stays as
//! it is, what is missing is added, and nothing is ever removed or overwritten that a person may have changed.

mod declared;
mod imports;
mod members;
mod records;
mod report;
mod state;
mod tenant;
mod types;

use crate::{Failure, args::Globals, output};
use clap::{Args, Subcommand};
use report::Report;
use serde_json::json;
use state::{Logins, World};
use std::path::PathBuf;

/// `tenantctl example`
#[derive(Debug, Subcommand)]
pub(crate) enum ExampleCommand {
    /// Load the declared tenants, members, types, records and imports; a second run changes nothing
    #[command(after_help = "Examples:
  tenantctl example load --world .run/dev/world.json
  tenantctl example load --dir my-examples")]
    Load(LoadArgs),
}

/// `tenantctl example load`
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Folder with one folder for each tenant
    #[arg(long, alias = "file", default_value = "examples", value_name = "DIR")]
    dir: PathBuf,
    /// What `make up` wrote about the instance: addresses and the operator's login
    #[arg(
        long,
        env = "TENANTRY_WORLD",
        default_value = ".run/dev/world.json",
        value_name = "FILE"
    )]
    world: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// A declaration that is wrong; what the server said.
pub(crate) async fn run(globals: &Globals, command: ExampleCommand) -> Result<(), Failure> {
    let ExampleCommand::Load(args) = command;
    // All files are read and checked before anything is sent.
    let tenants = declared::read_all(&args.dir)?;
    let world = World::read(&args.world)?;
    let mut logins = Logins::open(&world)?;
    let operator = world.operator_api().await?;
    let mut report = Report::default();
    let mut rows = Vec::new();
    for declared in &tenants {
        let added = tenant::load(&world, &operator, declared, &mut logins, &mut report)
            .await
            .map_err(|failure| failure.during(&declared.slug))?;
        rows.push(json!({
            "slug": declared.slug, "plan": declared.plan, "url": world.tenant_url(&declared.slug)?.as_str().trim_end_matches('/'),
            "members": declared.members.len(), "types": added.types, "records": added.records,
        }));
    }
    report.end();
    let columns = [
        output::text("TENANT", "/slug"),
        output::text("PLAN", "/plan"),
        output::text("URL", "/url"),
        output::text("MEMBERS", "/members"),
        output::text("TYPES", "/types"),
        output::text("RECORDS", "/records"),
    ];
    globals.output.list(&columns, &rows)?;
    output::say(&match report.changes() {
        0 => "Nothing to do: everything was there already.".to_owned(),
        1 => format!("1 change. Logins: {}", logins.path().display()),
        n => format!("{n} changes. Logins: {}", logins.path().display()),
    });
    Ok(())
}
