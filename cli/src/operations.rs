//! `tenantctl operations`, and waiting for what other commands started.

use crate::{
    Exit, Failure,
    args::Globals,
    http::{Api, Call},
    interrupt::{self, Todo},
    output::{self, Column, Format, text, time},
    resource::{Limit, Resource, Session},
};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// One call of `:wait` is at most this long; the API allows 30 s.
const ONE_WAIT: Duration = Duration::from_secs(10);
/// The same where somebody looks at a bar: it moves only when a call comes back.
const SHORT_WAIT: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(120);

const OPERATIONS: Resource = Resource {
    path: "/v1/operations",
    items: "operations",
    shape: "operations/*",
    columns: COLUMNS,
};
const COLUMNS: &[Column] = &[
    text("OPERATION", "/name"),
    text("WHAT", "/metadata/verb"),
    text("TARGET", "/metadata/target"),
    text("DONE", "/done"),
    text("STEP", "/metadata/step"),
    text("PERCENT", "/metadata/progressPercent"),
    time("CREATED", "/metadata/createTime"),
    text("ERROR", "/error/message"),
    text("ATTEMPT", "/metadata/attempt").wide(),
    text("LAST ERROR", "/metadata/lastError").wide(),
];

/// `tenantctl operations`
#[derive(Debug, Subcommand)]
pub(crate) enum OperationsCommand {
    /// The tenant's operations of every service, or one service's
    #[command(
        after_help = "Examples:\n  tenantctl operations list\n  tenantctl operations list --service backup -o json\n  tenantctl --tenant operator operations list --service registry"
    )]
    List {
        /// Only of this service; without it, those of business and backup
        #[arg(long, value_enum)]
        service: Option<Service>,
        #[command(flatten)]
        limit: Limit,
    },
    /// An operation as it is now
    #[command(
        after_help = "Example:\n  tenantctl operations get operations/registry-0193a1b2-0000-7000-8000-000000000000"
    )]
    Get {
        /// `operations/...`
        name: String,
    },
    /// Wait until an operation is done; fails if it failed
    #[command(
        after_help = "Example:\n  tenantctl operations wait operations/business-0193a1b2-0000-7000-8000-000000000000 --timeout 600"
    )]
    Wait {
        /// `operations/...`
        name: String,
        /// Give up after this many seconds (exit code 124)
        #[arg(long, default_value_t = 300, value_name = "SECONDS")]
        timeout: u64,
    },
    /// Ask an operation to stop; what it has done so far is undone or said
    #[command(
        after_help = "Example:\n  tenantctl operations cancel operations/business-0193a1b2-0000-7000-8000-000000000000"
    )]
    Cancel {
        /// `operations/...`
        name: String,
    },
}

/// Whose operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// Imports.
    Business,
    /// Snapshots, verifications, restores.
    Backup,
    /// Tenants made, suspended, deleted (operators).
    Registry,
}

/// Options of commands that start an operation.
#[derive(Clone, Debug, Args)]
pub(crate) struct Wait {
    /// Wait until it is done; this is what happens anyway
    #[arg(long = "wait", conflicts_with = "no_wait")]
    _wait: bool,
    /// Print the operation and return at once
    #[arg(long)]
    no_wait: bool,
    /// Give up waiting after this many seconds (exit code 124); the operation goes on
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
}

/// Runs the command.
///
/// # Errors
/// What the server said; the operation's own error.
pub(crate) async fn run(globals: &Globals, command: OperationsCommand) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    match command {
        OperationsCommand::List { service, limit } => list(&session, service, limit).await,
        OperationsCommand::Get { name } => session.get(&OPERATIONS, &name).await,
        OperationsCommand::Wait { name, timeout } => {
            let limit = Duration::from_secs(timeout);
            // One that is done is done, however short the wait.
            let operation = session.api.send(Call::get(&OPERATIONS.at(&name, "")?)).await?;
            let operation = wait(&session.api, operation, limit, &progress()).await?;
            session.output.one(&operation)
        }
        OperationsCommand::Cancel { name } => {
            let path = OPERATIONS.at(&name, ":cancel")?;
            let answer = session.api.send(Call::post(&path, &json!({}))).await?;
            session.done(&format!("{name} was asked to stop."), &answer)
        }
    }
}

