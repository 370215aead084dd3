//! The cache makes reads cheap and never wrong: dead, frozen or back, answers are the same.

use crate::{
    customers::{owner, tenant},
    lab::{Lab, SERVICES, signal_pid},
};
use serde_json::{Value, json};
use tenantry_testkit::eventually;
use tenantry_tests::{Rest, Tenant};

const GET: &str = "tenantry.business.v1.RecordService/GetRecord";

/// One tenant with one record.
struct Desk {
    tenant: Tenant,
    path: String,
}

impl Desk {
    async fn new(lab: &Lab) -> Self {
        let tenant = tenant(&lab.operator().await).await;
        let record = tenant.ticket("as it was").await;
        let path = format!("/v1/{}", record["name"].as_str().expect("a name"));
        Self { tenant, path }
    }
    fn rest(&self) -> Rest {
        self.tenant.rest()
    }
    /// The record and how many queries business needed for it.
    async fn read(&self, lab: &Lab) -> (Value, u64) {
        let answer = self.rest().get(&self.path).await;
        let request_id = answer.header("x-request-id").to_owned();
        let record = answer.ok();
        let line = eventually("the canonical line", || async {
            canonical(lab, &request_id).ok_or(&request_id)
        })
        .await;
        (
            record,
            line["queries"]
                .as_u64()
                .unwrap_or_else(|| panic!("no queries in {line}")),
        )
    }
    async fn rename(&self, title: &str) {
        let path = format!("{}?updateMask=fields.title", self.path);
        // Through the patient client: a write may be refused, and repeated, while a server is away.
        let body = json!({"fields": {"title": title}});
        owner(&self.tenant).call("PATCH", &path, Some(body)).await;
    }
    async fn expect(&self, lab: &Lab, title: &str) {
        assert_eq!(self.read(lab).await.0["fields"]["title"], json!(title));
    }
    /// Reads until one costs no query.
    async fn cached_again(&self, lab: &Lab, title: &str) {
        eventually("a read without a query", || async {
            let (record, queries) = self.read(lab).await;
            assert_eq!(record["fields"]["title"], json!(title), "the cache is wrong");
            if queries == 0 { Ok(()) } else { Err(queries) }
        })
        .await;
    }
}

/// The line of business about one request.
fn canonical(lab: &Lab, request_id: &str) -> Option<Value> {
    lab.log("business")
        .lines()
        .filter(|line| line.contains(request_id))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["method"].as_str().is_some_and(|method| method.ends_with(GET)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_get_needs_no_query_and_an_update_is_seen_by_the_next() {
    let lab = Lab::enter().await;
    let desk = Desk::new(&lab).await;
    let (first, _) = desk.read(&lab).await;
    let (second, queries) = desk.read(&lab).await;
    assert_eq!(queries, 0, "the second get asked PostgreSQL");
    assert_eq!(first, second);
    for n in 0..20 {
        let title = format!("change {n}");
        desk.rename(&title).await;
        desk.expect(&lab, &title).await;
        desk.expect(&lab, &title).await;
    }
    desk.rest().delete(&desk.path).await.ok();
    desk.rest().get(&desk.path).await.refused(404, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_gives_the_same_answers_and_back_it_caches_again() {
    let lab = Lab::enter().await;
    let desk = Desk::new(&lab).await;
    desk.cached_again(&lab, "as it was").await;
    let (before, _) = desk.read(&lab).await;
    lab.stack("kill", "redis").await;
    let (after, queries) = desk.read(&lab).await;
    assert_eq!(before, after, "without Redis the answer differs");
    assert!(queries > 0, "no Redis and no query: where does the answer come from?");
    desk.rename("while Redis was away").await;
    desk.expect(&lab, "while Redis was away").await;
    lab.stack("start", "redis").await;
    desk.expect(&lab, "while Redis was away").await;
    desk.cached_again(&lab, "while Redis was away").await;
    lab.ready(&SERVICES).await;
}

/// Worse than dead: it keeps its memory, and did not hear of the change.
#[tokio::test(flavor = "multi_thread")]
async fn redis_frozen_during_an_update_serves_nothing_stale_afterwards() {
    let lab = Lab::enter().await;
    let desk = Desk::new(&lab).await;
    desk.cached_again(&lab, "as it was").await;
    let redis = lab.server_pid("redis").await;
    signal_pid(redis, "STOP").await;
    let changed = tokio::spawn({
        let (client, path) = (owner(&desk.tenant), format!("{}?updateMask=fields.title", desk.path));
        async move {
            let body = json!({"fields": {"title": "unheard"}});
            client.call("PATCH", &path, Some(body)).await
        }
    });
    let changed = changed.await;
    signal_pid(redis, "CONT").await;
    assert_eq!(
        changed.expect("the update came through")["fields"]["title"],
        json!("unheard")
    );
    desk.expect(&lab, "unheard").await;
    desk.cached_again(&lab, "unheard").await;
}
