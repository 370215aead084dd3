//! Snapshots, as a tenant uses them: taken while people work, verified, brought back in place and into a new tenant.

use crate::restores::{metric, platform};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tenantry_testkit::{World, eventually, eventually_within};
use tenantry_tests::{Answer, Member, Operator, Rest, Tenant, unique};

/// Two instances' worth of patience: the machine may be busy, and a schedule has minutes.
const PATIENCE: Duration = Duration::from_secs(180);

async fn wait(rest: &Rest, operation: &Value) -> Value {
    let name = operation["name"].as_str().expect("an operation").to_owned();
    eventually_within(PATIENCE, &name, || async {
        let now = rest.get(&format!("/v1/{name}")).await.ok();
        if now["done"] == json!(true) { Ok(now) } else { Err(now) }
    })
    .await
}

/// A finished operation's response.
#[track_caller]
fn response(done: &Value) -> &Value {
    assert!(done["response"].is_object(), "{done}");
    &done["response"]
}

async fn snapshot(rest: &Rest) -> Value {
    let started = rest.post("/v1/snapshots", json!({"description": "by hand"})).await.ok();
    response(&wait(rest, &started).await).clone()
}

async fn restore(rest: &Rest, snapshot: &Value, target: Value) -> Value {
    let path = format!("/v1/{}:restore", snapshot["name"].as_str().expect("a name"));
    let started = rest.post(&path, target).await.ok();
    wait(rest, &started).await
}

async fn titles(rest: &Rest) -> BTreeSet<String> {
    let page = rest.get("/v1/objectTypes/tickets/records?pageSize=500").await.ok();
    let title = |record: &Value| record["fields"]["title"].as_str().unwrap_or_default().to_owned();
    page["records"].as_array().into_iter().flatten().map(title).collect()
}

/// Where the instance keeps its objects.
fn folder(world: &World, tenant: &Tenant, snapshot: &Value) -> PathBuf {
    let id = snapshot["name"]
        .as_str()
        .and_then(|name| name.split('/').nth(1))
        .expect("a name");
    let root = world.log_dir.parent().expect("the instance").join("snapshots");
    root.join("v1").join(&tenant.id).join(id)
}

async fn data(world: &World) -> PgPool {
    PgPool::connect(&world.db.superuser["tenantry_data"])
        .await
        .expect("superuser")
}

