//! `tenantctl usage`

use crate::{
    Failure,
    args::Globals,
    http::Call,
    output::{self, Column, bytes, measure, text, time},
    resource::{Limit, Resource, Session},
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use tenantry_kernel::{Clock, SystemClock};

const POINTS: &[Column] = &[
    time("FROM", "/startTime"),
    text("REQUESTS", "/requests"),
    text("ERRORS", "/errors"),
    text("LIMITED", "/limited"),
    measure("P50 MS", "/latencyP50Ms"),
    measure("P95 MS", "/latencyP95Ms").wide(),
    measure("P99 MS", "/latencyP99Ms"),
    text("ROWS", "/rows"),
    bytes("RECEIVED", "/requestBytes"),
    bytes("SENT", "/responseBytes"),
];
const QUOTAS: &[Column] = &[
    text("QUOTA", "/limit"),
    text("USED", "/used"),
    text("ALLOWED", "/allowed"),
    text("EXCEEDED", "/exceeded"),
    time("RESET", "/resetTime"),
];
const TENANTS: Resource = Resource {
    path: "/v1/platform/usage",
    items: "tenantUsages",
    shape: "tenants/*",
    columns: &[
        text("TENANT", "/slug"),
        text("PLAN", "/plan"),
        text("REQUESTS", "/usage/requests"),
        text("ERRORS", "/usage/errors"),
        text("LIMITED", "/usage/limited"),
        measure("P50 MS", "/usage/latencyP50Ms"),
        measure("P99 MS", "/usage/latencyP99Ms"),
        text("ROWS", "/usage/rows"),
        bytes("RECEIVED", "/usage/requestBytes"),
        bytes("SENT", "/usage/responseBytes"),
        text("NAME", "/tenant").wide(),
    ],
};

/// `tenantctl usage`
#[derive(Debug, Subcommand)]
pub(crate) enum UsageCommand {
    /// Requests, errors, latency, rows and bytes of your tenant, and its quotas
    #[command(after_help = "Examples:
  tenantctl usage get
  tenantctl usage get --last 6h --step minute
  tenantctl -o json usage get --start-time 2026-11-01T00:00:00Z --step day | jq .total")]
    Get {
        #[command(flatten)]
        span: Span,
        /// Length of a line's span
        #[arg(long, value_enum, default_value = "hour")]
        step: Step,
    },
    /// Tenants by requests, the busiest first (operators)
    #[command(after_help = "Example:\n  tenantctl --tenant operator usage tenants --last 1h --limit 10")]
    Tenants {
        #[command(flatten)]
        span: Span,
        #[command(flatten)]
        limit: Limit,
    },
}

/// From when to when.
#[derive(Debug, Args)]
pub(crate) struct Span {
    /// The time before now: 30m, 6h, 7d
    #[arg(long, value_name = "TIME", conflicts_with_all = ["start_time", "end_time"])]
    last: Option<String>,
    /// RFC 3339
    #[arg(long, value_name = "TIME", default_value = "")]
    start_time: String,
    /// RFC 3339; now if left out
    #[arg(long, value_name = "TIME", default_value = "")]
    end_time: String,
}

impl Span {
    fn query(self) -> Result<[(&'static str, String); 2], Failure> {
        let start = match self.last {
            None => self.start_time,
            Some(text) => {
                let before = length(&text).and_then(|length| SystemClock.now().checked_sub_signed(length));
                let before =
                    before.ok_or_else(|| Failure::usage(format!("--last {text}: must be like 30m, 6h or 7d")))?;
                before.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
            }
        };
        Ok([("startTime", start), ("endTime", self.end_time)])
    }
}

/// Length of a step.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Step {
    /// One minute.
    Minute,
    /// One hour.
    Hour,
    /// One day.
    Day,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Minute => "USAGE_STEP_MINUTE",
            Self::Hour => "USAGE_STEP_HOUR",
            Self::Day => "USAGE_STEP_DAY",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: UsageCommand) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    match command {
        UsageCommand::Get { span, step } => {
            let [start, end] = span.query()?;
            let call = Call::get("/v1/usage").query("step", step.name());
            let usage = session
                .api
                .send(call.query(start.0, start.1).query(end.0, end.1))
                .await?;
            show(&session, &usage)
        }
        UsageCommand::Tenants { span, limit } => session.list(&TENANTS, &span.query()?, limit).await,
    }
}

fn show(session: &Session, usage: &Value) -> Result<(), Failure> {
    if !session.output.is_table() {
        return session.output.one(usage);
    }
    let mut points = usage["points"].as_array().cloned().unwrap_or_default();
    if let Some(total) = usage.get("total") {
        let mut total = total.clone();
        total["startTime"] = Value::from("total");
        points.push(total);
    }
    session.output.list(POINTS, &points)?;
    output::print(&format!("\nplan: {}", output::line(usage.get("plan"))))?;
    match usage["quotas"].as_array().filter(|quotas| !quotas.is_empty()) {
        Some(quotas) => session.output.list(QUOTAS, quotas),
        None => Ok(()),
    }
}

fn length(text: &str) -> Option<chrono::Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok().filter(|number| *number > 0)?;
    match unit {
        "m" => chrono::Duration::try_minutes(number),
        "h" => chrono::Duration::try_hours(number),
        "d" => chrono::Duration::try_days(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        assert_eq!(length("90m"), chrono::Duration::try_minutes(90));
        assert_eq!(length("7d"), chrono::Duration::try_days(7));
        for wrong in ["", "h", "6", "-1h", "1y", "1é", "99999999999999999d"] {
            assert_eq!(length(wrong), None, "{wrong}");
        }
    }
}
