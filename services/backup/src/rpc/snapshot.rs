//! SnapshotService.

use super::{once, operation, snapshot_name, timestamp};
use crate::{
    app::{
        policies::{Change, Policies},
        snapshots::{Destination, Snapshots},
    },
    domain::{
        Policy, Snapshot,
        snapshot::{Kind, State},
    },
};
use tenantry_api::backup::{
    self as proto, CreateSnapshotRequest, CreateSnapshotResponse, DeleteSnapshotRequest, DeleteSnapshotResponse,
    GetBackupPolicyRequest, GetBackupPolicyResponse, GetSnapshotRequest, GetSnapshotResponse, ListSnapshotsRequest,
    ListSnapshotsResponse, RestoreSnapshotRequest, RestoreSnapshotResponse, UpdateBackupPolicyRequest,
    UpdateBackupPolicyResponse, VerifySnapshotRequest, VerifySnapshotResponse, restore_snapshot_request::Target,
    snapshot_service_server::SnapshotService,
};
use tenantry_kernel::{Error, Reason, Result};
use tenantry_server::unary;
use tonic::{Request, Response, Status, async_trait};

/// See the proto.
#[derive(Debug)]
pub struct SnapshotRpc {
    snapshots: Snapshots,
    policies: Policies,
}

impl SnapshotRpc {
    /// Over the app.
    #[must_use]
    pub fn new(snapshots: Snapshots, policies: Policies) -> Self {
        Self { snapshots, policies }
    }
}

pub(super) fn snapshot(snapshot: Snapshot) -> proto::Snapshot {
    let types = snapshot.types.iter().map(|count| proto::SnapshotType {
        object_type: count.object_type.clone(),
        records: count.records,
    });
    proto::Snapshot {
        name: snapshot.name(),
        types: types.collect(),
        kind: match snapshot.kind {
            Kind::OnDemand => proto::SnapshotKind::OnDemand,
            Kind::Scheduled => proto::SnapshotKind::Scheduled,
            Kind::BeforeRestore => proto::SnapshotKind::BeforeRestore,
        }
        .into(),
        state: match snapshot.state {
            State::Running => proto::SnapshotState::Running,
            State::Ready => proto::SnapshotState::Ready,
            State::Failed => proto::SnapshotState::Failed,
            State::Corrupt => proto::SnapshotState::Corrupt,
            State::Deleting => proto::SnapshotState::Deleting,
        }
        .into(),
        description: snapshot.description,
        snapshot_time: snapshot.snapshot_time.map(timestamp),
        create_time: Some(timestamp(snapshot.create_time)),
        expire_time: snapshot.expire_time.map(timestamp),
        verify_time: snapshot.verify_time.map(timestamp),
        problem: snapshot.problem,
        records: snapshot.records,
        size_bytes: snapshot.size_bytes,
        stored_bytes: snapshot.stored_bytes,
        operation: operation::name(snapshot.operation),
    }
}

fn policy(policy: Policy) -> proto::BackupPolicy {
    proto::BackupPolicy {
        etag: policy.etag(),
        schedule: policy.schedule,
        keep_days: policy.keep_days,
        keep_last: policy.keep_last,
        next_time: policy.next_time.map(timestamp),
    }
}

/// The named fields; without a mask, every field that is set (AIP-134).
fn change(message: UpdateBackupPolicyRequest) -> Result<Change> {
    let missing = || Error::invalid_field("backup_policy", "is required");
    let given = message.backup_policy.ok_or_else(missing)?;
    let mut change = Change {
        etag: given.etag,
        ..Change::default()
    };
    let paths = message.update_mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() {
        change.schedule = (!given.schedule.is_empty()).then_some(given.schedule);
        change.keep_days = (given.keep_days != 0).then_some(given.keep_days);
        change.keep_last = (given.keep_last != 0).then_some(given.keep_last);
        return Ok(change);
    }
    for path in paths {
        match path.as_str() {
            "schedule" => change.schedule = Some(given.schedule.clone()),
            "keep_days" => change.keep_days = Some(given.keep_days),
            "keep_last" => change.keep_last = Some(given.keep_last),
            other => {
                let text = format!("{other} cannot be updated; schedule, keep_days and keep_last can");
                return Err(Error::new(Reason::UnknownField, text.clone()).field("update_mask", text));
            }
        }
    }
    Ok(change)
}

