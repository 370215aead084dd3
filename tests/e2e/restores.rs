//! Restores against the limits of a plan: what does not fit is refused before anything is changed, by the row's counts,
//! and by those of the signed manifest where the row lies.

use serde_json::{Value, json};
use sqlx::PgPool;
use std::time::Duration;
use tenantry_testkit::{World, eventually, eventually_within};
use tenantry_tests::{Operator, Rest, Tenant, unique};

const PATIENCE: Duration = Duration::from_secs(180);

async fn wait(rest: &Rest, operation: &Value) -> Value {
    let name = operation["name"].as_str().expect("an operation").to_owned();
    eventually_within(PATIENCE, &name, || async {
        let now = rest.get(&format!("/v1/{name}")).await.ok();
        if now["done"] == json!(true) { Ok(now) } else { Err(now) }
    })
    .await
}

/// Moves a tenant to a plan of its own; its id.
async fn limit(operator: &Operator, tenant: &Tenant, object_types: u32, records: u32) -> String {
    let name = format!("plans/{}", unique("fit"));
    let limits = json!({"requestsPerSecond": 5_000, "burst": 10_000, "users": 100, "objectTypes": object_types,
        "records": records.to_string(), "apiKeys": 100});
    let plan = json!({"name": name, "displayName": "Fits", "limits": limits, "features": ["custom_types"]});
    operator.rest.post("/v1/plans", plan).await.ok();
    let path = format!("/v1/tenants/{}?updateMask=plan", tenant.id);
    operator.rest.patch(&path, json!({"plan": name})).await.ok();
    name.trim_start_matches("plans/").to_owned()
}

/// What may not change: records, snapshots and operations.
async fn state(rest: &Rest) -> Value {
    let records = rest.get("/v1/objectTypes/tickets/records").await.ok();
    let snapshots = rest.get("/v1/snapshots").await.ok()["snapshots"]
        .as_array()
        .map(Vec::len);
    json!({"records": records["records"], "snapshots": snapshots})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_does_not_fit_the_plan_changes_nothing() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let tenant = operator.tenant("fit").await;
    let rest = tenant.rest();
    tenant.help_desk().await;
    for title in ["one", "two", "three"] {
        tenant.ticket(title).await;
    }
    let started = rest.post("/v1/snapshots", json!({})).await.ok();
    let taken = wait(&rest, &started).await["response"]["name"].clone();
    let path = format!("/v1/{}:restore", taken.as_str().expect("a snapshot"));
    let before = state(&rest).await;
    let slug = unique("toolarge");
    let targets = [json!({"inPlace": true}), json!({"newTenant": {"slug": slug}})];

    for (types, records, named) in [(100, 2, "2 records"), (1, 100, "1 object_types")] {
        let plan = limit(&operator, &tenant, types, records).await;
        for target in &targets {
            let refused = eventually("the plan is in force", || async {
                let answer = rest.post(&path, target.clone()).await;
                if answer.text.contains(&plan) {
                    Ok(answer)
                } else {
                    Err(answer.text)
                }
            })
            .await;
            refused.refused(429, "QUOTA_EXCEEDED");
            assert!(refused.text.contains(named), "{}", refused.text);
        }
    }
    assert_eq!(state(&rest).await, before);

    // The row is a hint: it lies here, and the signed manifest does not.
    let plan = limit(&operator, &tenant, 100, 2).await;
    let pool = PgPool::connect(&world.db.superuser["tenantry"])
        .await
        .expect("superuser");
    sqlx::query("UPDATE backup.snapshots SET records = 1, types = '[]' WHERE tenant_id = $1::uuid")
        .bind(&tenant.id)
        .execute(&pool)
        .await
        .expect("falsified");
    for target in &targets {
        let started = rest.post(&path, target.clone()).await.ok();
        let done = wait(&rest, &started).await;
        assert_eq!(done["error"]["details"][0]["reason"], "QUOTA_EXCEEDED", "{done}");
        let text = done["error"]["message"].as_str().unwrap_or_default();
        assert!(text.contains("2 records") && text.contains(&plan), "{done}");
    }
    assert_eq!(state(&rest).await, before);
    operator
        .rest
        .get(&format!("/v1/tenants/{slug}"))
        .await
        .refused(404, "NOT_FOUND");

    limit(&operator, &tenant, 100, 3).await;
    let done = eventually("the larger plan is in force", || async {
        let answer = rest.post(&path, json!({"inPlace": true})).await;
        if answer.status != 200 {
            return Err(answer.text);
        }
        let done = wait(&rest, &answer.ok()).await;
        if done["response"].is_object() {
            Ok(done)
        } else {
            Err(done.to_string())
        }
    })
    .await;
    assert_eq!(done["response"]["records"], "3");
}
