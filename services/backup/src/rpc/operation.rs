//! OperationService, and operations in the responses of others.

use super::{once, operation_name, snapshot, timestamp};
use crate::{
    app::{operations::Operations, snapshots::Snapshots},
    domain::{
        Failure, Operation,
        operation::{Restored, Verb},
        snapshot::name as snapshot_name,
    },
};
use prost_types::Any;
use tenantry_api::{
    backup::{
        CancelOperationRequest, CancelOperationResponse, GetOperationRequest, GetOperationResponse,
        ListOperationsRequest, ListOperationsResponse, RestoreResult, WaitOperationRequest, WaitOperationResponse,
        operation_service_server::OperationService,
    },
    common::OperationMetadata,
    google::longrunning,
};
use tenantry_kernel::{Ctx, Error, Kind, Result};
use tenantry_operations::{
    State, wait,
    wire::{self, any},
};
use tenantry_server::unary;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

/// `operations/backup-{id}`
pub(super) fn name(id: Uuid) -> String {
    format!("operations/backup-{id}")
}

/// An operation without its response: that may need more than the row.
pub(super) fn pending(operation: &Operation) -> longrunning::Operation {
    let metadata = OperationMetadata {
        verb: operation.verb.as_str().to_owned(),
        target: snapshot_name(operation.snapshot),
        step: operation.step.clone(),
        attempt: operation.attempt,
        last_error: operation.last_error.clone(),
        progress_percent: wire::percent(operation.state, operation.done_units, operation.total_units),
        done_units: operation.done_units,
        total_units: operation.total_units,
        create_time: Some(timestamp(operation.create_time)),
        update_time: Some(timestamp(operation.update_time)),
    };
    longrunning::Operation {
        name: name(operation.id),
        metadata: Some(any("tenantry.common.v1.OperationMetadata", &metadata)),
        done: false,
        result: None,
    }
}

/// See the proto.
#[derive(Debug)]
pub struct OperationRpc {
    operations: Operations,
    snapshots: Snapshots,
}

impl OperationRpc {
    /// Over the app.
    #[must_use]
    pub fn new(operations: Operations, snapshots: Snapshots) -> Self {
        Self { operations, snapshots }
    }

    async fn whole(&self, ctx: &Ctx, operation: Operation) -> Result<longrunning::Operation> {
        let mut shown = pending(&operation);
        let stored = operation.result.clone().unwrap_or_default();
        shown.result = match operation.state {
            State::Running => None,
            State::Failed | State::Cancelled => {
                let failure: Failure = serde_json::from_value(stored).map_err(Error::internal)?;
                let shown = wire::failure(&failure.error(), ctx.request_id());
                Some(longrunning::operation::Result::Error(shown))
            }
            State::Succeeded => Some(longrunning::operation::Result::Response(
                self.response(ctx, &operation, stored).await?,
            )),
        };
        shown.done = shown.result.is_some();
        Ok(shown)
    }

    async fn response(&self, ctx: &Ctx, operation: &Operation, stored: serde_json::Value) -> Result<Any> {
        if operation.verb == Verb::RestoreSnapshot {
            let restored: Restored = serde_json::from_value(stored).map_err(Error::internal)?;
            let result = RestoreResult {
                snapshot: snapshot_name(operation.snapshot),
                before_restore: restored.before_restore.map(snapshot_name).unwrap_or_default(),
                tenant: restored.tenant.map(|id| format!("tenants/{id}")).unwrap_or_default(),
                slug: restored.slug.clone(),
                invite_uri: self.operations.invite(ctx, operation, &restored).await?,
                records: restored.records,
            };
            return Ok(any("tenantry.backup.v1.RestoreResult", &result));
        }
        // As it is now: the operation keeps no copy, and it may have been removed since.
        let shown = match self.snapshots.get(ctx, operation.snapshot).await {
            Ok(found) => snapshot::snapshot(found),
            Err(error) if error.kind() == Kind::NotFound => tenantry_api::backup::Snapshot {
                name: snapshot_name(operation.snapshot),
                ..Default::default()
            },
            Err(error) => return Err(error),
        };
        Ok(any("tenantry.backup.v1.Snapshot", &shown))
    }
}

#[async_trait]
impl OperationService for OperationRpc {
    async fn get_operation(
        &self,
        request: Request<GetOperationRequest>,
    ) -> Result<Response<GetOperationResponse>, Status> {
        unary(request, async |ctx, message: GetOperationRequest| {
            let found = self.operations.get(&ctx, operation_name(&message.name)?).await?;
            Ok(GetOperationResponse {
                operation: Some(self.whole(&ctx, found).await?),
            })
        })
        .await
    }

    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        unary(request, async |ctx, message: ListOperationsRequest| {
            let (page, next_page_token) = self
                .operations
                .list(&ctx, message.page_size, &message.page_token)
                .await?;
            let mut operations = Vec::with_capacity(page.len());
            for found in page {
                operations.push(self.whole(&ctx, found).await?);
            }
            Ok(ListOperationsResponse {
                operations,
                next_page_token,
            })
        })
        .await
    }

    async fn wait_operation(
        &self,
        request: Request<WaitOperationRequest>,
    ) -> Result<Response<WaitOperationResponse>, Status> {
        unary(request, async |ctx, message: WaitOperationRequest| {
            let (id, timeout) = (operation_name(&message.name)?, wait::timeout(message.timeout)?);
            let found = self.operations.wait(&ctx, id, timeout).await?;
            Ok(WaitOperationResponse {
                operation: Some(self.whole(&ctx, found).await?),
            })
        })
        .await
    }

    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Result<Response<CancelOperationResponse>, Status> {
        unary(request, async |ctx, mut message: CancelOperationRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.backup.v1.OperationService/CancelOperation", &key, &message)?;
            self.operations
                .cancel(&ctx, operation_name(&message.name)?, once.as_ref())
                .await?;
            Ok(CancelOperationResponse {})
        })
        .await
    }
}
