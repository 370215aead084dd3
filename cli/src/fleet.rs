//! `tenantctl services`, `alerts`, `events`: the platform as operators see it.

use crate::{
    Failure,
    args::Globals,
    output::{Column, text, time},
    resource::{Limit, Resource, Session},
    text as paths,
};
use clap::Subcommand;

const SERVICES: Resource = Resource {
    path: "/v1/platform/services",
    items: "services",
    shape: "services/*",
    columns: SERVICE_COLUMNS,
};
const SERVICE_COLUMNS: &[Column] = &[
    text("SERVICE", "/service"),
    text("READY", "/ready"),
    time("SINCE", "/sinceTime"),
    text("PROBLEM", "/problem"),
    time("ASKED", "/checkTime").wide(),
];
const ALERTS: Resource = Resource {
    path: "/v1/platform/alerts",
    items: "alerts",
    shape: "alerts/*",
    columns: ALERT_COLUMNS,
};
const ALERT_COLUMNS: &[Column] = &[
    text("ALERT", "/alert"),
    text("FIRING", "/firing"),
    text("SEVERITY", "/severity"),
    text("SERVICE", "/service"),
    time("SINCE", "/startTime"),
    time("ENDED", "/endTime"),
    text("SUMMARY", "/summary"),
    text("RUNBOOK", "/runbookUri"),
];
const EVENTS: Resource = Resource {
    path: "/v1/platform/events",
    items: "events",
    shape: "events/*",
    columns: EVENT_COLUMNS,
};
const EVENT_COLUMNS: &[Column] = &[
    text("ID", "/eventId").wide(),
    time("WHEN", "/eventTime"),
    text("TYPE", "/type"),
    text("SOURCE", "/source"),
    text("ABOUT", "/subject"),
    text("TENANT", "/tenant"),
];

/// `tenantctl services`
#[derive(Debug, Subcommand)]
pub(crate) enum ServicesCommand {
    /// Each service and whether it is ready
    #[command(after_help = "Example:\n  tenantctl --tenant operator services list")]
    List,
}

/// `tenantctl alerts`
#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Firing alerts first, then the newest
    #[command(after_help = "Example:\n  tenantctl --tenant operator alerts list -o wide")]
    List {
        #[command(flatten)]
        limit: Limit,
    },
}

/// `tenantctl events`
#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// What happened, newest first
    #[command(
        after_help = "Examples:\n  tenantctl --tenant operator events list\n  tenantctl --tenant operator events list --of 01993b1e-7c00-7000-8000-00000000abcd --limit 20"
    )]
    List {
        /// Only of the tenant with this id
        #[arg(long, value_name = "TENANT_ID")]
        of: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
}

/// Runs `services`.
///
/// # Errors
/// What the server said.
pub(crate) async fn services(globals: &Globals, command: &ServicesCommand) -> Result<(), Failure> {
    let ServicesCommand::List = command;
    let session = Session::open(globals)?;
    // Not a list of pages: there are six.
    let mut answer = session.api.send(crate::http::Call::get(SERVICES.path)).await?;
    let found = answer[SERVICES.items].take();
    session
        .output
        .list(SERVICES.columns, found.as_array().map_or(&[], Vec::as_slice))
}

/// Runs `alerts`.
///
/// # Errors
/// What the server said.
pub(crate) async fn alerts(globals: &Globals, command: &AlertsCommand) -> Result<(), Failure> {
    let AlertsCommand::List { limit } = command;
    Session::open(globals)?.list(&ALERTS, &[], *limit).await
}

/// Runs `events`.
///
/// # Errors
/// What the server said.
pub(crate) async fn events(globals: &Globals, command: &EventsCommand) -> Result<(), Failure> {
    let EventsCommand::List { of, limit } = command;
    let of = of
        .as_ref()
        .map(|id| paths::full_name("tenants", id))
        .unwrap_or_default();
    Session::open(globals)?.list(&EVENTS, &[("tenant", of)], *limit).await
}
