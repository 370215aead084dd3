//! OperationService.

use super::convert::{self, Links};
use crate::{
    app::{OperationApp, Query},
    domain::Operation,
};
use tenantry_api::{
    google::longrunning,
    registry::{
        GetOperationRequest, GetOperationResponse, ListOperationsRequest, ListOperationsResponse, WaitOperationRequest,
        WaitOperationResponse, operation_service_server::OperationService,
    },
};
use tenantry_kernel::{Ctx, Result as KernelResult};
use tenantry_operations::wait;
use tenantry_server::unary;
use tonic::{Request, Response, Status};

const LIST: &str = "tenantry.registry.v1.OperationService/ListOperations";

/// See the module.
pub struct OperationRpc {
    operations: OperationApp,
    links: Links,
}

impl OperationRpc {
    /// Over the app.
    #[must_use]
    pub fn new(operations: OperationApp, links: Links) -> Self {
        Self { operations, links }
    }
    async fn whole(&self, ctx: &Ctx, operation: &Operation) -> KernelResult<Option<longrunning::Operation>> {
        let invite = self.operations.invite(ctx, operation).await?;
        Ok(Some(convert::operation(
            operation,
            invite.as_deref(),
            &self.links,
            ctx.request_id(),
        )))
    }
}

#[tonic::async_trait]
impl OperationService for OperationRpc {
    async fn get_operation(
        &self,
        request: Request<GetOperationRequest>,
    ) -> Result<Response<GetOperationResponse>, Status> {
        unary(request, async |ctx: Ctx, message: GetOperationRequest| {
            let operation = self
                .operations
                .get(&ctx, convert::operation_name(&message.name)?)
                .await?;
            Ok(GetOperationResponse {
                operation: self.whole(&ctx, &operation).await?,
            })
        })
        .await
    }

    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        unary(request, async |ctx: Ctx, message: ListOperationsRequest| {
            let query = Query {
                page_size: message.page_size,
                page_token: message.page_token,
            };
            let page = self.operations.list(&ctx, LIST, &query).await?;
            // A list shows no one-time links: they are for whoever asks for the one operation.
            let operations = page
                .items
                .iter()
                .map(|one| convert::operation(one, None, &self.links, ctx.request_id()))
                .collect();
            Ok(ListOperationsResponse {
                operations,
                next_page_token: page.next,
            })
        })
        .await
    }

    async fn wait_operation(
        &self,
        request: Request<WaitOperationRequest>,
    ) -> Result<Response<WaitOperationResponse>, Status> {
        unary(request, async |ctx: Ctx, message: WaitOperationRequest| {
            let id = convert::operation_name(&message.name)?;
            let timeout = wait::timeout(message.timeout)?;
            let operation = self.operations.wait(&ctx, id, timeout).await?;
            Ok(WaitOperationResponse {
                operation: self.whole(&ctx, &operation).await?,
            })
        })
        .await
    }
}
