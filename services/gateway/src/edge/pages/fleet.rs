//! The platform at a glance: service health, alerts, the busiest tenants, backups of all, events.

use super::{
    console::{Chrome, Console, Outcome, Trouble, address, bytes, id_of, machine_time, number, time},
    tenants,
    tenants::Slugs,
};
use askama::Template;
use tenantry_api::{
    backup::{ListTenantBackupsRequest, ListTenantBackupsResponse},
    monitoring::{
        ListAlertsRequest, ListAlertsResponse, ListEventsRequest, ListEventsResponse, ListServiceHealthRequest,
        ListServiceHealthResponse, ListTenantUsageRequest, ListTenantUsageResponse,
    },
    registry::{GetTenantRequest, GetTenantResponse},
};
use tenantry_kernel::{Clock, SystemClock, TenantId};
use tonic::{Code, Status};

const SERVICE: &str = "/tenantry.monitoring.v1.FleetService/";

struct Service {
    name: String,
    ready: bool,
    problem: String,
    checked: String,
    since: String,
}

#[derive(Template)]
#[template(path = "services.html")]
struct ServicesPage {
    chrome: Chrome,
    services: Vec<Service>,
    down: usize,
}

pub(super) async fn services(console: &Console) -> Outcome {
    let answer: ListServiceHealthResponse = console
        .ask(&format!("{SERVICE}ListServiceHealth"), &ListServiceHealthRequest {})
        .await?;
    let services: Vec<Service> = answer
        .services
        .into_iter()
        .map(|one| Service {
            name: one.service,
            ready: one.ready,
            problem: one.problem,
            checked: time(one.check_time),
            since: time(one.since_time),
        })
        .collect();
    let page = ServicesPage {
        chrome: console.chrome(),
        down: services.iter().filter(|one| !one.ready).count(),
        services,
    };
    console.page(&page)
}

struct Alert {
    name: String,
    severity: String,
    service: String,
    summary: String,
    runbook: String,
    firing: bool,
    since: String,
    until: String,
}

impl Alert {
    fn of(one: tenantry_api::monitoring::Alert) -> Self {
        Self {
            name: one.alert,
            severity: one.severity,
            service: one.service,
            summary: one.summary,
            // An alert comes from outside: only links that lead to a page become links. Ours name a file of this repository.
            runbook: Some(one.runbook_uri)
                .filter(|uri| {
                    ["https://", "http://", "docs/runbooks/"]
                        .iter()
                        .any(|start| uri.starts_with(start))
                })
                .unwrap_or_default(),
            firing: one.firing,
            since: time(one.start_time),
            until: time(one.end_time),
        }
    }
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    chrome: Chrome,
    alerts: Vec<Alert>,
    next: String,
    is_first: bool,
}

pub(super) async fn alerts(console: &Console) -> Outcome {
    let question = ListAlertsRequest {
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
    };
    let answer: ListAlertsResponse = console.ask(&format!("{SERVICE}ListAlerts"), &question).await?;
    let alerts = answer.alerts.into_iter().map(Alert::of);
    let page = AlertsPage {
        chrome: console.chrome(),
        alerts: alerts.collect(),
        next: address("/alerts", &[("page", &answer.next_page_token)]),
        is_first: console.parameter("page").is_empty(),
    };
    console.page(&page)
}

struct Busy {
    id: String,
    slug: String,
    plan: String,
    requests: String,
    errors: String,
    limited: String,
    p95: String,
    received: String,
    sent: String,
}

#[derive(Template)]
#[template(path = "fleet_usage.html")]
struct UsagePage<'a> {
    chrome: Chrome,
    tenants: Vec<Busy>,
    span: &'a str,
    first: String,
    next: String,
    is_first: bool,
}

pub(super) async fn usage(console: &Console) -> Outcome {
    let (span, seconds) = match console.parameter("span") {
        "day" => ("day", 24 * 3600),
        "week" => ("week", 7 * 24 * 3600),
        _ => ("hour", 3600),
    };
    let at = |seconds: i64| prost_types::Timestamp { seconds, nanos: 0 };
    let now = SystemClock.now().timestamp();
    let question = ListTenantUsageRequest {
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
        start_time: Some(at(now - seconds)),
        end_time: Some(at(now)),
    };
    let answer: ListTenantUsageResponse = console.ask(&format!("{SERVICE}ListTenantUsage"), &question).await?;
    let tenants = answer.tenant_usages.into_iter().map(|one| {
        let used = one.usage.unwrap_or_default();
        Busy {
            id: id_of(&one.tenant).to_owned(),
            slug: one.slug,
            plan: id_of(&one.plan).to_owned(),
            requests: number(used.requests),
            errors: number(used.errors),
            limited: number(used.limited),
            p95: format!("{:.0} ms", used.latency_p95_ms),
            received: bytes(used.request_bytes),
            sent: bytes(used.response_bytes),
        }
    });
    let page = UsagePage {
        chrome: console.chrome(),
        tenants: tenants.collect(),
        span,
        first: address("/usage", &[("span", span)]),
        next: address("/usage", &[("span", span), ("page", &answer.next_page_token)]),
        is_first: console.parameter("page").is_empty(),
    };
    console.page(&page)
}

