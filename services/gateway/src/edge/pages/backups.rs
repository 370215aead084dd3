//! Backups: snapshots, when they are taken by themselves, and taking one now.

use super::{
    console::{Chrome, Console, Form, Outcome, Trouble, bytes, id_of, machine_time, number, time},
    operations,
    operations::Listed,
};
use crate::edge::respond;
use askama::Template;
use tenantry_api::{
    auth::Role,
    backup::{
        BackupPolicy, CreateSnapshotRequest, CreateSnapshotResponse, GetBackupPolicyRequest, GetBackupPolicyResponse,
        ListSnapshotsRequest, ListSnapshotsResponse, Snapshot, SnapshotKind, SnapshotState, UpdateBackupPolicyRequest,
        UpdateBackupPolicyResponse,
    },
};
use tonic::Status;

pub(super) const SERVICE: &str = "/tenantry.backup.v1.SnapshotService/";

/// A snapshot for people.
pub(super) struct View {
    pub(super) id: String,
    pub(super) description: String,
    pub(super) kind: &'static str,
    pub(super) state: &'static str,
    pub(super) at: String,
    pub(super) at_machine: String,
    pub(super) expires: String,
    pub(super) verified: String,
    pub(super) problem: String,
    pub(super) records: String,
    pub(super) size: String,
    pub(super) stored: String,
    pub(super) types: Vec<(String, String)>,
    pub(super) operation: String,
    pub(super) is_ready: bool,
    pub(super) is_running: bool,
    /// Nothing can be done with it any more.
    pub(super) is_going: bool,
}

impl View {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let at = snapshot.snapshot_time.or(snapshot.create_time);
        Self {
            id: id_of(&snapshot.name).to_owned(),
            description: snapshot.description.clone(),
            kind: match snapshot.kind() {
                SnapshotKind::Scheduled => "scheduled",
                SnapshotKind::BeforeRestore => "before a restore",
                SnapshotKind::OnDemand | SnapshotKind::Unspecified => "on demand",
            },
            state: match snapshot.state() {
                SnapshotState::Running => "running",
                SnapshotState::Ready => "ready",
                SnapshotState::Failed => "failed",
                SnapshotState::Corrupt => "corrupt",
                SnapshotState::Deleting => "deleting",
                SnapshotState::Unspecified => "unknown",
            },
            at: time(at),
            at_machine: machine_time(at),
            expires: time(snapshot.expire_time),
            verified: time(snapshot.verify_time),
            problem: snapshot.problem.clone(),
            records: number(snapshot.records),
            size: bytes(snapshot.size_bytes),
            stored: bytes(snapshot.stored_bytes),
            types: snapshot
                .types
                .iter()
                .map(|of| (of.object_type.clone(), number(of.records)))
                .collect(),
            operation: id_of(&snapshot.operation).to_owned(),
            is_ready: snapshot.state() == SnapshotState::Ready,
            is_running: snapshot.state() == SnapshotState::Running,
            is_going: snapshot.state() == SnapshotState::Deleting,
        }
    }
}

struct PolicyView {
    schedule: String,
    keep_days: String,
    keep_last: String,
    next: String,
    etag: String,
}

#[derive(Template)]
#[template(path = "backups.html")]
struct BackupsPage<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    snapshots: Vec<View>,
    next: String,
    is_first: bool,
    policy: Option<PolicyView>,
    may_run: bool,
    description: &'a str,
    operations: Listed,
    request_id: String,
}

/// A page of snapshots, newest first.
pub(super) async fn snapshots(console: &Console, size: i32, token: &str) -> Result<ListSnapshotsResponse, Status> {
    let question = ListSnapshotsRequest {
        page_size: size,
        page_token: token.to_owned(),
    };
    console.ask(&format!("{SERVICE}ListSnapshots"), &question).await
}

async fn page_of(console: &Console, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let method = format!("{SERVICE}GetBackupPolicy");
    let (listed, policy, operations) = futures::join!(
        snapshots(console, 50, console.parameter("page")),
        console.ask::<_, GetBackupPolicyResponse>(&method, &GetBackupPolicyRequest {}),
        operations::recent(console, &["backup"])
    );
    let (listed, policy) = (listed?, policy?.backup_policy.unwrap_or_default());
    let typed = |name: &str, present: String| {
        if form.has(name) {
            form.trimmed(name).to_owned()
        } else {
            present
        }
    };
    let page = BackupsPage {
        chrome: console.chrome(),
        snapshots: listed.snapshots.iter().map(View::of).collect(),
        next: super::console::address("/backups", &[("page", &listed.next_page_token)]),
        is_first: console.parameter("page").is_empty(),
        policy: Some(PolicyView {
            schedule: typed("schedule", policy.schedule),
            keep_days: typed("keep_days", policy.keep_days.to_string()),
            keep_last: typed("keep_last", policy.keep_last.to_string()),
            next: time(policy.next_time),
            etag: policy.etag,
        }),
        may_run: console.is_at_least(Role::Admin),
        description: form.trimmed("description"),
        operations,
        request_id: console.fresh_id(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

pub(super) async fn list(console: &Console) -> Outcome {
    page_of(console, &Form::default(), None).await
}

pub(super) async fn run(console: &Console, form: Form) -> Outcome {
    let question = CreateSnapshotRequest {
        snapshot: Some(Snapshot {
            description: form.trimmed("description").to_owned(),
            ..Snapshot::default()
        }),
        request_id: form.request_id(),
    };
    let answer: Result<CreateSnapshotResponse, Status> =
        console.ask(&format!("{SERVICE}CreateSnapshot"), &question).await;
    match answer {
        Ok(answer) => {
            let operation = answer.operation.unwrap_or_default();
            Ok(respond::see_other(&format!("/operations/{}", id_of(&operation.name))))
        }
        Err(status) => page_of(console, &form, Some(console.trouble(&status))).await,
    }
}

pub(super) async fn policy(console: &Console, form: Form) -> Outcome {
    let days = form.trimmed("keep_days").parse();
    let last = form.trimmed("keep_last").parse();
    let (Ok(keep_days), Ok(keep_last)) = (days, last) else {
        let trouble = console.wrong("keep_days, keep_last", "must be whole numbers");
        return page_of(console, &form, Some(trouble)).await;
    };
    let question = UpdateBackupPolicyRequest {
        backup_policy: Some(BackupPolicy {
            schedule: form.trimmed("schedule").to_owned(),
            keep_days,
            keep_last,
            etag: form.text("etag").to_owned(),
            ..BackupPolicy::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: ["schedule", "keep_days", "keep_last"].map(str::to_owned).into(),
        }),
        request_id: form.request_id(),
    };
    let answer: Result<UpdateBackupPolicyResponse, Status> =
        console.ask(&format!("{SERVICE}UpdateBackupPolicy"), &question).await;
    match answer {
        Ok(_) => console.done("/backups", "policy"),
        Err(status) => page_of(console, &form, Some(console.trouble(&status))).await,
    }
}
