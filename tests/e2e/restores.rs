//! Restores against the limits of a plan: what does not fit is refused before anything is changed, by the row's counts,
//! and by those of the signed manifest where the row lies. Restores while people work, operations that wait, and what
//! retention cannot remove.

use serde_json::{Value, json};
use sqlx::PgPool;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tenantry_testkit::{World, eventually, eventually_within};
use tenantry_tests::{Data, Operator, Rest, Tenant, unique};

const PATIENCE: Duration = Duration::from_secs(180);

async fn wait(rest: &Rest, operation: &Value) -> Value {
    let name = operation["name"].as_str().expect("an operation").to_owned();
    eventually_within(PATIENCE, &name, || async {
        let now = rest.get(&format!("/v1/{name}")).await.ok();
        if now["done"] == json!(true) { Ok(now) } else { Err(now) }
    })
    .await
}

/// A number that backup shows to operators, over all tenants.
pub(crate) async fn metric(world: &World, name: &str, label: &str) -> f64 {
    let url = format!("{}/metrics", world.admin_urls["backup"]);
    let text = reqwest::get(url)
        .await
        .expect("the admin port answers")
        .text()
        .await
        .expect("text");
    let line = text
        .lines()
        .find(|line| line.starts_with(name) && line.contains(label))
        .unwrap_or_else(|| panic!("no {name} with {label}: {text}"));
    line.rsplit(' ')
        .next()
        .and_then(|value| value.parse().ok())
        .expect("a number")
}

/// The platform database, as the superuser.
pub(crate) async fn platform(world: &World) -> PgPool {
    PgPool::connect(&world.db.superuser["tenantry"])
        .await
        .expect("superuser")
}

async fn snapshot(rest: &Rest) -> String {
    let started = rest.post("/v1/snapshots", json!({})).await.ok();
    let taken = wait(rest, &started).await;
    taken["response"]["name"]
        .as_str()
        .unwrap_or_else(|| panic!("{taken}"))
        .to_owned()
}

