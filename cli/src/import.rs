//! `tenantctl import`: upload, show what was understood, start.

use crate::{
    Failure,
    args::Globals,
    http::{Api, Call},
    operations::{self, Wait},
    output::{self, Column, word},
    session, text,
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const COLUMNS: &[Column] = &[
    output::text("COLUMN", "/header"),
    output::text("FIELD", "/fieldId"),
    word("TYPE", "/type", "FIELD_TYPE_"),
    output::text("FIRST VALUES", "/samples"),
];

/// See the help text.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenantctl --tenant acme import airports.csv --type airports --create-type
  tenantctl --tenant acme import weather.csv --type weather --preview
  tenantctl --tenant acme import weather.csv --type weather --create-type --column date=FIELD_TYPE_DATE --date-format %Y/%m/%d
  zcat weather.csv.gz | tenantctl --tenant acme import - --type weather")]
pub(crate) struct ImportArgs {
    /// A CSV file: UTF-8, with a header line. A pipe is read as it comes; `-` is stdin
    file: PathBuf,
    /// Id of the object type
    #[arg(long = "type", value_name = "TYPE")]
    object_type: String,
    /// Make the type from the columns first
    #[arg(long)]
    create_type: bool,
    /// Only show what was understood; write nothing
    #[arg(long)]
    preview: bool,
    /// Take a column as another type than inferred
    #[arg(long, value_name = "HEADER=FIELD_TYPE")]
    column: Vec<String>,
    /// A text that means "no value"; may be repeated
    #[arg(long, value_name = "TEXT")]
    null: Vec<String>,
    /// A strftime pattern of dates; may be repeated
    #[arg(long, value_name = "PATTERN")]
    date_format: Vec<String>,
    #[command(flatten)]
    wait: Wait,
}

/// What to do with an uploaded file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Id of the type.
    pub(crate) object_type: String,
    /// Make it.
    pub(crate) create_type: bool,
    /// Types by column header that differ from the inferred ones.
    pub(crate) types: BTreeMap<String, String>,
    /// Texts that mean null.
    pub(crate) null_values: Vec<String>,
    /// strftime patterns.
    pub(crate) date_formats: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, args: ImportArgs) -> Result<(), Failure> {
    let types = args.column.iter().map(|pair| {
        let pair = pair
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--column {pair}: must be HEADER=FIELD_TYPE")));
        pair.map(|(header, kind)| (header.to_owned(), kind.to_owned()))
    });
    let plan = Plan {
        object_type: args.object_type,
        create_type: args.create_type,
        types: types.collect::<Result<_, _>>()?,
        null_values: args.null,
        date_formats: args.date_format,
    };
    let api = session::api(globals)?;
    let uploaded = upload(&api, &args.file).await?;
    if args.preview {
        return show(globals, &uploaded);
    }
    let operation = start(&api, &uploaded, &plan).await?;
    operations::finish(globals.output, &api, operation, &args.wait).await
}

fn show(globals: &Globals, import: &Value) -> Result<(), Failure> {
    if !globals.output.is_table() {
        return globals.output.one(import);
    }
    output::say(&format!(
        "{}: {} rows; nothing is written yet",
        output::cell(import.get("name")),
        output::cell(import.get("rowCount"))
    ));
    globals
        .output
        .list(COLUMNS, import["columns"].as_array().map_or(&[], Vec::as_slice))
}

/// Uploads a file; answers with the import and its inferred columns.
///
/// # Errors
/// What the server said.
pub(crate) async fn upload(api: &Api, file: &Path) -> Result<Value, Failure> {
    let mut answer = api
        .upload("/v1/imports:upload", file, &operations::bytes_bar("upload"))
        .await?;
    Ok(answer["import"].take())
}

/// Starts an uploaded import; answers with its operation.
///
/// # Errors
/// What the server said; a column that the file does not have.
pub(crate) async fn start(api: &Api, import: &Value, plan: &Plan) -> Result<Value, Failure> {
    let mut columns = import["columns"].as_array().cloned().unwrap_or_default();
    for (header, kind) in &plan.types {
        let column = columns.iter_mut().find(|column| column["header"] == header.as_str());
        let column = column.ok_or_else(|| Failure::usage(format!("the file has no column '{header}'")))?;
        column["type"] = json!(kind);
    }
    for column in columns.iter_mut().filter_map(Value::as_object_mut) {
        column.remove("samples");
    }
    let body = json!({
        "objectType": format!("objectTypes/{}", plan.object_type.trim_start_matches("objectTypes/")),
        "createType": plan.create_type,
        "columns": if plan.types.is_empty() { Value::from(Vec::<Value>::new()) } else { Value::from(columns) },
        "nullValues": plan.null_values,
        "dateFormats": plan.date_formats,
    });
    let name = import["name"].as_str().unwrap_or_default();
    let path = format!("/v1/{}:start", text::resource("imports/*", name)?);
    api.send(Call::post(&path, &body)).await
}
