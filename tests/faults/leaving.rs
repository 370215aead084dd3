//! Suspension and purge survive the death of any service just before and just after any of their steps.

use crate::{
    customers::{done, tenant},
    lab::{Lab, SERVICES, full, request_id},
    patient::Patient,
};
use serde_json::json;
use sqlx::Row;
use std::time::Duration;
use tenantry_testkit::eventually;
use tenantry_tests::Tenant;

const SUSPENSION: [&str; 4] = [
    "registry.suspend_tenant.revoke_tenant.before_send",
    "auth.revoke_tenant.before",
    "auth.revoke_tenant.after_commit",
    "registry.suspend_tenant.revoke_tenant.after_reply",
];
const PURGE: [&str; 11] = [
    "registry.purge_tenant.revoke_tenant.before_send",
    "registry.purge_tenant.revoke_tenant.after_reply",
    "registry.purge_tenant.drop_realm.before_send",
    "auth.drop_realm.before",
    "auth.drop_realm.after_commit",
    "registry.purge_tenant.drop_realm.after_reply",
    "registry.purge_tenant.drop_data.before_send",
    "business.drop_data.before",
    "business.drop_data.after_commit",
    "registry.purge_tenant.drop_data.after_reply",
    "registry.purge_tenant.remove_tenant.before_send",
];

/// Every point in the full run; in the subset those numbered.
fn some_of(points: &[&'static str], subset: &[usize]) -> Vec<&'static str> {
    if full() {
        points.to_vec()
    } else {
        subset.iter().map(|at| points[*at]).collect()
    }
}

/// Arms the point, runs `ask` to its end and checks that the service died on the way.
async fn dies_at(
    lab: &Lab,
    point: &str,
    operator: &Patient,
    method: &str,
    path: &str,
    body: Option<serde_json::Value>,
) {
    let service = point.split('.').next().expect("the service comes first");
    let old = lab.pid(service).expect("it runs");
    lab.arm(point, "abort").await;
    let operation = operator.call(method, path, body).await;
    let finished = done(operator, operation["name"].as_str().expect("an operation")).await;
    assert!(finished["error"].is_null(), "{point}: {finished}");
    // Without this a point that does not exist would pass.
    lab.replaced(service, old, Duration::from_secs(5)).await;
    lab.ready(&SERVICES).await;
    println!("{point}: died there, and the operation is done");
}

async fn refused(tenant: &Tenant, status: u16) {
    eventually("the tenant is locked", || async {
        let answer = tenant.rest().get("/v1/sessions/current").await;
        if answer.status == status {
            Ok(())
        } else {
            Err(answer.text)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_survives_a_death_before_and_after_its_step() {
    let lab = Lab::enter().await;
    let operator = Patient::operator(&lab.world);
    for point in some_of(&SUSPENSION, &[2]) {
        let tenant = tenant(&lab.operator().await).await;
        let body = json!({"reason": "fault", "requestId": request_id()});
        dies_at(
            &lab,
            point,
            &operator,
            "POST",
            &format!("/v1/tenants/{}:suspend", tenant.id),
            Some(body),
        )
        .await;
        refused(&tenant, 403).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_survives_a_death_before_and_after_every_step() {
    let lab = Lab::enter().await;
    let operator = Patient::operator(&lab.world);
    let data = lab.superuser("tenantry_data").await;
    let platform = lab.superuser("tenantry").await;
    for point in some_of(&PURGE, &[4, 8]) {
        let tenant = tenant(&lab.operator().await).await;
        let path = format!("/v1/tenants/{}?purge=true&requestId={}", tenant.id, request_id());
        dies_at(&lab, point, &operator, "DELETE", &path, None).await;
        refused(&tenant, 404).await;
        let schema = format!("t_{}", tenant.id.replace('-', ""));
        let left = sqlx::query("SELECT count(*) FROM pg_namespace WHERE nspname = $1").bind(schema);
        assert_eq!(
            left.fetch_one(&data).await.expect("a count").get::<i64, _>(0),
            0,
            "{point}: a schema is left"
        );
        let keys = sqlx::query("SELECT count(*) FROM auth.tenant_keys WHERE tenant_id::text = $1").bind(&tenant.id);
        assert_eq!(
            keys.fetch_one(&platform).await.expect("a count").get::<i64, _>(0),
            0,
            "{point}: a key is left"
        );
    }
}
