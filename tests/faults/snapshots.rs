//! Snapshots and restores survive the death of backup at every step: they finish by themselves, and nothing half-done
//! is left in the archive.

use crate::{
    customers::{all_records, owner, tenant},
    lab::{Lab, RECOVERY, full},
    patient::Patient,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tenantry_testkit::eventually_within;
use tenantry_tests::{Tenant, unique};

const CAPTURE: [&str; 4] = [
    "backup.snapshot.before_export",
    "backup.snapshot.after_segment",
    "backup.snapshot.before_manifest",
    "backup.snapshot.after_manifest",
];
const IN_PLACE: [&str; 5] = [
    "backup.restore.after_verify",
    "backup.snapshot.before_manifest",
    "backup.restore.before_stream",
    "backup.restore.before_footer",
    "backup.restore.after_stream",
];

pub(crate) async fn done(client: &Patient, operation: &Value) -> Value {
    let name = operation["name"].as_str().expect("an operation").to_owned();
    eventually_within(RECOVERY, &name, || async {
        let now = client.get(&format!("/v1/{name}")).await;
        if now["done"] == json!(true) { Ok(now) } else { Err(now) }
    })
    .await
}

pub(crate) async fn snapshot(client: &Patient) -> Value {
    let started = client.call("POST", "/v1/snapshots", Some(json!({}))).await;
    done(client, &started).await
}

pub(crate) async fn titles(client: &Patient) -> BTreeSet<String> {
    let found = all_records(client, "tickets", "title").await;
    found.into_iter().map(|(_, title)| title).collect()
}

/// Names of the snapshots that have objects.
fn folders(lab: &Lab, tenant: &Tenant) -> BTreeSet<String> {
    let root = lab
        .world
        .log_dir
        .parent()
        .expect("the instance")
        .join("snapshots/v1")
        .join(&tenant.id);
    let with_objects = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|folder| std::fs::read_dir(folder.path()).is_ok_and(|mut objects| objects.next().is_some()));
    with_objects
        .map(|folder| folder.file_name().to_string_lossy().into_owned())
        .collect()
}

