//! `tenantctl keys`. The secret of a new key goes to stdout or to a file of the caller's choice, once, and nowhere else.

use crate::{
    Failure,
    args::Globals,
    confirm::Confirm,
    contexts,
    http::Call,
    output::{self, Column, text, time},
    resource::{Resource, Session},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use tenantry_kernel::{Clock, SystemClock};

const KEYS: Resource = Resource {
    path: "/v1/apiKeys",
    items: "apiKeys",
    collection: "apiKeys",
    columns: COLUMNS,
};
const COLUMNS: &[Column] = &[
    text("KEY", "/name"),
    text("NAME", "/displayName"),
    text("SCOPES", "/scopes"),
    time("EXPIRES", "/expireTime"),
    time("LAST USED", "/lastUsedTime"),
    text("CREATOR", "/creator").wide(),
    time("CREATED", "/createTime").wide(),
];

/// `tenantctl keys`
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// All keys
    #[command(after_help = "Example:\n  tenantctl keys list")]
    List,
    /// One key; its secret is not shown again
    #[command(after_help = "Example:\n  tenantctl keys get apiKeys/0193a1b2-0000-7000-8000-000000000000")]
    Get {
        /// `apiKeys/ID`
        #[arg(value_name = "KEY")]
        name: String,
    },
    /// Make a key; its secret is the only thing on stdout
    #[command(after_help = "Examples:
  tenantctl keys create nightly --scope records.read --scope types.read > acme.key
  tenantctl keys create nightly --scope records.read --expires-in-days 30 --secret-file acme.key
  tenantctl --api-key-file acme.key --server http://127.0.0.1:8080 --tenant acme records list tickets")]
    Create(CreateArgs),
    /// Revoke a key: it stops working within two seconds
    #[command(after_help = "Example:\n  tenantctl keys revoke apiKeys/0193a1b2-0000-7000-8000-000000000000 --yes")]
    Revoke {
        /// `apiKeys/ID`
        #[arg(value_name = "KEY")]
        name: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

/// `tenantctl keys create`
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name for people
    #[arg(value_name = "NAME")]
    display_name: String,
    /// What it may do, such as records.read or types.write; may be repeated
    #[arg(long, required = true)]
    scope: Vec<String>,
    /// Days until it stops working; 90 if left out, at most 365
    #[arg(long, value_name = "DAYS")]
    expires_in_days: Option<u32>,
    /// Write the secret to a new file that only you can read
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: KeysCommand) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    match command {
        KeysCommand::List => session.list(&KEYS, &[], 0).await,
        KeysCommand::Get { name } => session.get(&KEYS, &name).await,
        KeysCommand::Create(args) => create(&session, args).await,
        KeysCommand::Revoke { name, confirm } => {
            confirm.ask(&format!("Programs that use {name} will be refused."), &name)?;
            session.delete(&KEYS, &name, &[]).await
        }
    }
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    if let Some(file) = args.secret_file.as_ref().filter(|file| file.exists()) {
        return Err(Failure::usage(format!("{} exists", file.display())));
    }
    let mut body = json!({"displayName": args.display_name, "scopes": args.scope});
    if let Some(days) = args.expires_in_days {
        let end = SystemClock.now() + chrono::Duration::days(i64::from(days));
        body["expireTime"] = json!(end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    }
    let mut made = session.api.send(Call::post(KEYS.path, &body)).await?;
    if let Some(file) = &args.secret_file {
        let secret = made["secret"].take();
        contexts::write_private(file, format!("{}\n", output::line(Some(&secret))).as_bytes())?;
        return session.output.one(&made["apiKey"]);
    }
    if session.output.is_table() {
        say(&made["apiKey"]);
        return output::print(&output::line(made.get("secret")));
    }
    session.output.one(&made)
}

fn say(key: &Value) {
    output::say(&format!(
        "{} is made, with {}, until {}. Its secret is shown this once:",
        output::line(key.get("name")),
        output::line(key.get("scopes")),
        output::line(key.get("expireTime"))
    ));
}
