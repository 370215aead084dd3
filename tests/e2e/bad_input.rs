//! Bad input of every kind, over every way in: a clear refusal with a reason and a request id, nothing half-applied,
//! nothing restarted, no panic. What a test finds is collected, so that one run shows all of it.

mod bodies;
mod calls;
mod csv;
mod frames;
mod methods;
mod values;

use serde_json::Value;
use std::collections::HashMap;
use tenantry_testkit::World;
use tenantry_tests::{Answer, Operator, Tenant};

const SERVICES: [&str; 4] = ["registry", "auth", "business", "gateway"];

/// What a test found, and what the instance was when it began.
pub(crate) struct Judge {
    world: World,
    pids: HashMap<&'static str, String>,
    panics: usize,
    cells: usize,
    broken: Vec<String>,
}

impl Judge {
    fn new() -> Self {
        let world = World::load();
        Self {
            pids: pids(&world),
            panics: panics(&world),
            world,
            cells: 0,
            broken: Vec::new(),
        }
    }
    /// A refusal with one of these statuses; none means any of 4xx.
    fn refusal(&mut self, what: &str, answer: &Answer, statuses: &[u16]) {
        self.cells += 1;
        let (status, json) = (answer.status, answer.json());
        let mut wrong = Vec::new();
        if statuses.is_empty() && !(400..500).contains(&status) {
            wrong.push("not a 4xx".to_owned());
        }
        if !statuses.is_empty() && !statuses.contains(&status) {
            wrong.push(format!("expected {statuses:?}"));
        }
        if !answer.header("content-type").starts_with("application/problem+json") {
            wrong.push(format!("content type {:?}", answer.header("content-type")));
        }
        if answer.reason().is_empty() || json["detail"].as_str().unwrap_or_default().is_empty() {
            wrong.push("no reason or no text".to_owned());
        }
        if answer.header("x-request-id").is_empty() || json["request_id"].as_str().is_none() {
            wrong.push("no request id".to_owned());
        }
        if !wrong.is_empty() {
            self.found(what, &format!("{}: {status} {}", wrong.join(", "), short(&answer.text)));
        }
    }
    /// Not a failure of ours; if it is a refusal, then a proper one.
    fn no_failure(&mut self, what: &str, answer: &Answer) {
        if (200..400).contains(&answer.status) {
            self.cells += 1;
        } else {
            self.refusal(what, answer, &[]);
        }
    }
    /// A fact.
    fn holds(&mut self, what: &str, holds: bool, seen: &Value) {
        self.cells += 1;
        if !holds {
            self.found(what, &short(&seen.to_string()));
        }
    }
    fn found(&mut self, what: &str, seen: &str) {
        self.broken.push(format!("{} | {seen}", short(what)));
    }
    /// The verdict; no service may have died or panicked meanwhile.
    #[expect(clippy::print_stdout, reason = "how many cells there are belongs to the result")]
    fn finish(self) {
        println!("{} cells, {} broken", self.cells, self.broken.len());
        assert!(
            self.broken.is_empty(),
            "{} of {} cells do not hold:\n{}",
            self.broken.len(),
            self.cells,
            self.broken.join("\n")
        );
        assert_eq!(pids(&self.world), self.pids, "a service was restarted");
        assert_eq!(panics(&self.world), self.panics, "a service panicked: see its log");
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

fn pids(world: &World) -> HashMap<&'static str, String> {
    let pid = |service| {
        let path = world.pid_dir.join(format!("{service}.pid"));
        std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
    };
    SERVICES.map(|service| (service, pid(service))).into()
}

fn panics(world: &World) -> usize {
    SERVICES
        .map(|service| {
            let log = std::fs::read(world.log_dir.join(format!("{service}.log"))).unwrap_or_default();
            String::from_utf8_lossy(&log).matches("panicked").count()
        })
        .iter()
        .sum()
}

/// A tenant with the help desk's types.
async fn desk(judge: &Judge) -> Tenant {
    let tenant = Operator::sign_in(&judge.world).await.tenant("bad").await;
    tenant.help_desk().await;
    tenant
}

/// How many records of a type there are.
async fn count(tenant: &Tenant, object_type: &str) -> usize {
    let path = format!("/v1/objectTypes/{object_type}/records?pageSize=500");
    let page = tenant.rest().get(&path).await.ok();
    assert!(
        page["nextPageToken"].as_str().unwrap_or_default().is_empty(),
        "too many to count"
    );
    page["records"].as_array().map_or(0, Vec::len)
}
