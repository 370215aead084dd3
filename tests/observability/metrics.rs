//! `/metrics` of the six services: what must be there, which labels there may be, and how many series at most.

use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tenantry_testkit::World;
use tenantry_tests::{Operator, Rest, unique};

/// All six together, whatever happens: see docs/observability.md.
const BUDGET_OF_ALL: usize = 50_000;
/// Labels come from small, fixed sets. `tenant` is monitoring's alone: the busiest hundred.
const LABELS: &[&str] = &[
    "method",
    "code",
    "le",
    "pool",
    "database",
    "state",
    "schema",
    "queue",
    "outcome",
    "dependency",
    "component",
    "version",
    "publisher",
    "result",
    "verb",
    "what",
    "kind",
    "service",
    "limit",
    "quantile",
    "reason",
];

/// Names that every service has.
const EVERYWHERE: &[&str] = &[
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
    "process_threads",
    "process_start_time_seconds",
    "tenantry_build_info",
    "tenantry_in_flight",
    "tenantry_in_flight_max",
    "tenantry_metric_overflow_total",
    "tenantry_ready",
    "tenantry_series",
    "tenantry_series_budget",
    "tenantry_spans_total",
];
const WITH_DATABASE: &[&str] = &[
    "tenantry_db_connections",
    "tenantry_db_connections_max",
    "tenantry_db_statements_total",
    "tenantry_db_seconds_total",
    "tenantry_db_failures_total",
    "tenantry_db_refused_total",
];
const WITH_MESSAGES: &[&str] = &[
    "tenantry_circuit_open",
    "tenantry_consumers",
    "tenantry_messages_consumed_total",
    "tenantry_messages_published_total",
    "tenantry_outbox_messages",
    "tenantry_outbox_oldest_seconds",
];
const REQUESTS: &[&str] = &[
    "tenantry_requests_total",
    "tenantry_request_seconds_bucket",
    "tenantry_request_seconds_sum",
    "tenantry_request_seconds_count",
];

/// One scrape: the lines of each name.
struct Scrape(BTreeMap<String, Vec<String>>);

impl Scrape {
    async fn of(world: &World, service: &str) -> Self {
        let url = format!("{}/metrics", world.admin_urls[service]);
        let text = reqwest::get(&url)
            .await
            .expect("it answers")
            .text()
            .await
            .expect("text");
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let name = line.split(['{', ' ']).next().unwrap_or_default().to_owned();
            names.entry(name).or_default().push(line.to_owned());
        }
        Self(names)
    }
    fn series(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
    fn value(&self, name: &str) -> f64 {
        let line = &self.0[name][0];
        line.rsplit_once(' ')
            .and_then(|(_, value)| value.parse().ok())
            .expect("a number")
    }
    fn labels(&self) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        for (name, lines) in &self.0 {
            for labels in lines
                .iter()
                .filter_map(|line| Some(line.split_once('{')?.1.rsplit_once('}')?.0))
            {
                // `="` cannot stand inside of a value: quotes are escaped.
                let ends = labels.match_indices("=\"").map(|(at, _)| &labels[..at]);
                found.extend(ends.map(|head| (name.clone(), head.rsplit(',').next().unwrap_or_default().to_owned())));
            }
        }
        found
    }
}

async fn all(world: &World) -> BTreeMap<String, Scrape> {
    let mut scrapes = BTreeMap::new();
    for service in world.admin_urls.keys() {
        scrapes.insert(service.clone(), Scrape::of(world, service).await);
    }
    scrapes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_shows_its_numbers_with_few_labels_inside_its_budget() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("scrape").await;
    tenant.rest().get("/v1/objectTypes").await.ok();
    let scrapes = all(&world).await;
    assert_eq!(scrapes.len(), 6);
    for (service, scrape) in &scrapes {
        let mut wanted = EVERYWHERE.to_vec();
        if service != "gateway" {
            wanted.extend(WITH_DATABASE);
        }
        if ["registry", "auth", "business"].contains(&service.as_str()) {
            wanted.extend(WITH_MESSAGES.iter().chain(REQUESTS));
        }
        if service == "gateway" {
            wanted.extend(REQUESTS);
        }
        for name in wanted {
            assert!(scrape.0.contains_key(name), "{service} has no {name}");
        }
        for (name, label) in scrape.labels() {
            let known = LABELS.contains(&label.as_str());
            let tenants = service == "monitoring" && label == "tenant" && name.starts_with("tenantry_tenant_");
            assert!(known || tenants, "{service}: {name} has the label {label}");
        }
        let budget = scrape.value("tenantry_series_budget");
        assert!(
            scrape.series() as f64 <= budget,
            "{service}: {} of {budget}",
            scrape.series()
        );
        assert_eq!(
            scrape.series() as f64,
            scrape.value("tenantry_series"),
            "{service} counts itself"
        );
        assert!(6.0 * budget <= BUDGET_OF_ALL as f64);
    }
    let made_up = |lines: &[String]| lines.iter().any(|line| line.contains("code=\"other\""));
    assert!(
        !made_up(&scrapes["auth"].0["tenantry_requests_total"]),
        "every code has its name"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_cannot_make_series() {
    let world = World::load();
    let rest = Rest::new(&world, &world.host("operator"));
    let scan = |n: usize| format!("/v1/{}/{n}", unique("scan"));
    // What is new about a scan is new once: the route `unmatched` and its code.
    rest.get(&scan(0)).await;
    rest.post(&scan(0), json!({})).await;
    let routes = |scrape: &Scrape| -> BTreeSet<String> {
        let lines = scrape.0["tenantry_requests_total"].iter();
        lines
            .map(|line| line.split("} ").next().unwrap_or_default().to_owned())
            .collect()
    };
    let before = routes(&Scrape::of(&world, "gateway").await);
    for n in 1..200 {
        rest.get(&scan(n)).await;
        rest.post(&format!("{}:verb{n}", scan(n)), json!({})).await;
    }
    let after = routes(&Scrape::of(&world, "gateway").await);
    let new: Vec<_> = after.difference(&before).filter(|line| line.contains("scan")).collect();
    assert!(new.is_empty(), "{new:?}");
    let ids = after
        .iter()
        .filter(|line| line.contains("verb") || line.contains("scan"));
    assert_eq!(ids.count(), 0);
}