async fn titles(rest: &Rest) -> BTreeSet<String> {
    let (mut titles, mut token) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/v1/objectTypes/tickets/records?pageSize=500&pageToken={token}");
        let page = rest.get(&path).await.ok();
        let records = page["records"].as_array().into_iter().flatten();
        titles.extend(records.filter_map(|record| record["fields"]["title"].as_str().map(str::to_owned)));
        match page["nextPageToken"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => return titles,
        }
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_during_a_restore_is_there_or_in_the_copy() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("busy").await;
    let rest = tenant.rest();
    tenant.help_desk().await;
    let taken = snapshot(&rest).await;
    let (stop, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (stopped, written, client) = (stop.clone(), writes.clone(), tenant.rest());
    let writer = tokio::spawn(async move {
        let (mut acknowledged, mut refused, mut number) = (BTreeSet::new(), 0, 0);
        while !stopped.load(Ordering::Relaxed) {
            let title = format!("w{number}");
            number += 1;
            let body = json!({"fields": {"title": title}});
            let answer = client.post("/v1/objectTypes/tickets/records", body).await;
            if answer.status == 200 {
                acknowledged.insert(title);
                written.fetch_add(1, Ordering::Relaxed);
            } else {
                answer.refused(409, "CONFLICT");
                refused += 1;
            }
        }
        (acknowledged, refused)
    });
    let more = async || {
        let before = writes.load(Ordering::Relaxed);
        eventually("writes go on", || async {
            let now = writes.load(Ordering::Relaxed);
            if now > before + 10 { Ok(()) } else { Err(now) }
        })
        .await;
    };
    more().await;
    let path = format!("/v1/{taken}:restore");
    let started = rest.post(&path, json!({"inPlace": true})).await.ok();
    let done = wait(&rest, &started).await;
    more().await;
    stop.store(true, Ordering::Relaxed);
    let (acknowledged, refused) = writer.await.expect("it wrote");
    let mut kept = titles(&rest).await;
    let before = done["response"]["beforeRestore"]
        .as_str()
        .unwrap_or_else(|| panic!("{done}"));
    let back = rest
        .post(&format!("/v1/{before}:restore"), json!({"inPlace": true}))
        .await
        .ok();
    wait(&rest, &back).await;
    kept.extend(titles(&rest).await);
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "acknowledged and nowhere: {lost:?}");
    println!("{} acknowledged, {refused} refused", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_tenant_reaches_no_other() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let (a, b) = tokio::join!(operator.tenant("toka"), operator.tenant("tokb"));
    let backup = Data::of(&world, "backup");
    let parts = backup.export(&a.id).await.expect("its own");
    let restore_id = "01890000-0000-7000-8000-000000000002";
    for token in [backup.token_of(&a.id).await, backup.token().await] {
        let token = token.expect("a token");
        let seen = backup.export_with(&b.id, &token).await.expect_err("another tenant");
        assert_eq!(seen.code(), tonic::Code::NotFound, "{seen:?}");
        let seen = backup
            .restore_with(&b.id, restore_id, &parts, &token)
            .await
            .expect_err("another tenant");
        assert_eq!(seen.code(), tonic::Code::NotFound, "{seen:?}");
    }
}

/// Puts `count` operations that wait into the database.
async fn waiting(pool: &PgPool, tenant: &Tenant, count: i32) {
    let sql = "WITH s AS (INSERT INTO backup.snapshots (tenant_id, id, kind, state, create_time, operation_id) \
                 SELECT $1::uuid, gen_random_uuid(), 'on_demand', 'running', now(), gen_random_uuid() FROM generate_series(1, $2) \
                 RETURNING tenant_id, id, operation_id) \
               INSERT INTO backup.operations (tenant_id, id, verb, snapshot_id, state, step, input, creator, next_time) \
               SELECT tenant_id, operation_id, 'create_snapshot', id, 'running', 'capture', '{\"target\": \"in_place\"}', '', now() + interval '1 hour' FROM s";
    sqlx::query(sql)
        .bind(&tenant.id)
        .bind(count)
        .execute(pool)
        .await
        .expect("added");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_operations_than_can_wait_are_refused() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("queue").await;
    let (rest, pool) = (tenant.rest(), platform(&world).await);
    let taken = snapshot(&rest).await;
    waiting(&pool, &tenant, 10).await;
    for (path, body) in [
        ("/v1/snapshots".to_owned(), json!({})),
        (format!("/v1/{taken}:verify"), json!({})),
        (format!("/v1/{taken}:restore"), json!({"inPlace": true})),
    ] {
        let refused = rest.post(&path, body).await;
        refused.refused(429, "QUOTA_EXCEEDED");
        assert!(
            refused.text.contains("At most 10 backup operations"),
            "{}",
            refused.text
        );
    }
    let cancel = "UPDATE backup.operations SET cancel_requested = true, next_time = now() WHERE tenant_id = $1::uuid AND state = 'running'";
    sqlx::query(cancel)
        .bind(&tenant.id)
        .execute(&pool)
        .await
        .expect("cancelled");
    eventually_within(PATIENCE, "there is room again", || async {
        let answer = rest.post("/v1/snapshots", json!({})).await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_of_a_suspended_tenant_waits_and_can_be_cancelled() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let tenant = operator.tenant("parked").await;
    let (rest, pool) = (tenant.rest(), platform(&world).await);
    let suspended = operator
        .rest
        .post(&format!("/v1/tenants/{}:suspend", tenant.id), json!({"reason": "test"}))
        .await
        .ok();
    operator.wait(suspended["name"].as_str().expect("an operation")).await;
    eventually("it is suspended", || async {
        let answer = rest.get("/v1/snapshots").await;
        if answer.status == 403 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    waiting(&pool, &tenant, 1).await;
    let due = "UPDATE backup.operations SET next_time = now(), cancel_requested = $2 WHERE tenant_id = $1::uuid";
    let found = async || -> (String, i32, bool, String) {
        let sql = "SELECT state, attempt, lease_owner IS NULL AND next_time > now() AND next_time < now() + interval '1 minute', last_error \
                   FROM backup.operations WHERE tenant_id = $1::uuid";
        sqlx::query_as(sql)
            .bind(&tenant.id)
            .fetch_one(&pool)
            .await
            .expect("an operation")
    };
    for cancel in [false, false, true] {
        sqlx::query(due)
            .bind(&tenant.id)
            .bind(cancel)
            .execute(&pool)
            .await
            .expect("due");
        eventually_within(PATIENCE, "it was looked at", || async {
            match found().await {
                (state, 0, true, _) if state == "running" && !cancel => Ok(()),
                (state, ..) if state == "cancelled" && cancel => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_removed_holds_up_no_other() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let (stuck, other) = tokio::join!(operator.tenant("stuck"), operator.tenant("free"));
    let (first, second) = (snapshot(&stuck.rest()).await, snapshot(&other.rest()).await);
    let root = world.log_dir.parent().expect("the instance").join("snapshots/v1");
    let manifest = root
        .join(&stuck.id)
        .join(first.trim_start_matches("snapshots/"))
        .join("manifest.json");
    // A directory that is not empty is no object that can be removed.
    std::fs::remove_file(&manifest).expect("removable");
    std::fs::create_dir(&manifest).expect("writable");
    std::fs::write(manifest.join("x"), b"x").expect("writable");
    let removed = async |tenant: &Tenant, name: &str| {
        let (rest, path) = (tenant.rest(), format!("/v1/{name}"));
        eventually_within(PATIENCE, name, || async {
            let answer = rest.get(&path).await;
            if answer.status == 404 { Ok(()) } else { Err(answer.text) }
        })
        .await;
    };
    stuck.rest().delete(&format!("/v1/{first}")).await.ok();
    other.rest().delete(&format!("/v1/{second}")).await.ok();
    removed(&other, &second).await;
    eventually_within(PATIENCE, "an operator can see it", || async {
        let overdue = metric(&world, "tenantry_backup_removals_overdue", "what=\"snapshots\"").await;
        if overdue >= 1.0 { Ok(()) } else { Err(overdue) }
    })
    .await;
    std::fs::remove_dir_all(&manifest).expect("removable");
    removed(&stuck, &first).await;
}
