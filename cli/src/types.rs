//! `tenantctl types`

use crate::{
    Failure,
    args::Globals,
    http::Call,
    output::{self, Column, Format},
    session, text,
};
use clap::Subcommand;
use serde_json::{Value, json};

const COLUMNS: &[Column] = &[
    ("TYPE", "/name"),
    ("NAME", "/displayName"),
    ("FIELDS", "/fieldCount"),
    ("CREATED", "/createTime"),
];
const FIELDS: &[Column] = &[
    ("FIELD", "/fieldId"),
    ("TYPE", "/type"),
    ("RULES", "/rules"),
    ("VALUES", "/enumValues"),
    ("NAME", "/displayName"),
];

/// `tenantctl types`
#[derive(Debug, Subcommand)]
pub(crate) enum TypesCommand {
    /// The tenant's object types
    #[command(after_help = "Example:\n  tenantctl --tenant acme types list")]
    List,
    /// One type with its fields
    #[command(after_help = "Example:\n  tenantctl --tenant acme types get tickets")]
    Get {
        /// Its id
        object_type: String,
    },
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: &TypesCommand) -> Result<(), Failure> {
    let api = session::api(globals)?;
    match command {
        TypesCommand::List => {
            let mut types = api.list("/v1/objectTypes", "objectTypes", &[], 0).await?;
            if globals.output == Format::Table {
                for one in &mut types {
                    one["fieldCount"] = json!(one["fields"].as_array().map_or(0, Vec::len));
                }
            }
            globals.output.list(COLUMNS, &types)
        }
        TypesCommand::Get { object_type } => {
            let path = format!("/v1/{}", text::resource("objectTypes", object_type));
            show(globals, &api.send(Call::get(&path)).await?)
        }
    }
}

fn show(globals: &Globals, object_type: &Value) -> Result<(), Failure> {
    if globals.output == Format::Json {
        return globals.output.one(object_type);
    }
    output::say(&format!(
        "{}  {}",
        output::cell(object_type.get("name")),
        output::cell(object_type.get("displayName"))
    ));
    let mut fields = object_type["fields"].as_array().cloned().unwrap_or_default();
    for field in &mut fields {
        field["rules"] = json!(rules(field));
    }
    globals.output.list(FIELDS, &fields)
}

fn rules(field: &Value) -> String {
    let on = |key: &'static str| (field[key] == true).then(|| key.to_owned());
    let to = field["referenceType"]
        .as_str()
        .filter(|to| !to.is_empty())
        .map(|to| format!("-> {to}"));
    [on("required"), on("unique"), on("indexed"), to]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}
