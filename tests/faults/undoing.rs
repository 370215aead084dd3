//! A restore into a new tenant that cannot succeed leaves nothing behind: no tenant, no slug that is taken, whatever dies
//! on the way back.

use crate::{
    customers::{owner, tenant},
    lab::{Lab, RECOVERY},
    patient::Patient,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tenantry_testkit::eventually_within;
use tenantry_tests::{Operator, Tenant, unique};

async fn done(client: &Patient, operation: &Value) -> Value {
    let name = operation["name"].as_str().expect("an operation").to_owned();
    eventually_within(RECOVERY, &name, || async {
        let now = client.get(&format!("/v1/{name}")).await;
        if now["done"] == json!(true) { Ok(now) } else { Err(now) }
    })
    .await
}

async fn snapshot(client: &Patient) -> String {
    let started = client.call("POST", "/v1/snapshots", Some(json!({}))).await;
    let taken = done(client, &started).await;
    taken["response"]["name"].as_str().expect("a snapshot").to_owned()
}

async fn start(client: &Patient, snapshot: &str, slug: &str) -> Value {
    let body = json!({"newTenant": {"slug": slug}});
    client
        .call("POST", &format!("/v1/{snapshot}:restore"), Some(body))
        .await
}

/// The objects with rows of a snapshot.
fn object(lab: &Lab, tenant: &Tenant, snapshot: &str) -> PathBuf {
    let root = lab.world.log_dir.parent().expect("the instance").join("snapshots/v1");
    let id = snapshot.trim_start_matches("snapshots/");
    let objects = std::fs::read_dir(root.join(&tenant.id).join(id)).expect("the snapshot's folder");
    objects
        .map(|object| object.expect("readable").path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("tickets.0."))
        })
        .expect("an object")
}

/// The operation has failed for this reason and says what became of the new tenant.
#[track_caller]
fn failed(done: &Value, reason: &str, slug: &str) {
    assert_eq!(done["error"]["details"][0]["reason"], reason, "{done}");
    let message = done["error"]["message"].as_str().unwrap_or_default();
    let end = format!("The new tenant {slug} was removed again.");
    assert!(message.ends_with(&end), "{done}");
    assert_eq!(done["metadata"]["step"], "discard", "{done}");
}

/// Neither registry, auth nor business knows a tenant that the registry has made for `slug`, nor has it a schema.
async fn nothing_left(lab: &Lab, operator: &Operator, slug: &str) {
    operator
        .rest
        .get(&format!("/v1/tenants/{slug}"))
        .await
        .refused(404, "NOT_FOUND");
    let (platform, data) = (lab.superuser("tenantry").await, lab.superuser("tenantry_data").await);
    let made: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT tenant_id::text FROM registry.operations WHERE slug = $1")
            .bind(slug)
            .fetch_all(&platform)
            .await
            .expect("operations");
    assert!(!made.is_empty(), "the registry was asked for {slug}");
    for id in made {
        let left = "SELECT (SELECT count(*) FROM registry.tenants WHERE tenant_id = $1::uuid) + (SELECT count(*) FROM auth.users WHERE tenant_id = $1::uuid)";
        let left: i64 = sqlx::query_scalar(left)
            .bind(&id)
            .fetch_one(&platform)
            .await
            .expect("a count");
        let schemas: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '__' || $1 || '%'")
            .bind(id.replace('-', ""))
            .fetch_one(&data)
            .await
            .expect("a count");
        assert_eq!((left, schemas), (0, 0), "{slug} is {id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_cannot_be_filled_is_removed_and_its_slug_is_free() {
    let lab = Lab::enter().await;
    let operator = lab.operator().await;
    let tenant = tenant(&operator).await;
    let client = owner(&tenant);
    tenant.ticket("in the snapshot").await;
    let (taken, slug) = (snapshot(&client).await, unique("undone"));
    for point in ["backup.restore.before_stream", "backup.restore.before_footer"] {
        lab.arm(point, "error").await;
        let finished = done(&client, &start(&client, &taken, &slug).await).await;
        failed(&finished, "FAILED_PRECONDITION", &slug);
        let message = finished["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(point), "{finished}");
        nothing_left(&lab, &operator, &slug).await;
    }
    // Killed while it takes back, the next worker takes back: it does not try to fill what is to go.
    let old = lab.pid("backup").expect("it runs");
    lab.arm("backup.restore.before_stream", "error").await;
    lab.arm("backup.restore.before_discard", "abort").await;
    let finished = done(&client, &start(&client, &taken, &slug).await).await;
    failed(&finished, "FAILED_PRECONDITION", &slug);
    lab.replaced("backup", old, RECOVERY).await;
    lab.ready(&["backup"]).await;
    nothing_left(&lab, &operator, &slug).await;

    let finished = done(&client, &start(&client, &taken, &slug).await).await;
    assert_eq!(
        finished["response"]["slug"],
        json!(slug),
        "the slug is free: {finished}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_damaged_after_its_clone_was_made_leaves_no_clone() {
    let lab = Lab::enter().await;
    let operator = lab.operator().await;
    let tenant = tenant(&operator).await;
    let client = owner(&tenant);
    tenant.ticket("in the snapshot").await;
    // At the first point the registry has made the clone, and backup dies before it has noted so.
    for point in ["backup.restore.before_note", "backup.restore.after_clone"] {
        let (taken, slug) = (snapshot(&client).await, unique("rotten"));
        let old = lab.pid("backup").expect("it runs");
        std::fs::File::create(lab.world.pid_dir.join("backup.hold")).expect("a hold file");
        lab.arm(point, "abort").await;
        let started = start(&client, &taken, &slug).await;
        eventually_within(RECOVERY, point, || async {
            if Path::new(&format!("/proc/{old}")).exists() {
                Err("backup lives")
            } else {
                Ok(())
            }
        })
        .await;
        std::fs::remove_file(object(&lab, &tenant, &taken)).expect("an object");
        lab.release("backup");
        let finished = done(&client, &started).await;
        failed(&finished, "SNAPSHOT_CORRUPT", &slug);
        let message = finished["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("tickets.0."), "{point}: {finished}");
        let shown = client.get(&format!("/v1/{taken}")).await;
        assert_eq!(shown["state"], "SNAPSHOT_STATE_CORRUPT", "{point}: {shown}");
        lab.ready(&["backup"]).await;
        nothing_left(&lab, &operator, &slug).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_cancelled_while_its_clone_is_made_leaves_no_clone() {
    let lab = Lab::enter().await;
    let operator = lab.operator().await;
    let tenant = tenant(&operator).await;
    let client = owner(&tenant);
    tenant.ticket("in the snapshot").await;
    let (taken, slug) = (snapshot(&client).await, unique("unwanted"));
    // The onboarding waits for business.
    lab.hold("business").await;
    let started = start(&client, &taken, &slug).await;
    let name = started["name"].as_str().expect("an operation");
    let step = async |wanted: &'static str| {
        eventually_within(RECOVERY, wanted, || async {
            let now = client.get(&format!("/v1/{name}")).await;
            if now["metadata"]["step"] == wanted {
                Ok(())
            } else {
                Err(now)
            }
        })
        .await;
    };
    step("clone").await;
    client
        .call("POST", &format!("/v1/{name}:cancel"), Some(json!({})))
        .await;
    step("discard").await;
    lab.release("business");
    let finished = done(&client, &started).await;
    failed(&finished, "CANCELLED", &slug);
    lab.ready(&["business"]).await;
    nothing_left(&lab, &operator, &slug).await;
}