#[async_trait]
impl SnapshotService for SnapshotRpc {
    async fn create_snapshot(
        &self,
        request: Request<CreateSnapshotRequest>,
    ) -> Result<Response<CreateSnapshotResponse>, Status> {
        unary(request, async |ctx, mut message: CreateSnapshotRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.backup.v1.SnapshotService/CreateSnapshot", &key, &message)?;
            let description = message.snapshot.unwrap_or_default().description;
            let started = self.snapshots.create(&ctx, &description, once.as_ref()).await?;
            Ok(CreateSnapshotResponse {
                operation: Some(operation::pending(&started)),
            })
        })
        .await
    }

    async fn get_snapshot(
        &self,
        request: Request<GetSnapshotRequest>,
    ) -> Result<Response<GetSnapshotResponse>, Status> {
        unary(request, async |ctx, message: GetSnapshotRequest| {
            let found = self.snapshots.get(&ctx, snapshot_name(&message.name)?).await?;
            Ok(GetSnapshotResponse {
                snapshot: Some(snapshot(found)),
            })
        })
        .await
    }

    async fn list_snapshots(
        &self,
        request: Request<ListSnapshotsRequest>,
    ) -> Result<Response<ListSnapshotsResponse>, Status> {
        unary(request, async |ctx, message: ListSnapshotsRequest| {
            let (page, next_page_token) = self
                .snapshots
                .list(&ctx, message.page_size, &message.page_token)
                .await?;
            Ok(ListSnapshotsResponse {
                snapshots: page.into_iter().map(snapshot).collect(),
                next_page_token,
            })
        })
        .await
    }

    async fn delete_snapshot(
        &self,
        request: Request<DeleteSnapshotRequest>,
    ) -> Result<Response<DeleteSnapshotResponse>, Status> {
        unary(request, async |ctx, mut message: DeleteSnapshotRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.backup.v1.SnapshotService/DeleteSnapshot", &key, &message)?;
            self.snapshots
                .delete(&ctx, snapshot_name(&message.name)?, once.as_ref())
                .await?;
            Ok(DeleteSnapshotResponse {})
        })
        .await
    }

    async fn verify_snapshot(
        &self,
        request: Request<VerifySnapshotRequest>,
    ) -> Result<Response<VerifySnapshotResponse>, Status> {
        unary(request, async |ctx, mut message: VerifySnapshotRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.backup.v1.SnapshotService/VerifySnapshot", &key, &message)?;
            let id = snapshot_name(&message.name)?;
            let started = self.snapshots.verify(&ctx, id, once.as_ref()).await?;
            Ok(VerifySnapshotResponse {
                operation: Some(operation::pending(&started)),
            })
        })
        .await
    }

    async fn restore_snapshot(
        &self,
        request: Request<RestoreSnapshotRequest>,
    ) -> Result<Response<RestoreSnapshotResponse>, Status> {
        unary(request, async |ctx, mut message: RestoreSnapshotRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.backup.v1.SnapshotService/RestoreSnapshot", &key, &message)?;
            let id = snapshot_name(&message.name)?;
            let to = match message.target {
                Some(Target::InPlace(true)) => Destination::InPlace,
                Some(Target::NewTenant(new)) => Destination::NewTenant {
                    slug: new.slug,
                    display_name: new.display_name,
                },
                Some(Target::InPlace(false)) | None => {
                    let text = "say where to: in_place = true replaces the present data, new_tenant makes a new tenant";
                    return Err(Error::invalid_field("target", text));
                }
            };
            let started = self.snapshots.restore(&ctx, id, to, once.as_ref()).await?;
            Ok(RestoreSnapshotResponse {
                operation: Some(operation::pending(&started)),
            })
        })
        .await
    }

    async fn get_backup_policy(
        &self,
        request: Request<GetBackupPolicyRequest>,
    ) -> Result<Response<GetBackupPolicyResponse>, Status> {
        unary(request, async |ctx, _: GetBackupPolicyRequest| {
            Ok(GetBackupPolicyResponse {
                backup_policy: Some(policy(self.policies.get(&ctx).await?)),
            })
        })
        .await
    }

    async fn update_backup_policy(
        &self,
        request: Request<UpdateBackupPolicyRequest>,
    ) -> Result<Response<UpdateBackupPolicyResponse>, Status> {
        unary(request, async |ctx, mut message: UpdateBackupPolicyRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.backup.v1.SnapshotService/UpdateBackupPolicy", &key, &message)?;
            let updated = self.policies.update(&ctx, change(message)?, once.as_ref()).await?;
            Ok(UpdateBackupPolicyResponse {
                backup_policy: Some(policy(updated)),
            })
        })
        .await
    }
}
