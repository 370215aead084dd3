//! Usage is counted exactly, whatever dies or comes twice; and what is dead is seen to be dead.

use crate::{
    lab::{Lab, RECOVERY},
    terminate::slow_upload,
};
use serde_json::{Value, json};
use tenantry_api::Methods;
use tenantry_testkit::{World, eventually, eventually_within};
use tenantry_tests::{Call, Meters, Operator, Rest, Tap, Tenant};

const REQUESTS: usize = 1_000;
const WORKERS: usize = 8;

/// One request of eight kinds; whatever is answered, it is one request.
async fn one(n: usize, world: &World, tenant: &Tenant, methods: &Methods) {
    let (rest, call) = (tenant.rest(), Call::new(&tenant.host, Some(&tenant.owner.token)));
    let method = |path: &str| methods.get(path).expect("a method").descriptor.clone();
    let list = "/tenantry.business.v1.RecordService/ListRecords";
    let get = "/tenantry.business.v1.RecordService/GetRecord";
    let status = |answer: tenantry_tests::Answer, expected: u16| assert_eq!(answer.status, expected, "{}", answer.text);
    match n % 8 {
        0 => status(rest.get("/v1/objectTypes/tickets/records").await, 200),
        1 => status(rest.get("/v1/objectTypes/tickets/records/none").await, 404),
        2 => status(rest.get("/no/such/path").await, 404),
        3 => status(Rest::new(world, &tenant.host).get("/v1/objectTypes").await, 401),
        4 => status(
            rest.post("/v1/objectTypes/tickets/records", json!({"fields": {"nope": 1}}))
                .await,
            400,
        ),
        5 => status(Rest::new(world, &tenant.host).get("/sign-in").await, 200),
        6 => {
            let outcome = call
                .grpc(world, &method(list), &json!({"parent": "objectTypes/tickets"}))
                .await;
            assert!(outcome.is_ok(), "{}", outcome.verdict());
        }
        _ => {
            let request = json!({"name": "objectTypes/tickets/records/0192b0a0-0000-7000-8000-000000000001"});
            let outcome = call.grpc(world, &method(get), &request).await;
            assert_eq!(outcome.code, "NotFound", "{}", outcome.message);
        }
    }
}

async fn many(count: usize, world: &World, tenant: &Tenant, methods: &Methods) {
    let workers = (0..WORKERS).map(|worker| async move {
        for n in (0..count).filter(|n| n % WORKERS == worker) {
            one(n / WORKERS + worker, world, tenant, methods).await;
        }
    });
    futures::future::join_all(workers).await;
}

/// What the API says of the tenant, asked by the operator: the question is not a request of the tenant's.
pub(crate) async fn usage(operator: &Operator, tenant: &Tenant) -> Value {
    let mut token = String::new();
    loop {
        let page = operator
            .rest
            .get(&format!("/v1/platform/usage?pageSize=500&pageToken={token}"))
            .await
            .ok();
        let found = page["tenantUsages"].as_array().into_iter().flatten();
        let name = format!("tenants/{}", tenant.id);
        if let Some(one) = found.into_iter().find(|one| one["tenant"] == json!(name)) {
            return one["usage"].clone();
        }
        token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            return Value::Null;
        }
    }
}

