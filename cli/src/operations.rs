//! `tenantctl operations`, and waiting for what other commands started.

use crate::{
    Exit, Failure,
    args::Globals,
    http::{Api, Call},
    output, session, text,
};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// One call of `:wait` is at most this long; the API allows 30 s.
const ONE_WAIT: Duration = Duration::from_secs(10);

/// `tenantctl operations`
#[derive(Debug, Subcommand)]
pub(crate) enum OperationsCommand {
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
}

/// Options of commands that start an operation.
#[derive(Clone, Debug, Args)]
pub(crate) struct Wait {
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
    let api = session::api(globals)?;
    match command {
        OperationsCommand::Get { name } => globals.output.one(&api.send(Call::get(&path(&name, ""))).await?),
        OperationsCommand::Wait { name, timeout } => {
            let operation = wait(&api, json!({"name": name}), Duration::from_secs(timeout), &progress()).await?;
            globals.output.one(&operation)
        }
    }
}

/// Waits (unless told not to) and prints the operation's response.
///
/// # Errors
/// The operation's own error; 124 where it takes too long.
pub(crate) async fn finish(globals: &Globals, api: &Api, operation: Value, options: &Wait) -> Result<(), Failure> {
    if options.no_wait {
        return globals.output.one(&operation);
    }
    let mut operation = wait(api, operation, Duration::from_secs(options.timeout), &progress()).await?;
    let mut response = operation["response"].take();
    if let Some(map) = response.as_object_mut() {
        map.remove("@type");
    }
    globals.output.one(&response)
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
        let body = json!({"timeout": format!("{}s", left.min(ONE_WAIT).as_secs().max(1))});
        operation = api.send(Call::post(&path(&name, ":wait"), &body)).await?;
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
    total(bar, number(&metadata["totalUnits"]));
    bar.set_position(number(&metadata["doneUnits"]));
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

/// 64-bit numbers are strings in JSON.
fn number(value: &Value) -> u64 {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .or_else(|| value.as_u64())
        .unwrap_or_default()
}

fn path(name: &str, verb: &str) -> String {
    format!("/v1/{}{verb}", text::resource("operations", name))
}