async fn listed(client: &Patient) -> BTreeSet<String> {
    let all = client.get("/v1/snapshots").await;
    let id = |found: &Value| found["name"].as_str().unwrap_or_default().replace("snapshots/", "");
    all["snapshots"].as_array().into_iter().flatten().map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_survives_a_death_at_every_step() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let client = owner(&tenant);
    tenant.ticket("kept").await;
    for point in CAPTURE {
        let old = lab.pid("backup").expect("it runs");
        lab.arm(point, "abort").await;
        let finished = snapshot(&client).await;
        assert_eq!(
            finished["response"]["state"], "SNAPSHOT_STATE_READY",
            "{point}: {finished}"
        );
        lab.replaced("backup", old, RECOVERY).await;
        lab.ready(&["backup"]).await;
        let name = finished["response"]["name"].as_str().expect("a name");
        let verify = client
            .call("POST", &format!("/v1/{name}:verify"), Some(json!({})))
            .await;
        let verified = done(&client, &verify).await;
        assert_eq!(
            verified["response"]["state"], "SNAPSHOT_STATE_READY",
            "{point}: {verified}"
        );
        assert_eq!(folders(&lab, &tenant), listed(&client).await, "{point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_in_place_survives_a_death_at_every_step() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let client = owner(&tenant);
    tenant.ticket("in the snapshot").await;
    let taken = snapshot(&client).await;
    let name = taken["response"]["name"].as_str().expect("a name").to_owned();
    for (at, point) in IN_PLACE.into_iter().enumerate() {
        let late = format!("later {at}");
        tenant.ticket(&late).await;
        let old = lab.pid("backup").expect("it runs");
        lab.arm(point, "abort").await;
        let started = client
            .call("POST", &format!("/v1/{name}:restore"), Some(json!({"inPlace": true})))
            .await;
        let finished = done(&client, &started).await;
        assert_eq!(finished["response"]["records"], "1", "{point}: {finished}");
        lab.replaced("backup", old, RECOVERY).await;
        lab.ready(&["backup"]).await;
        assert_eq!(titles(&client).await, ["in the snapshot".to_owned()].into(), "{point}");
        // What was kept is what was there, not what the first try had put in its place.
        let kept = finished["response"]["beforeRestore"].as_str().expect("a name");
        assert_eq!(client.get(&format!("/v1/{kept}")).await["records"], "2", "{point}");
        // The copies of tries that died go.
        eventually_within(RECOVERY, point, || async {
            let (stored, shown) = (folders(&lab, &tenant), listed(&client).await);
            if stored == shown && shown.len() == at + 2 {
                Ok(())
            } else {
                Err((stored, shown))
            }
        })
        .await;
    }
}

/// The data is replaced, and backup dies before it has noted so. Whoever cancels now is told the truth.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_done_is_not_cancelled_after_a_death() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let client = owner(&tenant);
    tenant.ticket("in the snapshot").await;
    let taken = snapshot(&client).await;
    let name = taken["response"]["name"].as_str().expect("a name").to_owned();
    tenant.ticket("later").await;
    let old = lab.pid("backup").expect("it runs");
    std::fs::File::create(lab.world.pid_dir.join("backup.hold")).expect("a hold file");
    lab.arm("backup.restore.after_stream", "abort").await;
    let started = client
        .call("POST", &format!("/v1/{name}:restore"), Some(json!({"inPlace": true})))
        .await;
    eventually_within(RECOVERY, "backup dies", || async {
        if std::path::Path::new(&format!("/proc/{old}")).exists() {
            Err("backup lives")
        } else {
            Ok(())
        }
    })
    .await;
    let pool = lab.superuser("tenantry").await;
    let cancel =
        "UPDATE backup.operations SET cancel_requested = true WHERE tenant_id = $1::uuid AND state = 'running'";
    let cancelled = sqlx::query(cancel)
        .bind(&tenant.id)
        .execute(&pool)
        .await
        .expect("asked");
    assert_eq!(cancelled.rows_affected(), 1);
    lab.release("backup");
    let finished = done(&client, &started).await;
    assert_eq!(finished["response"]["records"], "1", "{finished}");
    lab.ready(&["backup"]).await;
    assert_eq!(titles(&client).await, ["in the snapshot".to_owned()].into());
    let kept = finished["response"]["beforeRestore"].as_str().expect("a name");
    assert_eq!(client.get(&format!("/v1/{kept}")).await["records"], "2");
    tenant.ticket("goes on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_into_a_new_tenant_survives_a_death_and_makes_one() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let client = owner(&tenant);
    tenant.ticket("in the snapshot").await;
    let taken = snapshot(&client).await;
    let name = taken["response"]["name"].as_str().expect("a name").to_owned();
    let points = [
        "backup.restore.after_clone",
        "backup.restore.before_footer",
        "backup.restore.after_stream",
    ];
    for point in points.into_iter().take(if full() { 3 } else { 2 }) {
        let (old, slug) = (lab.pid("backup").expect("it runs"), unique("twin"));
        lab.arm(point, "abort").await;
        let body = json!({"newTenant": {"slug": slug}});
        let started = client.call("POST", &format!("/v1/{name}:restore"), Some(body)).await;
        let finished = done(&client, &started).await;
        assert_eq!(finished["response"]["records"], "1", "{point}: {finished}");
        assert!(
            finished["response"]["inviteUri"]
                .as_str()
                .is_some_and(|link| link.contains("token=")),
            "{point}"
        );
        lab.replaced("backup", old, RECOVERY).await;
        lab.ready(&["backup"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_many_operations_loses_none() {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let client = owner(&tenant);
    tenant.ticket("kept").await;
    let mut started = Vec::new();
    for _ in 0..6 {
        started.push(client.call("POST", "/v1/snapshots", Some(json!({}))).await);
    }
    lab.kill("backup").await;
    for operation in &started {
        let finished = done(&client, operation).await;
        assert_eq!(finished["response"]["state"], "SNAPSHOT_STATE_READY", "{finished}");
    }
    assert_eq!(folders(&lab, &tenant), listed(&client).await);
}