/// int64 is a text in JSON.
pub(crate) fn requests(usage: &Value) -> Option<u64> {
    usage["requests"].as_str()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_mixed_requests_are_a_thousand_after_duplicates_and_kills() {
    let lab = Lab::enter().await;
    let (world, methods) = (lab.world.clone(), Methods::load());
    lab.ready(&["monitoring"]).await;
    let operator = lab.operator().await;
    let mut tap = Tap::open().await;
    let tenant = operator.tenant("meter").await;
    tenant.help_desk().await;
    // Lists return it from PostgreSQL: business has rows to report.
    tenant.ticket("counted").await;
    let poke = || async {
        operator.rest.get("/v1/platform/services").await;
    };
    tap.settle(poke).await;
    let before = tap.requests_of(&tenant.id);
    assert!(before > 0, "onboarding is requests, too");

    many(REQUESTS / 2, &world, &tenant, &methods).await;
    lab.kill("monitoring").await;
    many(REQUESTS / 2, &world, &tenant, &methods).await;
    lab.ready(&["monitoring"]).await;
    tap.settle(poke).await;
    assert_eq!(
        tap.requests_of(&tenant.id) - before,
        REQUESTS as u64,
        "what the gateway has counted"
    );

    // Every report of the test again, the same bytes from the same publisher, with another kill in the middle.
    let republished: Vec<_> = tap
        .seen
        .iter()
        .map(|(report, bytes)| (report.service.clone(), bytes.clone()))
        .collect();
    for round in 0..2 {
        for service in ["gateway", "business"] {
            let meters = Meters::of(&world, service).await;
            for (_, bytes) in republished.iter().filter(|(of, _)| of == service) {
                meters.publish(bytes.clone()).await;
            }
        }
        if round == 0 {
            lab.kill("monitoring").await;
        }
    }
    lab.ready(&["monitoring"]).await;
    Meters::drained(&world).await;
    let expected = before + REQUESTS as u64;
    let counted = eventually("monitoring has added everything up", || async {
        let usage = usage(&operator, &tenant).await;
        // Requests are the gateway's to report, rows business's.
        if requests(&usage).is_some_and(|n| n >= expected) && usage["rows"].is_string() {
            Ok(usage)
        } else {
            Err(usage)
        }
    })
    .await;
    assert_eq!(requests(&counted), Some(expected), "{counted}");
    assert!(
        counted["latencyP50Ms"].as_f64().is_some_and(|p50| p50 > 0.0),
        "{counted}"
    );
    for bytes in ["requestBytes", "responseBytes", "rows"] {
        let count = counted[bytes].as_str().and_then(|text| text.parse::<u64>().ok());
        assert!(count.is_some_and(|count| count > 0), "{bytes}: {counted}");
    }
    // The tenant sees the same, and one more: the question itself.
    let own = tenant.rest().get("/v1/usage").await.ok();
    assert_eq!(requests(&own["total"]), Some(expected), "{own}");
    println!(
        "{expected} requests counted once each; {} reports came three times",
        republished.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_is_seen_as_not_ready_and_comes_back() {
    let lab = Lab::enter().await;
    let operator = lab.operator().await;
    let health = async |service: &str| {
        let all = operator.rest.get("/v1/platform/services").await.ok();
        let found = all["services"].as_array().into_iter().flatten();
        found
            .into_iter()
            .find(|one| one["service"] == json!(service))
            .cloned()
            .unwrap_or_default()
    };
    let ready = |one: &Value| one["ready"] == json!(true);
    eventually("backup is ready", || async {
        let one = health("backup").await;
        if ready(&one) { Ok(()) } else { Err(one) }
    })
    .await;
    lab.hold("backup").await;
    let down = eventually("backup is seen as away", || async {
        let one = health("backup").await;
        if ready(&one) { Err(one) } else { Ok(one) }
    })
    .await;
    assert!(down["problem"].as_str().is_some_and(|text| !text.is_empty()), "{down}");
    assert!(
        ready(&health("auth").await) && ready(&health("monitoring").await),
        "the others are as they were"
    );
    lab.release("backup");
    let back = eventually_within(RECOVERY, "backup is back", || async {
        let one = health("backup").await;
        if ready(&one) { Ok(one) } else { Err(one) }
    })
    .await;
    assert_ne!(back["sinceTime"], down["sinceTime"], "{back}");
}

fn rows(usage: &Value) -> u64 {
    let rows = usage["rows"].as_str().and_then(|text| text.parse().ok());
    rows.unwrap_or(0)
}

/// What the API says of a tenant after everything that was published is added up.
async fn added_up(lab: &Lab, operator: &Operator, tenant: &Tenant) -> Value {
    Meters::drained(&lab.world).await;
    usage(operator, tenant).await
}

/// A tenant with one record to list.
async fn with_a_ticket(operator: &Operator) -> Tenant {
    let tenant = operator.tenant("farewell").await;
    tenant.help_desk().await;
    tenant.ticket("listed").await;
    tenant
}

/// Within a part of a second: the next report is further away than that.
async fn list(tenant: &Tenant, count: usize) {
    let workers = (0..WORKERS).map(|worker| async move {
        for _ in (worker..count).step_by(WORKERS) {
            tenant.rest().get("/v1/objectTypes/tickets/records").await.ok();
        }
    });
    futures::future::join_all(workers).await;
}

async fn terminate(lab: &Lab, service: &str) {
    let old = lab.signal(service, "TERM").await;
    lab.replaced(service, old, RECOVERY).await;
    lab.ready(&[service]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_before_sigterm_is_reported_before_the_end() {
    let lab = Lab::enter().await;
    lab.ready(&["monitoring"]).await;
    let operator = lab.operator().await;
    let mut tap = Tap::open().await;
    let (first, second) = (with_a_ticket(&operator).await, with_a_ticket(&operator).await);
    tap.settle(|| async {
        operator.rest.get("/v1/platform/services").await;
    })
    .await;
    let before = tap.requests_of(&first.id);
    list(&first, REQUESTS / 10).await;
    // One more ends only after the signal.
    let late = tokio::spawn(slow_upload(first.clone()));
    eventually_within(RECOVERY, "the upload is in work", || async {
        let open = lab.metric_sum("gateway", "tenantry_in_flight").await;
        if open >= 1.0 { Ok(()) } else { Err(open) }
    })
    .await;
    assert!(!late.is_finished(), "the upload is over already: it proves nothing");
    terminate(&lab, "gateway").await;
    let late = late.await.expect("the request did not panic");
    assert_eq!(late.status, 200, "{}", late.text);
    let counted = added_up(&lab, &operator, &first).await;
    let expected = before + REQUESTS as u64 / 10 + 1;
    assert_eq!(requests(&counted), Some(expected), "{counted}");

    // Rows are business's to report; each list returns one at least.
    let before = rows(&added_up(&lab, &operator, &second).await);
    list(&second, REQUESTS / 10).await;
    terminate(&lab, "business").await;
    let counted = added_up(&lab, &operator, &second).await;
    assert!(rows(&counted) >= before + REQUESTS as u64 / 10, "{before}: {counted}");
}
