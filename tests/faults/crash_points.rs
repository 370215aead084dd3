//! Onboarding survives the death of any service just before and just after any of its steps, and the loss of the broker.

use crate::{
    customers::{ask_for_tenant, done, moves_in},
    lab::{Lab, RECOVERY, SERVICES, full},
    patient::Patient,
};
use serde_json::{Value, json};
use std::time::Duration;
use tenantry_testkit::eventually_within;
use tenantry_tests::unique;

const POINTS: [&str; 9] = [
    "registry.create_tenant.provision_data.before_send",
    "business.provision_data.before",
    "business.provision_data.after_commit",
    "registry.create_tenant.provision_data.after_reply",
    "registry.create_tenant.create_realm.before_send",
    "auth.create_realm.before",
    "auth.create_realm.after_commit",
    "registry.create_tenant.create_realm.after_reply",
    "registry.create_tenant.activate.before_send",
];
/// One of each kind and each service.
const SUBSET: [usize; 5] = [0, 2, 3, 5, 6];

#[tokio::test(flavor = "multi_thread")]
async fn onboarding_survives_a_death_before_and_after_every_step() {
    let lab = Lab::enter().await;
    let points: Vec<_> = if full() {
        POINTS.to_vec()
    } else {
        SUBSET.map(|at| POINTS[at]).to_vec()
    };
    for point in points {
        let service = point.split('.').next().expect("the service comes first");
        let old = lab.pid(service).expect("it runs");
        lab.arm(point, "abort").await;
        let (operator, slug) = (Patient::operator(&lab.world), unique("crash"));
        let operation = ask_for_tenant(&operator, &slug).await;
        let finished = done(&operator, &operation).await;
        moves_in(&lab.world, &slug, &finished).await;
        // Without this a point that does not exist would pass.
        lab.replaced(service, old, Duration::from_secs(5)).await;
        lab.ready(&SERVICES).await;
        println!("{point}: died there, and the tenant is active");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn onboarding_waits_for_a_broker_that_is_down() {
    let lab = Lab::enter().await;
    let operator = Patient::operator(&lab.world);
    lab.stack("stop", "rabbitmq").await;
    let slug = unique("broker");
    let operation = ask_for_tenant(&operator, &slug).await;
    let waiting = eventually_within(RECOVERY, "the operation shows that it is stuck", || async {
        let now = operator.get(&format!("/v1/{operation}")).await;
        let metadata = &now["metadata"];
        let tried = metadata["attempt"].as_i64().unwrap_or_default() >= 2;
        let complains = metadata["lastError"].as_str().is_some_and(|text| !text.is_empty());
        if tried || complains { Ok(now) } else { Err(now) }
    })
    .await;
    assert!(!waiting["done"].as_bool().unwrap_or_default(), "{waiting}");
    assert_eq!(waiting["metadata"]["step"], json!("provision_data"), "{waiting}");
    if full() {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    // Requests do not need the broker.
    let tenants: Value = operator.get("/v1/tenants?pageSize=1").await;
    assert!(tenants["tenants"].is_array(), "{tenants}");
    lab.stack("start", "rabbitmq").await;
    let finished = done(&operator, &operation).await;
    moves_in(&lab.world, &slug, &finished).await;
    lab.ready(&SERVICES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn onboarding_waits_for_a_service_that_is_down() {
    let lab = Lab::enter().await;
    let operator = Patient::operator(&lab.world);
    lab.hold("business").await;
    let slug = unique("away");
    let operation = ask_for_tenant(&operator, &slug).await;
    let stuck = eventually_within(RECOVERY, "the step is tried again", || async {
        let now = operator.get(&format!("/v1/{operation}")).await;
        match now["metadata"]["attempt"].as_i64() {
            Some(attempt) if attempt >= 2 => Ok(now),
            _ => Err(now),
        }
    })
    .await;
    assert_eq!(stuck["metadata"]["step"], json!("provision_data"), "{stuck}");
    lab.release("business");
    let finished = done(&operator, &operation).await;
    moves_in(&lab.world, &slug, &finished).await;
}
