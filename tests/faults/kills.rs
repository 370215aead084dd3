//! `kill -9` of everything there is, while customers write, import and move in. One test a victim; each kills at a
//! moment that a seed chooses, and `TENANTRY_FULL=1` goes through several moments.

use crate::{
    customers::{self, Onboardings, Writer, imported, owner, reckon, start_import, tenant},
    lab::{Lab, SERVICES, full},
};
use std::time::Duration;
use tenantry_testkit::eventually_within;
use tenantry_tests::unique;

/// Milliseconds of work before the kill. The subset takes one of them, another for each victim.
const MOMENTS: [u64; 6] = [20, 150, 400, 800, 1_600, 3_000];
const ROWS: usize = 3_000;

fn moments(victim: &str) -> Vec<u64> {
    if full() {
        return MOMENTS.to_vec();
    }
    let seed: usize = victim.bytes().map(usize::from).sum();
    vec![MOMENTS[seed % 4]]
}

async fn survives(victim: &str) {
    let lab = Lab::enter().await;
    for moment in moments(victim) {
        round(&lab, victim, Duration::from_millis(moment)).await;
    }
}

async fn round(lab: &Lab, victim: &str, moment: Duration) {
    let tenant = tenant(&lab.operator().await).await;
    let client = owner(&tenant);
    let writer = Writer::start(&tenant);
    let onboardings = Onboardings::start(&lab.world, 3);
    let table = unique("imp");
    let operation = start_import(&client, &table, ROWS).await;
    tokio::time::sleep(moment).await;
    lab.kill(victim).await;

    lab.ready(&SERVICES).await;
    onboardings.finish().await;
    imported(&client, &table, &operation, ROWS).await;
    let acknowledged = writer.finish().await;
    assert!(!acknowledged.records.is_empty(), "the writer wrote nothing");
    reckon(&tenant, &acknowledged).await;
    println!(
        "{victim} killed after {moment:?}: {} writes acknowledged once each, {} requests repeated",
        acknowledged.records.len(),
        acknowledged.repeats
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_is_killed_and_nothing_is_lost_or_doubled() {
    survives("gateway").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registry_is_killed_and_nothing_is_lost_or_doubled() {
    survives("registry").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_is_killed_and_nothing_is_lost_or_doubled() {
    survives("auth").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn business_is_killed_and_nothing_is_lost_or_doubled() {
    survives("business").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_killed_and_nothing_is_lost_or_doubled() {
    survives("postgres").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_nothing_is_lost_or_doubled() {
    survives("redis").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_is_killed_and_nothing_is_lost_or_doubled() {
    survives("rabbitmq").await;
}

/// The worst moments of an import, hit exactly.
async fn import_survives(point: &str, rows: usize) {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let client = owner(&tenant);
    let old = lab.pid("business").expect("business runs");
    lab.arm(point, "abort").await;
    let table = unique("imp");
    let operation = start_import(&client, &table, rows).await;
    lab.replaced("business", old, customers::PATIENCE).await;
    imported(&client, &table, &operation, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_dies_before_its_commit_is_done_once() {
    import_survives("business.import.before_commit", ROWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_dies_between_two_batches_goes_on_behind_the_last_one() {
    if full() {
        import_survives("business.import.after_batch", 55_000).await;
    }
}

/// Everything at once: the machine loses power and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn everything_is_killed_at_once_and_nothing_is_lost_or_doubled() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let client = owner(&tenant);
    let writer = Writer::start(&tenant);
    let onboardings = Onboardings::start(&lab.world, 2);
    let table = unique("imp");
    let operation = start_import(&client, &table, ROWS).await;
    let victims = ["gateway", "registry", "auth", "business"];
    futures::future::join_all(victims.map(|service| lab.signal(service, "KILL"))).await;
    for server in ["postgres", "redis", "rabbitmq"] {
        lab.stack("kill", server).await;
    }
    for server in ["postgres", "redis", "rabbitmq"] {
        lab.stack("start", server).await;
    }
    lab.ready(&SERVICES).await;
    onboardings.finish().await;
    imported(&client, &table, &operation, ROWS).await;
    // It goes on writing by itself.
    let acknowledged = writer.finish().await;
    reckon(&tenant, &acknowledged).await;
    eventually_within(customers::PATIENCE, "a new customer can move in", || async {
        Onboardings::start(&lab.world, 1).finish().await;
        Ok::<(), ()>(())
    })
    .await;
}
