//! Rows of backup's methods. Names are made afresh for each request: a snapshot is used up by its deletion, and a
//! restore goes into a new tenant, because one in place would take away what other rows stand on.

use crate::{
    fixture::{Side, text},
    rows::Kind,
};
use serde_json::{Value, json};
use tenantry_testkit::eventually;

/// The kind of a method.
pub(crate) fn kind(service: &str, name: &str) -> Option<Kind> {
    Some(match (service, name) {
        ("SnapshotService", "CreateSnapshot" | "ListSnapshots" | "GetBackupPolicy" | "UpdateBackupPolicy") => Kind::Own,
        ("SnapshotService", "GetSnapshot" | "DeleteSnapshot" | "VerifySnapshot" | "RestoreSnapshot") => Kind::Names,
        ("OperationService", "ListOperations") => Kind::Own,
        ("OperationService", "GetOperation" | "WaitOperation" | "CancelOperation") => Kind::Names,
        ("BackupFleetService", "ListTenantBackups") => Kind::Operator,
        _ => return None,
    })
}

/// A rightful request of side `a`.
pub(crate) async fn request(name: &str, a: &Side) -> Value {
    match name {
        "CreateSnapshot" => json!({"snapshot": {"description": a.fresh("s")}}),
        "ListSnapshots" | "ListOperations" => json!({"pageSize": 1}),
        "GetBackupPolicy" => json!({}),
        "UpdateBackupPolicy" => json!({"backupPolicy": {"keepDays": 20}, "updateMask": "keepDays"}),
        "GetSnapshot" | "DeleteSnapshot" | "VerifySnapshot" => json!({"name": ready_snapshot(a).await}),
        "RestoreSnapshot" => {
            json!({"name": ready_snapshot(a).await, "newTenant": {"slug": a.fresh("r")}})
        }
        "GetOperation" | "CancelOperation" => json!({"name": operation(a).await}),
        "WaitOperation" => json!({"name": operation(a).await, "timeout": "1s"}),
        other => panic!("no row for {other}"),
    }
}

async fn operation(a: &Side) -> String {
    let started = a.rest().await.post("/v1/snapshots", json!({})).await.ok();
    text(&started["name"])
}

/// A snapshot that nothing works on.
pub(crate) async fn ready_snapshot(a: &Side) -> String {
    let (rest, operation) = (a.rest().await, operation(a).await);
    let done = eventually("a snapshot is ready", || async {
        let now = rest.get(&format!("/v1/{operation}")).await.ok();
        if now["done"] == json!(true) { Ok(now) } else { Err(now) }
    })
    .await;
    text(&done["response"]["name"])
}
