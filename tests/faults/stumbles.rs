//! A step of suspension or purge that fails for good cannot be undone and must not be given up: the operation says what
//! failed, how often and why, goes on trying, and ends when the cause is gone. Until then the tenant is served nothing.

use crate::{
    customers::{ask_for_tenant, done, moves_in, tenant},
    lab::{Lab, full, request_id},
    patient::Patient,
};
use serde_json::{Value, json};
use sqlx::Row;
use tenantry_testkit::eventually;
use tenantry_tests::Tenant;

/// Point, and the step that fails there.
const SUSPENSION: [(&str, &str); 3] = [
    ("auth.revoke_tenant.before", "revoke_tenant"),
    ("registry.suspend_tenant.revoke_tenant.before_send", "revoke_tenant"),
    ("registry.suspend_tenant.revoke_tenant.after_reply", "revoke_tenant"),
];
const PURGE: [(&str, &str); 6] = [
    ("business.drop_data.before", "drop_data"),
    ("auth.drop_realm.before", "drop_realm"),
    ("auth.revoke_tenant.before", "revoke_tenant"),
    ("registry.purge_tenant.drop_realm.after_reply", "drop_realm"),
    ("registry.purge_tenant.drop_data.before_send", "drop_data"),
    ("registry.purge_tenant.remove_tenant.before_send", "remove_tenant"),
];

fn some_of<'p>(points: &'p [(&'p str, &'p str)], subset: usize) -> &'p [(&'p str, &'p str)] {
    if full() { points } else { &points[..subset] }
}

/// The operation explains itself while the step fails, then ends well. A step that succeeds within milliseconds leaves nobody
/// the time to read why it failed; its count of tries stays.
async fn tries_on(operator: &Patient, operation: &Value, point: &str, step: &str) {
    let name = operation["name"].as_str().expect("an operation");
    eventually("the operation says what failed, or has tried again", || async {
        let now = operator.get(&format!("/v1/{name}")).await;
        let metadata = &now["metadata"];
        let error = metadata["lastError"].as_str().unwrap_or_default();
        let says = error.contains(point) && metadata["step"] == step && metadata["attempt"].as_i64() >= Some(1);
        let tried_on = now["done"] == json!(true) && metadata["attempt"].as_i64() >= Some(2);
        if tried_on || (says && now["done"] != json!(true)) {
            Ok(())
        } else {
            Err(now)
        }
    })
    .await;
    let finished = done(operator, name).await;
    assert!(
        finished["error"].is_null() && finished["response"].is_object(),
        "{point}: {finished}"
    );
    println!("{point}: failed, said so, and was done in the end");
}

async fn refused(tenant: &Tenant, status: u16) {
    let answer = tenant.rest().get("/v1/sessions/current").await;
    assert_eq!(answer.status, status, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_whose_step_fails_tries_on() {
    let lab = Lab::enter().await;
    let operator = Patient::operator(&lab.world);
    for (point, step) in some_of(&SUSPENSION, 1) {
        let tenant = tenant(&lab.operator().await).await;
        lab.arm(point, "error").await;
        let body = json!({"reason": "fault", "requestId": request_id()});
        let path = format!("/v1/tenants/{}:suspend", tenant.id);
        let operation = operator.call("POST", &path, Some(body)).await;
        tries_on(&operator, &operation, point, step).await;
        refused(&tenant, 403).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_whose_step_fails_tries_on_and_frees_the_slug() {
    let lab = Lab::enter().await;
    let operator = Patient::operator(&lab.world);
    let (data, platform) = (lab.superuser("tenantry_data").await, lab.superuser("tenantry").await);
    for (point, step) in some_of(&PURGE, 2) {
        let tenant = tenant(&lab.operator().await).await;
        lab.arm(point, "error").await;
        let path = format!("/v1/tenants/{}?purge=true&requestId={}", tenant.id, request_id());
        let operation = operator.call("DELETE", &path, None).await;
        tries_on(&operator, &operation, point, step).await;
        refused(&tenant, 404).await;
        let schema = sqlx::query("SELECT count(*) FROM pg_namespace WHERE nspname = $1")
            .bind(format!("t_{}", tenant.id.replace('-', "")));
        let left: i64 = schema.fetch_one(&data).await.expect("a count").get(0);
        assert_eq!(left, 0, "{point}: a schema is left");
        let keys = sqlx::query("SELECT count(*) FROM auth.tenant_keys WHERE tenant_id::text = $1").bind(&tenant.id);
        let left: i64 = keys.fetch_one(&platform).await.expect("a count").get(0);
        assert_eq!(left, 0, "{point}: a key is left");
        let again = done(&operator, &ask_for_tenant(&operator, &tenant.slug).await).await;
        moves_in(&lab.world, &tenant.slug, &again).await;
    }
}
