//! `tenantctl records`

use crate::{
    Failure,
    args::Globals,
    confirm::Confirm,
    fields,
    http::Call,
    output::{self, Format},
    resource::{Limit, Resource, Session},
    text,
    types::TYPES,
    watch::{self, WatchArgs},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::PathBuf};

/// Records are named under their type.
const RECORDS: Resource = Resource {
    path: "",
    items: "records",
    shape: "objectTypes/*/records/*",
    columns: &[],
};

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
        #[command(flatten)]
        limit: Limit,
    },
    /// One record
    #[command(
        after_help = "Example:\n  tenantctl --tenant acme records get tickets/0193a1b2-0000-7000-8000-000000000000"
    )]
    Get {
        /// `TYPE/ID` or `objectTypes/TYPE/records/ID`
        #[arg(value_name = "RECORD")]
        name: String,
    },
    /// Add a record
    #[command(after_help = "Examples:
  tenantctl records create parts --set sku=B-1 --set price=9.50
  echo '{\"fields\": {\"sku\": \"B-2\"}}' | tenantctl records create parts --file -")]
    Create {
        /// Id of the type
        object_type: String,
        #[command(flatten)]
        values: Values,
    },
    /// Change the named fields of a record
    #[command(after_help = "Examples:
  tenantctl records update parts/0193a1b2-0000-7000-8000-000000000000 --set price=10 --unset note
  tenantctl records update parts/0193a1b2-0000-7000-8000-000000000000 --set price=10 --etag '\"3\"'")]
    Update {
        /// `TYPE/ID` or `objectTypes/TYPE/records/ID`
        #[arg(value_name = "RECORD")]
        name: String,
        #[command(flatten)]
        values: Values,
        /// Only if it is still this version (exit code 5 if not)
        #[arg(long, value_name = "ETAG")]
        etag: Option<String>,
    },
    /// Remove a record
    #[command(after_help = "Example:\n  tenantctl records delete parts/0193a1b2-0000-7000-8000-000000000000 --yes")]
    Delete {
        /// `TYPE/ID` or `objectTypes/TYPE/records/ID`
        #[arg(value_name = "RECORD")]
        name: String,
        /// Only if it is still this version (exit code 5 if not)
        #[arg(long, value_name = "ETAG", default_value = "")]
        etag: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Show changes as they happen
    #[command(after_help = "Examples:
  tenantctl records watch tickets
  tenantctl -o json records watch --count 10 | jq -c '.changes[].record.name'")]
    Watch(WatchArgs),
}

/// The values of a record.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Values {
    /// A value, written as the field's type takes it; may be repeated
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// Empty a field; may be repeated
    #[arg(long, value_name = "FIELD")]
    unset: Vec<String>,
    /// The record as REST takes it: {"fields": {..}}; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["set", "unset"])]
    file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: RecordsCommand) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    match command {
        RecordsCommand::List {
            object_type,
            filter,
            order_by,
            limit,
        } => {
            let path = TYPES.at(&object_type, "/records")?;
            let query = [("filter", filter), ("orderBy", order_by)];
            let most = limit.most(session.output);
            let (found, more) = session.api.some(&path, RECORDS.items, &query, most).await?;
            show(session.output, &found)?;
            limit.note(more);
            Ok(())
        }
        RecordsCommand::Get { name } => session.get(&RECORDS, &full(&name)).await,
        RecordsCommand::Create { object_type, values } => {
            let path = TYPES.at(&object_type, "/records")?;
            let body = body(&session, &object_type, values).await?;
            session.send(Call::post(&path, &body)).await
        }
        RecordsCommand::Update { name, values, etag } => {
            let name = full(&name);
            let path = RECORDS.at(&name, "")?;
            let object_type = name.split('/').nth(1).unwrap_or_default();
            let mut body = body(&session, object_type, values).await?;
            if let Some(etag) = etag {
                body["etag"] = json!(etag);
            }
            session
                .send(Call::patch(&path, &body).query("updateMask", mask(&body)))
                .await
        }
        RecordsCommand::Delete { name, etag, confirm } => {
            let full = full(&name);
            RECORDS.at(&full, "")?; // before anybody is asked
            confirm.ask(&format!("{name} will be removed."), &name)?;
            session.delete(&RECORDS, &full, &[("etag", etag)]).await
        }
        RecordsCommand::Watch(args) => watch::run(&session, args).await,
    }
}

/// `objectTypes/TYPE/records/ID` from that or from `TYPE/ID`.
fn full(name: &str) -> String {
    match name.split_once('/') {
        Some((object_type, id)) if object_type != "objectTypes" && !id.contains('/') => {
            format!("objectTypes/{object_type}/records/{id}")
        }
        _ => text::full_name("objectTypes", name),
    }
}

async fn body(session: &Session, object_type: &str, values: Values) -> Result<Value, Failure> {
    if let Some(file) = values.file {
        return text::json_object(&file);
    }
    let object_type = session.api.send(Call::get(&TYPES.at(object_type, "")?)).await?;
    let values = fields::assigned(&object_type, &values.set, &values.unset)?;
    Ok(json!({"fields": values}))
}

/// Every field that the body names, the emptied ones too.
fn mask(body: &Value) -> String {
    let names = body["fields"].as_object().into_iter().flat_map(serde_json::Map::keys);
    names.map(|name| format!("fields.{name}")).collect::<Vec<_>>().join(",")
}

/// The id, then the fields that any of the records has.
fn show(format: Format, records: &[Value]) -> Result<(), Failure> {
    if !format.is_table() {
        return format.list(&[], records);
    }
    let wide = format == Format::Wide;
    let fields: BTreeSet<&str> = records
        .iter()
        .filter_map(|record| record["fields"].as_object())
        .flat_map(|fields| fields.keys().map(String::as_str))
        .collect();
    let fixed: &[&str] = if wide {
        &["createTime", "updateTime", "etag"]
    } else {
        &[]
    };
    let titles = std::iter::once("ID")
        .chain(fields.iter().copied())
        .chain(fixed.iter().copied())
        .map(str::to_uppercase)
        .collect();
    let rows = records.iter().map(|record| {
        let id = record["name"].as_str().and_then(|name| name.rsplit('/').next());
        let values = fields.iter().map(|field| record["fields"].get(field));
        let values = values.chain(fixed.iter().map(|key| record.get(key)));
        let cells = values.map(|value| if wide { output::line(value) } else { output::cell(value) });
        std::iter::once(id.unwrap_or_default().to_owned())
            .chain(cells)
            .collect()
    });
    output::print(&output::table(titles, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_a_short_and_a_long_name() {
        assert_eq!(full("parts/1"), "objectTypes/parts/records/1");
        assert_eq!(full("objectTypes/parts/records/1"), "objectTypes/parts/records/1");
    }

    #[test]
    fn an_emptied_field_is_in_the_mask() {
        assert_eq!(
            mask(&json!({"fields": {"a": null, "b": 1}, "etag": "1"})),
            "fields.a,fields.b"
        );
    }
}