struct Backup {
    id: String,
    slug: String,
    last: String,
    last_machine: String,
    verified: String,
    snapshots: i32,
    stored: String,
    problem: String,
}

#[derive(Template)]
#[template(path = "fleet_backups.html")]
struct BackupsPage {
    chrome: Chrome,
    tenants: Vec<Backup>,
    next: String,
    is_first: bool,
}

pub(super) async fn backups(console: &Console) -> Outcome {
    let question = ListTenantBackupsRequest {
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
    };
    let answer: ListTenantBackupsResponse = console
        .ask("/tenantry.backup.v1.BackupFleetService/ListTenantBackups", &question)
        .await?;
    let tenants = answer.tenant_backups.into_iter().map(|one| Backup {
        id: id_of(&one.tenant).to_owned(),
        slug: one.slug,
        last: time(one.last_snapshot_time),
        last_machine: machine_time(one.last_snapshot_time),
        verified: time(one.last_verify_time),
        snapshots: one.snapshots,
        stored: bytes(one.stored_bytes),
        problem: one.problem,
    });
    let page = BackupsPage {
        chrome: console.chrome(),
        tenants: tenants.collect(),
        next: address("/backups", &[("page", &answer.next_page_token)]),
        is_first: console.parameter("page").is_empty(),
    };
    console.page(&page)
}

struct Event {
    at: String,
    at_machine: String,
    kind: String,
    source: String,
    subject: String,
    tenant: String,
    /// Its slug; its id once nothing leads to it any more.
    slug: String,
}

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    events: Vec<Event>,
    tenant: &'a str,
    first: String,
    next: String,
    is_first: bool,
}

/// The resource name of the tenant whose id or slug was typed; empty for none. An id is taken as it is: a tenant that is
/// gone has events, too.
async fn named(console: &Console, typed: &str) -> Result<String, Status> {
    if typed.is_empty() || typed.parse::<TenantId>().is_ok() {
        return Ok(if typed.is_empty() {
            String::new()
        } else {
            format!("tenants/{typed}")
        });
    }
    let question = GetTenantRequest {
        name: format!("tenants/{typed}"),
    };
    let method = format!("{}GetTenant", tenants::SERVICE);
    let answer: GetTenantResponse = console.ask(&method, &question).await?;
    Ok(answer.tenant.unwrap_or_default().name)
}

async fn listed_events(console: &Console, typed: &str) -> Result<ListEventsResponse, Status> {
    let question = ListEventsRequest {
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
        tenant: named(console, typed).await?,
    };
    console.ask(&format!("{SERVICE}ListEvents"), &question).await
}

pub(super) async fn events(console: &Console) -> Outcome {
    let tenant = console.parameter("tenant").trim();
    let (answer, trouble) = match listed_events(console, tenant).await {
        Ok(answer) => (answer, None),
        // What was typed into the filter stays, so that it can be corrected.
        Err(status) if status.code() == Code::NotFound => {
            let mut trouble = console.wrong("tenant", "no tenant has this slug or id");
            trouble.remedy = "Correct it, or clear the field to see the events of all.";
            (ListEventsResponse::default(), Some(trouble))
        }
        Err(status) if status.code() == Code::InvalidArgument => {
            (ListEventsResponse::default(), Some(console.trouble(&status)))
        }
        Err(status) => return Err(status),
    };
    let slugs = Slugs::of_all(console, answer.events.iter().map(|one| id_of(&one.tenant))).await;
    let events = answer.events.into_iter().map(|one| Event {
        at: time(one.event_time),
        at_machine: machine_time(one.event_time),
        kind: one.r#type,
        source: one.source,
        subject: one.subject,
        slug: slugs.of(id_of(&one.tenant)).to_owned(),
        tenant: id_of(&one.tenant).to_owned(),
    });
    let page = EventsPage {
        chrome: console.chrome(),
        events: events.collect(),
        tenant,
        first: address("/events", &[("tenant", tenant)]),
        next: address("/events", &[("tenant", tenant), ("page", &answer.next_page_token)]),
        is_first: console.parameter("page").is_empty(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

/// Events that say `text`, for tests.
#[cfg(test)]
pub(super) fn sample_events(text: &str) -> String {
    let event = Event {
        at: String::new(),
        at_machine: String::new(),
        kind: text.to_owned(),
        source: text.to_owned(),
        subject: text.to_owned(),
        tenant: "1".to_owned(),
        slug: text.to_owned(),
    };
    let page = EventsPage {
        chrome: Chrome::saying(text),
        trouble: Some(Trouble::saying(text)),
        events: vec![event],
        tenant: text,
        first: address("/events", &[("tenant", text)]),
        next: String::new(),
        is_first: false,
    };
    page.render().expect("a page")
}

/// Alerts that say `text`, for tests.
#[cfg(test)]
pub(super) fn sample_alerts(text: &str) -> String {
    let alert = Alert::of(tenantry_api::monitoring::Alert {
        alert: text.to_owned(),
        severity: text.to_owned(),
        service: text.to_owned(),
        summary: text.to_owned(),
        runbook_uri: text.to_owned(),
        firing: true,
        ..tenantry_api::monitoring::Alert::default()
    });
    let page = AlertsPage {
        chrome: Chrome::saying(text),
        alerts: vec![alert],
        next: String::new(),
        is_first: true,
    };
    page.render().expect("a page")
}