/// Takes from one type what it gives to the other, until it is told to stop.
async fn move_amounts(pool: PgPool, schema: String, stop: Arc<AtomicBool>, moves: Arc<AtomicU64>) {
    let change = |table: &str, by: i64| {
        format!(
            "UPDATE {schema}.{table} SET f_amount = f_amount + ({by}) WHERE id = (SELECT id FROM {schema}.{table} ORDER BY random() LIMIT 1)"
        )
    };
    while !stop.load(Ordering::Relaxed) {
        let mut tx = pool.begin().await.expect("a transaction");
        for sql in [change("o_left", -7), change("o_right", 7)] {
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await.expect("moved");
        }
        tx.commit().await.expect("committed");
        moves.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_shows_one_moment_while_amounts_move_between_types() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("sum").await;
    let rest = tenant.rest();
    for name in ["left", "right"] {
        let definition = json!({"name": format!("objectTypes/{name}"), "fields": [{"fieldId": "amount", "type": "FIELD_TYPE_INT64"}]});
        rest.post("/v1/objectTypes", definition).await.ok();
        for _ in 0..4 {
            let requests: Vec<Value> = (0..100)
                .map(|_| json!({"record": {"fields": {"amount": 1000}}}))
                .collect();
            rest.post(
                &format!("/v1/objectTypes/{name}/records:batchCreate"),
                json!({"requests": requests}),
            )
            .await
            .ok();
        }
    }
    let schema = format!("t_{}", tenant.id.replace('-', ""));
    let sums = format!(
        "SELECT (SELECT sum(f_amount) FROM {schema}.o_left)::int8 + (SELECT sum(f_amount) FROM {schema}.o_right)::int8"
    );
    let pool = data(&world).await;
    let sum = async || -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sums.clone()))
            .fetch_one(&pool)
            .await
            .expect("a sum")
    };
    let total = sum().await;
    assert_eq!(total, 800_000);

    let (stop, moves) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = || tokio::spawn(move_amounts(pool.clone(), schema.clone(), stop.clone(), moves.clone()));
    let writers = [writer(), writer()];
    // Amounts moved between the request and the answer that it is ready; where none did, this one proves nothing.
    let taken = eventually_within(PATIENCE, "a snapshot while amounts move", || async {
        let before = moves.load(Ordering::Relaxed);
        let taken = snapshot(&rest).await;
        let moved = moves.load(Ordering::Relaxed) - before;
        if moved > 0 { Ok(taken) } else { Err("none moved") }
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("it wrote");
    }
    assert_eq!(taken["records"], "800");
    // The present data must differ, or the restore proves nothing.
    sqlx::query(AssertSqlSafe(format!("UPDATE {schema}.o_left SET f_amount = 1")))
        .execute(&pool)
        .await
        .expect("spoilt");
    let done = restore(&rest, &taken, json!({"inPlace": true})).await;
    assert_eq!(response(&done)["records"], "800");
    assert_eq!(sum().await, total);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_in_place_brings_records_back_and_revives_nobody() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let (tenant, neighbour) = tokio::join!(operator.tenant("place"), operator.tenant("near"));
    let rest = tenant.rest();
    tenant.help_desk().await;
    neighbour.help_desk().await;
    let kept = tenant.ticket("kept").await;
    tenant.ticket("removed later").await;
    let key = rest
        .post("/v1/apiKeys", json!({"displayName": "k", "scopes": ["records.read"]}))
        .await
        .ok();
    let (member, signed_out) = tokio::join!(tenant.member("ROLE_ADMIN"), tenant.member("ROLE_ADMIN"));
    let taken = snapshot(&rest).await;
    assert_eq!(
        (&taken["state"], &taken["records"]),
        (&json!("SNAPSHOT_STATE_READY"), &json!("2"))
    );

    let path = format!("/v1/{}", kept["name"].as_str().expect("a name"));
    rest.patch(
        &format!("{path}?updateMask=fields.title"),
        json!({"fields": {"title": "spoilt"}}),
    )
    .await
    .ok();
    tenant.ticket("too late").await;
    rest.delete(&format!("/v1/{}", key["apiKey"]["name"].as_str().expect("a key")))
        .await
        .ok();
    rest.delete(&format!("/v1/{}", member.name)).await.ok();
    tenant
        .as_member(&signed_out)
        .post("/v1/auth:signOut", json!({}))
        .await
        .ok();

    let (stop, near) = (Arc::new(AtomicBool::new(false)), neighbour.clone());
    let stopped = stop.clone();
    let at_work = tokio::spawn(async move {
        let (near, mut served) = (near.rest(), 0);
        while !stopped.load(Ordering::Relaxed) || served == 0 {
            near.post("/v1/objectTypes/tickets/records", json!({"fields": {"title": "t"}}))
                .await
                .ok();
            near.get("/v1/objectTypes/tickets/records?pageSize=5").await.ok();
            served += 1;
        }
        served
    });
    let done = restore(&rest, &taken, json!({"inPlace": true})).await;
    stop.store(true, Ordering::Relaxed);
    assert!(at_work.await.expect("the neighbour was served") > 0);
    assert_eq!(response(&done)["records"], "2");
    assert_eq!(titles(&rest).await, ["kept", "removed later"].map(str::to_owned).into());

    // Rights are not data of the snapshot.
    let bearer = |token: &str| Rest::new(&world, &tenant.host).bearer(token);
    let refused = |answer: Answer| assert_eq!(answer.status, 401, "{}", answer.text);
    refused(
        bearer(key["secret"].as_str().expect("a secret"))
            .get("/v1/objectTypes")
            .await,
    );
    refused(bearer(&member.token).get("/v1/objectTypes").await);
    refused(bearer(&signed_out.token).get("/v1/objectTypes").await);
    let users = rest.get("/v1/users").await.ok();
    assert!(!users.to_string().contains(&member.name), "{users}");

    // What was replaced was kept: restoring it undoes the restore.
    let before = json!({"name": response(&done)["beforeRestore"]});
    let undone = restore(&rest, &before, json!({"inPlace": true})).await;
    response(&undone);
    assert_eq!(
        titles(&rest).await,
        ["spoilt", "removed later", "too late"].map(str::to_owned).into()
    );
    tenant.ticket("life goes on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_into_a_new_tenant_is_signed_in_to_by_its_link() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("source").await;
    let rest = tenant.rest();
    tenant.help_desk().await;
    tenant.ticket("moves along").await;
    let viewer = tenant.member("ROLE_VIEWER").await;
    let taken = snapshot(&rest).await;
    rest.delete(&format!(
        "/v1/{}",
        rest.get("/v1/objectTypes/tickets/records").await.ok()["records"][0]["name"]
            .as_str()
            .expect("one")
    ))
    .await
    .ok();
    let slug = unique("clone");
    let done = restore(&rest, &taken, json!({"newTenant": {"slug": slug}})).await;
    let result = response(&done);
    assert_eq!((&result["slug"], &result["records"]), (&json!(slug), &json!("1")));
    let operation = done["name"].as_str().expect("a name");
    // Whoever opens the link owns the new tenant: it is shown to who asked for it, and to nobody else.
    let seen = tenant.as_member(&viewer).get(&format!("/v1/{operation}")).await.ok();
    assert_eq!(seen["response"]["slug"], json!(slug));
    assert_eq!(seen["response"]["inviteUri"].as_str().unwrap_or_default(), "", "{seen}");

    let link = result["inviteUri"].as_str().expect("a link");
    let host = world.host(&slug);
    let owner = Member::accept(&world, &host, &tenant.owner.email, link).await;
    let there = Rest::new(&world, &host).bearer(&owner.token);
    assert_eq!(titles(&there).await, ["moves along".to_owned()].into());
    assert_eq!(titles(&rest).await, BTreeSet::new(), "the source is as it was");
    assert_eq!(
        there.get("/v1/users").await.ok()["users"].as_array().map(Vec::len),
        Some(1),
        "only the owner came along"
    );
    there
        .get(&format!("/v1/{}", taken["name"].as_str().expect("a name")))
        .await
        .refused(404, "NOT_FOUND");

    let again = restore(&rest, &taken, json!({"newTenant": {"slug": slug}})).await;
    assert_eq!(again["error"]["details"][0]["reason"], "ALREADY_EXISTS", "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_object_is_named_and_never_restored() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("rot").await;
    let rest = tenant.rest();
    tenant.help_desk().await;
    tenant.ticket("safe").await;
    let taken = snapshot(&rest).await;
    let name = taken["name"].as_str().expect("a name");
    let verify = async || wait(&rest, &rest.post(&format!("/v1/{name}:verify"), json!({})).await.ok()).await;
    assert_eq!(response(&verify().await)["state"], "SNAPSHOT_STATE_READY");

    let object = std::fs::read_dir(folder(&world, &tenant, &taken))
        .expect("the snapshot's folder")
        .map(|object| object.expect("readable").path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("tickets.0."))
        })
        .expect("an object");
    let corrupt = async || metric(&world, "tenantry_backup_snapshots_total", "result=\"corrupt\"").await;
    let counted = corrupt().await;
    let good = std::fs::read(&object).expect("the object");
    let mut bad = good.clone();
    let middle = bad.len() - 20;
    bad[middle] ^= 1;
    let reason = |done: &Value| {
        done["error"]["details"][0]["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    for (what, bytes) in [
        ("flipped", Some(bad)),
        ("cut", Some(good[..50].to_vec())),
        ("gone", None),
    ] {
        match bytes {
            Some(bytes) => std::fs::write(&object, bytes).expect("writable"),
            None => std::fs::remove_file(&object).expect("removable"),
        }
        let done = verify().await;
        assert_eq!(reason(&done), "SNAPSHOT_CORRUPT", "{what}: {done}");
        assert!(
            done["error"]["message"]
                .as_str()
                .is_some_and(|text| text.contains("tickets.0.")),
            "{what}: {done}"
        );
    }
    let shown = rest.get(&format!("/v1/{name}")).await.ok();
    assert_eq!(shown["state"], "SNAPSHOT_STATE_CORRUPT");
    assert!(
        shown["problem"]
            .as_str()
            .is_some_and(|text| text.contains("tickets.0.")),
        "{shown}"
    );
    rest.post(&format!("/v1/{name}:restore"), json!({"inPlace": true}))
        .await
        .refused(409, "SNAPSHOT_CORRUPT");

    // Repaired from elsewhere it is good again. Damaged once more after that, only the restore itself can notice.
    std::fs::write(&object, &good).expect("writable");
    assert_eq!(response(&verify().await)["state"], "SNAPSHOT_STATE_READY");
    std::fs::remove_file(&object).expect("removable");
    let done = restore(&rest, &taken, json!({"inPlace": true})).await;
    assert_eq!(reason(&done), "SNAPSHOT_CORRUPT", "{done}");
    assert_eq!(titles(&rest).await, ["safe".to_owned()].into(), "nothing was replaced");
    // What the alert reads: three verifications and a restore.
    let counted = corrupt().await - counted;
    assert!(counted >= 4.0, "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_takes_snapshots_and_retention_keeps_the_last() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let tenant = operator.tenant("sched").await;
    let rest = tenant.rest();
    let policy = rest.get("/v1/backupPolicy").await.ok();
    assert_eq!(
        (&policy["schedule"], &policy["keepDays"], &policy["keepLast"]),
        (&json!("0 3 * * *"), &json!(14), &json!(7))
    );
    let path = "/v1/backupPolicy?updateMask=schedule,keepLast";
    rest.patch(path, json!({"schedule": "whenever"}))
        .await
        .refused(400, "INVALID_ARGUMENT");
    let often = json!({"schedule": "* * * * *", "keepLast": 1, "etag": policy["etag"]});
    let updated = rest.patch(path, often.clone()).await.ok();
    assert_ne!(updated["etag"], policy["etag"]);
    rest.patch(path, often).await.refused(412, "ETAG_MISMATCH");

    let all = async || {
        rest.get("/v1/snapshots").await.ok()["snapshots"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let scheduled = eventually_within(PATIENCE, "a scheduled snapshot", || async {
        let found = all().await;
        let ready = found
            .iter()
            .find(|s| s["kind"] == "SNAPSHOT_KIND_SCHEDULED" && s["state"] == "SNAPSHOT_STATE_READY");
        ready.cloned().ok_or(found)
    })
    .await;
    let time = |key: &str| -> DateTime<Utc> { scheduled[key].as_str().expect("a time").parse().expect("RFC 3339") };
    let kept = TimeDelta::days(policy["keepDays"].as_i64().expect("days"));
    assert_eq!(time("expireTime"), time("createTime") + kept, "{scheduled}");
    rest.patch(path, json!({"schedule": "", "keepLast": 1})).await.ok();
    let fleet = operator.rest.get("/v1/platform/backups?pageSize=500").await.ok();
    let row = fleet["tenantBackups"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|row| row["slug"] == json!(tenant.slug));
    assert!(row.is_some_and(|row| row["lastSnapshotTime"].is_string()), "{fleet}");

    // Age them, as time would: the newest ready one stays however old it is.
    let newest = snapshot(&rest).await;
    assert_eq!(newest.get("expireTime"), None, "what is taken by hand stays");
    let pool = platform(&world).await;
    let sql = "UPDATE backup.snapshots SET expire_time = now() - interval '1 day' WHERE tenant_id = $1::uuid";
    sqlx::query(sql).bind(&tenant.id).execute(&pool).await.expect("aged");
    eventually_within(PATIENCE, "only the last is left", || async {
        let names: Vec<Value> = all().await.into_iter().map(|found| found["name"].clone()).collect();
        if names == [newest["name"].clone()] {
            Ok(())
        } else {
            Err(names)
        }
    })
    .await;
    assert!(
        !folder(&world, &tenant, &scheduled).join("manifest.json").exists(),
        "its objects are gone"
    );
    assert!(folder(&world, &tenant, &newest).join("manifest.json").exists());

    // By hand even the last one goes.
    rest.delete(&format!("/v1/{}", newest["name"].as_str().expect("a name")))
        .await
        .ok();
    eventually("the last is gone", || async {
        if all().await.is_empty() { Ok(()) } else { Err(()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_refused_in_words() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let (tenant, other) = tokio::join!(operator.tenant("ask"), operator.tenant("else"));
    let rest = tenant.rest();
    let taken = snapshot(&rest).await;
    let path = format!("/v1/{}", taken["name"].as_str().expect("a name"));
    rest.post(&format!("{path}:restore"), json!({}))
        .await
        .refused(400, "INVALID_ARGUMENT");
    rest.post(&format!("{path}:restore"), json!({"newTenant": {"slug": "NO"}}))
        .await
        .refused(400, "INVALID_ARGUMENT");
    let member = tenant.member("ROLE_ADMIN").await;
    tenant
        .as_member(&member)
        .post(&format!("{path}:restore"), json!({"inPlace": true}))
        .await
        .refused(403, "PERMISSION_DENIED");
    other
        .rest()
        .post(&format!("{path}:restore"), json!({"inPlace": true}))
        .await
        .refused(404, "NOT_FOUND");
    // The same request twice is one snapshot.
    let body = json!({"description": "once"});
    let keyed = rest.clone().header("idempotency-key", "the-same");
    let (one, two) = (
        keyed.post("/v1/snapshots", body.clone()).await.ok(),
        keyed.post("/v1/snapshots", body).await.ok(),
    );
    assert_eq!(one["name"], two["name"]);
    wait(&rest, &one).await;
    let empty = restore(&rest, &taken, json!({"inPlace": true})).await;
    assert_eq!(
        response(&empty)["beforeRestore"]
            .as_str()
            .map(|name| name.starts_with("snapshots/")),
        Some(true),
        "{empty}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_waits_for_the_one_before() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("turns").await;
    tenant.help_desk().await;
    let rest = tenant.rest();
    let mut snapshots = Vec::new();
    for title in ["one", "two"] {
        tenant.ticket(title).await;
        snapshots.push(snapshot(&rest).await);
    }
    tenant.ticket("three").await;
    let mut started = Vec::new();
    for snapshot in &snapshots {
        let path = format!("/v1/{}:restore", snapshot["name"].as_str().expect("a name"));
        started.push(rest.post(&path, json!({"inPlace": true})).await.ok());
    }
    // What an operation works on, or waits for, stays.
    let waited_for = format!("/v1/{}", snapshots[1]["name"].as_str().expect("a name"));
    rest.delete(&waited_for).await.refused(409, "SNAPSHOT_NOT_READY");
    // What each kept before it began is what the one before had left.
    for (operation, found) in started.iter().zip(["3", "1"]) {
        let done = wait(&rest, operation).await;
        let kept = response(&done)["beforeRestore"].as_str().expect("a name");
        assert_eq!(rest.get(&format!("/v1/{kept}")).await.ok()["records"], found, "{done}");
    }
    assert_eq!(titles(&rest).await, ["one".to_owned(), "two".to_owned()].into());
}
