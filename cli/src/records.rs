//! `tenantctl records`

use crate::{
    Failure,
    args::Globals,
    http::Call,
    output::{self, Format},
    session, text,
};
use clap::Subcommand;
use serde_json::Value;
use std::collections::BTreeSet;

/// `tenantctl records`
#[derive(Debug, Subcommand)]
pub(crate) enum RecordsCommand {
    /// Records of a type that match a filter
    #[command(after_help = "Examples:
  tenantctl --tenant acme records list tickets --limit 5
  tenantctl --tenant acme records list tickets --filter 'status = \"open\" AND priority = \"urgent\"' --order-by 'opened_at desc'")]
    List {
        /// Id of the type
        object_type: String,
        /// Comparisons joined by AND
        #[arg(long, default_value = "")]
        filter: String,
        /// Fields in order, each with an optional `desc`
        #[arg(long, default_value = "")]
        order_by: String,
        /// At most this many; 0 for all
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// One record
    #[command(
        after_help = "Example:\n  tenantctl --tenant acme records get objectTypes/tickets/records/0193a1b2-0000-7000-8000-000000000000"
    )]
    Get {
        /// `objectTypes/TYPE/records/ID`
        name: String,
    },
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: RecordsCommand) -> Result<(), Failure> {
    let api = session::api(globals)?;
    match command {
        RecordsCommand::List {
            object_type,
            filter,
            order_by,
            limit,
        } => {
            let path = format!("/v1/{}/records", text::resource("objectTypes", &object_type));
            let records = api
                .list(&path, "records", &[("filter", filter), ("orderBy", order_by)], limit)
                .await?;
            show(globals.output, &records)
        }
        RecordsCommand::Get { name } => {
            let path = format!("/v1/{}", text::resource("objectTypes", &name));
            globals.output.one(&api.send(Call::get(&path)).await?)
        }
    }
}

/// The id, then the fields that any of the records has.
fn show(format: Format, records: &[Value]) -> Result<(), Failure> {
    if format == Format::Json {
        return format.list(&[], records);
    }
    let fields: BTreeSet<&str> = records
        .iter()
        .filter_map(|record| record["fields"].as_object())
        .flat_map(|fields| fields.keys().map(String::as_str))
        .collect();
    let titles = std::iter::once("ID")
        .chain(fields.iter().copied())
        .map(str::to_uppercase)
        .collect();
    let rows = records.iter().map(|record| {
        let id = record["name"]
            .as_str()
            .and_then(|name| name.rsplit('/').next())
            .unwrap_or_default()
            .to_owned();
        std::iter::once(id)
            .chain(fields.iter().map(|field| output::cell(record["fields"].get(field))))
            .collect()
    });
    output::print(&output::table(titles, rows))
}
