//! `tenantctl keys`. The secret of a new key goes to stdout or to a file of the caller's choice, once, and nowhere else.

use crate::{
    Failure,
    args::Globals,
    confirm::Confirm,
    http::Call,
    interrupt::{self, Todo},
    output::{self, Column, Format, text, time},
    resource::{Limit, Resource, Session},
};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};
use tenantry_kernel::{Clock, SystemClock};

const KEYS: Resource = Resource {
    path: "/v1/apiKeys",
    items: "apiKeys",
    shape: "apiKeys/*",
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
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=365))]
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
        KeysCommand::List => session.list(&KEYS, &[], Limit::ALL).await,
        KeysCommand::Get { name } => session.get(&KEYS, &name).await,
        KeysCommand::Create(args) => create(&session, args).await,
        KeysCommand::Revoke { name, confirm } => {
            KEYS.at(&name, "")?; // before anybody is asked
            confirm.ask(&format!("Programs that use {name} will be refused."), &name)?;
            session.delete(&KEYS, &name, &[]).await
        }
    }
}

async fn create(session: &Session, args: CreateArgs) -> Result<(), Failure> {
    // The file is there before the key is: a live key whose secret nobody has is worse than no key.
    let file = args.secret_file.map(SecretFile::new).transpose()?;
    if file.is_none() && session.output == Format::Name {
        return Err(Failure::usage(
            "-o name would not show the secret: add --secret-file FILE",
        ));
    }
    let mut body = json!({"displayName": args.display_name, "scopes": args.scope});
    if let Some(days) = args.expires_in_days {
        let end = SystemClock.now() + chrono::Duration::days(i64::from(days));
        body["expireTime"] = json!(end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    }
    let lost = "A key may have been made; `tenantctl keys list` shows it.".to_owned();
    let armed = interrupt::arm(Todo::Say(lost))?;
    let mut made = session.api.send(Call::post(KEYS.path, &body)).await?;
    drop(armed);
    match hand_over(session, &mut made, file) {
        Ok(true) => session.output.one(&made["apiKey"]),
        Ok(false) => Ok(()),
        Err(failure) => Err(take_back(session, &made["apiKey"], failure).await),
    }
}

/// Gives the secret to the caller; whether it went to a file.
fn hand_over(session: &Session, made: &mut Value, file: Option<SecretFile>) -> Result<bool, Failure> {
    let secret = output::line(made.get("secret"));
    if secret.is_empty() {
        return Err(Failure::other("the server answered without a secret"));
    }
    if let Some(file) = file {
        made["secret"].take();
        return file.keep(&secret).map(|()| true);
    }
    if session.output.is_table() {
        say(&made["apiKey"]);
        output::print(&secret)?;
    } else {
        session.output.one(made)?;
    }
    Ok(false)
}

/// Revokes a key whose secret did not arrive.
async fn take_back(session: &Session, key: &Value, why: Failure) -> Failure {
    let name = output::line(key.get("name"));
    let revoked = match KEYS.at(&name, "") {
        Ok(path) => session.api.send(Call::new(Method::DELETE, &path)).await.map(drop),
        Err(failure) => Err(failure),
    };
    Failure::other(match revoked {
        Ok(()) => format!(
            "the secret cannot be handed over: {}; {name} is revoked again",
            why.message()
        ),
        Err(failure) => format!(
            "the secret cannot be handed over: {}; {name} is live and cannot be revoked: {}",
            why.message(),
            failure.message()
        ),
    })
}

/// A new file that only its owner can read; taken away again unless a secret is kept in it.
struct SecretFile {
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl SecretFile {
    fn new(path: PathBuf) -> Result<Self, Failure> {
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = opened.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::usage(format!("{} exists", path.display())),
            _ => Failure::usage(format!("{}: {error}", path.display())),
        })?;
        Ok(Self {
            path,
            file,
            is_kept: false,
        })
    }

    fn keep(mut self, secret: &str) -> Result<(), Failure> {
        let written = self.file.write_all(format!("{secret}\n").as_bytes());
        let written = written.and_then(|()| self.file.sync_all());
        written.map_err(|error| Failure::other(format!("{}: {error}", self.path.display())))?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if !self.is_kept {
            drop(fs::remove_file(&self.path));
        }
    }
}

fn say(key: &Value) {
    output::say(&format!(
        "{} is made, with {}, until {}. Its secret is shown this once:",
        output::line(key.get("name")),
        output::line(key.get("scopes")),
        output::line(key.get("expireTime"))
    ));
}
