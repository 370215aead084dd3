//! `tenantctl types`

use crate::{
    Failure,
    args::Globals,
    confirm::Confirm,
    fields,
    http::Call,
    output::{self, Column, text, time, word},
    resource::{Resource, Session},
    text as paths,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

pub(crate) const TYPES: Resource = Resource {
    path: "/v1/objectTypes",
    items: "objectTypes",
    shape: "objectTypes/*",
    columns: COLUMNS,
};
const COLUMNS: &[Column] = &[
    text("TYPE", "/name"),
    text("NAME", "/displayName"),
    text("FIELDS", "/fieldCount"),
    time("CREATED", "/createTime"),
    time("CHANGED", "/updateTime").wide(),
    text("DESCRIPTION", "/description").wide(),
];
const FIELDS: &[Column] = &[
    text("FIELD", "/fieldId"),
    word("TYPE", "/type", "FIELD_TYPE_"),
    text("RULES", "/rules"),
    text("VALUES", "/enumValues"),
    text("NAME", "/displayName"),
    text("DEFAULT", "/defaultValue").wide(),
    text("DESCRIPTION", "/description").wide(),
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
    /// Make a type from fields on the command line, or from a file as REST takes it
    #[command(after_help = "Examples:
  tenantctl types create parts --field sku:string:required,unique,max=40 --field price:decimal:scale=2
  tenantctl types create orders --field state:enum=open|closed:indexed --field part:reference=parts
  tenantctl types get parts -o json > parts.json; tenantctl --tenant globex types create parts --file parts.json")]
    Create(TypeArgs),
    /// Change the names of a type, or add fields to it
    #[command(after_help = "Examples:
  tenantctl types update parts --display-name 'Spare parts'
  tenantctl types update parts --field weight:double")]
    Update(TypeArgs),
    /// Remove a type
    #[command(after_help = "Example:\n  tenantctl types delete parts --force --yes")]
    Delete {
        /// Its id
        object_type: String,
        /// Also if it has records; they are removed with it
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        confirm: Confirm,
    },
}

/// `tenantctl types create|update`
#[derive(Debug, Args)]
pub(crate) struct TypeArgs {
    /// 1 to 40 characters of a-z, 0-9 and '_', starting with a letter
    object_type: String,
    /// The whole type as JSON; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["field", "display_name", "description"])]
    file: Option<PathBuf>,
    /// ID:KIND[=VALUES][:RULE,..]; kinds: string text int64 double decimal bool date timestamp uuid enum reference json;
    /// rules: required unique indexed max=N scale=N. May be repeated
    #[arg(long, value_name = "FIELD")]
    field: Vec<String>,
    /// Name for people
    #[arg(long)]
    display_name: Option<String>,
    /// Description for people
    #[arg(long)]
    description: Option<String>,
}

impl TypeArgs {
    /// What is given, added to the fields that there are.
    fn body(&self, mut fields: Vec<Value>) -> Result<Value, Failure> {
        if let Some(file) = &self.file {
            let whole = paths::json_object(file)?;
            let known = ["displayName", "description", "fields"].into_iter();
            let kept = known.filter_map(|key| Some((key.to_owned(), whole.get(key)?.clone())));
            return Ok(Value::Object(kept.collect()));
        }
        let mut body = crate::resource::given(&[
            ("displayName", self.display_name.as_deref()),
            ("description", self.description.as_deref()),
        ]);
        if !self.field.is_empty() {
            for field in &self.field {
                fields.push(fields::declared(field)?);
            }
            body["fields"] = Value::from(fields);
        }
        Ok(body)
    }
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: TypesCommand) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    match command {
        TypesCommand::List => list(&session).await,
        TypesCommand::Get { object_type } => {
            let path = TYPES.at(&object_type, "")?;
            show(&session, &session.api.send(Call::get(&path)).await?)
        }
        TypesCommand::Create(args) => {
            let mut body = args.body(Vec::new())?;
            body["name"] = json!(paths::full_name("objectTypes", &args.object_type));
            show(&session, &session.api.send(Call::post(TYPES.path, &body)).await?)
        }
        TypesCommand::Update(args) => {
            let path = TYPES.at(&args.object_type, "")?;
            let mut now = session.api.send(Call::get(&path)).await?;
            let fields = now["fields"].as_array().cloned().unwrap_or_default();
            let mut body = args.body(fields)?;
            body["etag"] = now["etag"].take();
            session.patch(&path, &body).await
        }
        TypesCommand::Delete {
            object_type,
            force,
            confirm,
        } => {
            TYPES.at(&object_type, "")?; // before anybody is asked
            let with = if force { " and all of its records" } else { "" };
            confirm.ask(&format!("{object_type}{with} will be removed."), &object_type)?;
            let force = if force { "true" } else { "" };
            session
                .delete(&TYPES, &object_type, &[("force", force.to_owned())])
                .await
        }
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let mut types = session.api.list(TYPES.path, TYPES.items, &[]).await?;
    if session.output.is_table() {
        for one in &mut types {
            one["fieldCount"] = json!(one["fields"].as_array().map_or(0, Vec::len));
        }
    }
    session.output.list(COLUMNS, &types)
}

fn show(session: &Session, object_type: &Value) -> Result<(), Failure> {
    if !session.output.is_table() {
        return session.output.one(object_type);
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
    session.output.list(FIELDS, &fields)
}

fn rules(field: &Value) -> String {
    let on = |key: &'static str| (field[key] == true).then(|| key.to_owned());
    let to = field["referenceType"]
        .as_str()
        .filter(|to| !to.is_empty())
        .map(|to| format!("-> {to}"));
    let number = |key: &str, word: &str| {
        let value = output::number(field.get(key)).filter(|value| *value > 0);
        value.map(|value| format!("{word}={value}"))
    };
    let (max, scale) = (number("maxLength", "max"), number("scale", "scale"));
    [on("required"), on("unique"), on("indexed"), max, scale, to]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_shown_as_they_are_declared() {
        for rule in ["required", "unique", "indexed", "max=40"] {
            let field = fields::declared(&format!("sku:string:{rule}")).unwrap();
            assert_eq!(rules(&field), rule);
        }
        let all = fields::declared("price:decimal:required,scale=2").unwrap();
        assert_eq!(rules(&all), "required, scale=2");
        let to = fields::declared("part:reference=parts").unwrap();
        assert_eq!(rules(&to), "-> objectTypes/parts");
    }
}
