//! OperationService, and operations in the responses of others.

use super::{convert::timestamp, once, operation_name};
use crate::{
    app::operations::Operations,
    domain::{
        import::Outcome,
        operation::{Failure, Operation},
    },
};
use tenantry_api::{
    business::{
        CancelOperationRequest, CancelOperationResponse, GetOperationRequest, GetOperationResponse, ImportResult,
        ListOperationsRequest, ListOperationsResponse, WaitOperationRequest, WaitOperationResponse,
        operation_service_server::OperationService,
    },
    common::OperationMetadata,
    google::{longrunning, rpc},
};
use tenantry_kernel::{Ctx, Error, Reason, Result};
use tenantry_operations::{
    State, wait,
    wire::{self, any},
};
use tenantry_server::unary;
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

/// `operations/business-{id}`
pub(super) fn name(id: Uuid) -> String {
    format!("operations/business-{id}")
}

pub(super) fn operation(ctx: &Ctx, operation: Operation) -> Result<longrunning::Operation> {
    let metadata = OperationMetadata {
        verb: operation.verb,
        target: operation.target,
        step: operation.step,
        attempt: operation.attempt,
        last_error: operation.last_error,
        progress_percent: wire::percent(operation.state, operation.done_units, operation.total_units),
        done_units: operation.done_units,
        total_units: operation.total_units,
        create_time: Some(timestamp(operation.create_time)),
        update_time: Some(timestamp(operation.update_time)),
    };
    let stored = operation.result.unwrap_or_default();
    let result = match operation.state {
        State::Running => None,
        State::Succeeded => {
            let outcome: Outcome = serde_json::from_value(stored).map_err(Error::internal)?;
            let result = ImportResult {
                imported_count: outcome.imported,
                one_transaction: outcome.one_transaction,
            };
            Some(longrunning::operation::Result::Response(any(
                "tenantry.business.v1.ImportResult",
                &result,
            )))
        }
        State::Failed | State::Cancelled => Some(longrunning::operation::Result::Error(failure(
            ctx,
            serde_json::from_value(stored).map_err(Error::internal)?,
        ))),
    };
    Ok(longrunning::Operation {
        name: name(operation.id),
        metadata: Some(any("tenantry.common.v1.OperationMetadata", &metadata)),
        done: result.is_some(),
        result,
    })
}

/// The same shape as the error of a call (AIP-193).
fn failure(ctx: &Ctx, failure: Failure) -> rpc::Status {
    let reason = Reason::parse(&failure.reason).unwrap_or(Reason::Internal);
    let error = failure
        .rows
        .into_iter()
        .fold(Error::new(reason, failure.message), |error, row| {
            error.field(
                format!("line {}", row.line),
                if row.column.is_empty() {
                    row.message
                } else {
                    format!("column {}: {}", row.column, row.message)
                },
            )
        });
    wire::failure(&error, ctx.request_id())
}

/// See the proto.
#[derive(Debug)]
pub struct OperationRpc {
    operations: Operations,
}

impl OperationRpc {
    /// Over the app.
    #[must_use]
    pub fn new(operations: Operations) -> Self {
        Self { operations }
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
                operation: Some(operation(&ctx, found)?),
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
            let operations = page
                .into_iter()
                .map(|found| operation(&ctx, found))
                .collect::<Result<_>>()?;
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
                operation: Some(operation(&ctx, found)?),
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
            let once = once("tenantry.business.v1.OperationService/CancelOperation", &key, &message)?;
            self.operations
                .cancel(&ctx, operation_name(&message.name)?, once.as_ref())
                .await?;
            Ok(CancelOperationResponse {})
        })
        .await
    }
}