/// Each service keeps its own operations under its own path.
async fn list(session: &Session, service: Option<Service>, limit: Limit) -> Result<(), Failure> {
    let paths: &[&str] = match service {
        None => &["/v1/operations", "/v1/backupOperations"],
        Some(Service::Business) => &["/v1/operations"],
        Some(Service::Backup) => &["/v1/backupOperations"],
        Some(Service::Registry) => &["/v1/platform/operations"],
    };
    let (mut all, mut failed, mut cut) = (Vec::new(), None, false);
    for path in paths {
        let most = limit.most(session.output);
        match session.api.some(path, OPERATIONS.items, &[], most).await {
            Ok((found, more)) => {
                all.extend(found);
                cut |= more;
            }
            Err(failure) => failed = Some(failure.during(path)),
        }
    }
    let created = |operation: &Value| operation["metadata"]["createTime"].as_str().map(str::to_owned);
    all.sort_by_cached_key(|operation| std::cmp::Reverse(created(operation)));
    // What one service could not say does not hide what another said.
    session.output.list(OPERATIONS.columns, &all)?;
    limit.note(cut);
    failed.map_or(Ok(()), Err)
}

/// Waits (unless told not to) and prints the operation's response.
///
/// # Errors
/// The operation's own error; 124 where it takes too long.
pub(crate) async fn finish(output: Format, api: &Api, operation: Value, options: &Wait) -> Result<(), Failure> {
    if options.no_wait {
        return output.one(&operation);
    }
    if operation["done"] != true {
        // First of all: with its name it can be found again, whatever happens here.
        output::say(&format!("{} has begun.", output::line(operation.get("name"))));
    }
    let mut operation = wait(api, operation, Duration::from_secs(options.timeout), &progress()).await?;
    let mut response = operation["response"].take();
    if let Some(map) = response.as_object_mut() {
        map.remove("@type");
    }
    output.one(&response)
}

/// Waits until the operation is done.
///
/// # Errors
/// The operation's own error; 124 where it takes too long.
pub(crate) async fn wait(
    api: &Api,
    mut operation: Value,
    limit: Duration,
    bar: &ProgressBar,
) -> Result<Value, Failure> {
    let until = Instant::now() + limit;
    let name = operation["name"].as_str().unwrap_or_default().to_owned();
    let again = format!("{name} goes on; `tenantctl operations wait {name}` waits for it.");
    let _armed = interrupt::arm(Todo::Say(again))?;
    let one_wait = if bar.is_hidden() {
        ONE_WAIT
    } else {
        bar.enable_steady_tick(TICK);
        SHORT_WAIT
    };
    while operation["done"] != true {
        show(bar, &operation["metadata"]);
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let step = operation["metadata"]["step"].as_str().unwrap_or("an unknown step");
            let message = format!(
                "{name} is not done after {} s, at {step}. It goes on; `tenantctl operations wait {name}` waits longer.",
                limit.as_secs()
            );
            return Err(Failure::new(Exit::Timeout, message));
        }
        let body = json!({"timeout": format!("{}s", left.min(one_wait).as_secs().max(1))});
        let asked = api.send(Call::post(&OPERATIONS.at(&name, ":wait")?, &body)).await;
        operation = asked.map_err(|failure| failure.during(&name))?;
    }
    bar.finish_and_clear();
    match operation.get("error").filter(|error| !error.is_null()) {
        Some(error) => Err(Failure::from_status(error).during(&name)),
        None => Ok(operation),
    }
}

/// A bar on stderr; none where stderr is no terminal.
#[must_use]
pub(crate) fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    total(&bar, 0);
    bar
}

/// A bar on stderr that counts bytes; none where stderr is no terminal.
#[must_use]
pub(crate) fn bytes_bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}")
    {
        bar.set_style(style);
    }
    bar
}

/// Makes a bar of bytes one whose end is not known.
pub(crate) fn uncounted(bar: &ProgressBar) {
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {bytes} {bytes_per_sec}") {
        bar.set_style(style);
    }
}

/// Says how much there is to do; 0 while that is not known.
pub(crate) fn total(bar: &ProgressBar, units: u64) {
    let template = if units == 0 {
        "{spinner} {msg}"
    } else {
        "{spinner} {msg} {wide_bar} {pos}/{len}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_length(units);
}

fn show(bar: &ProgressBar, metadata: &Value) {
    total(bar, output::number(metadata.get("totalUnits")).unwrap_or_default());
    bar.set_position(output::number(metadata.get("doneUnits")).unwrap_or_default());
    let attempt = metadata["attempt"]
        .as_i64()
        .filter(|attempt| *attempt > 1)
        .map(|attempt| format!(", attempt {attempt}"));
    let error = metadata["lastError"]
        .as_str()
        .filter(|error| !error.is_empty())
        .map(|error| format!(" ({error})"));
    let step = output::cell(metadata.get("step"));
    bar.set_message(format!(
        "{step}{}{}",
        attempt.unwrap_or_default(),
        error.unwrap_or_default()
    ));
    bar.tick();
}
