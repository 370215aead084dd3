//! CloneService: new tenants for other services of ours.

use super::{
    convert::{self, Links},
    once,
};
use crate::{
    app::{NewTenant, OperationApp, TenantApp},
    domain::Input,
};
use tenantry_api::registry::{
    CloneState, CreateCloneRequest, CreateCloneResponse, DiscardCloneRequest, DiscardCloneResponse, GetCloneRequest,
    GetCloneResponse, clone_service_server::CloneService,
};
use tenantry_kernel::{Ctx, Error, Result as KernelResult};
use tenantry_server::unary;
use tonic::{Request, Response, Status};

const CREATE: &str = "tenantry.registry.v1.CloneService/CreateClone";

/// See the module.
pub struct CloneRpc {
    tenants: TenantApp,
    operations: OperationApp,
    links: Links,
}

impl CloneRpc {
    /// Over the apps.
    #[must_use]
    pub fn new(tenants: TenantApp, operations: OperationApp, links: Links) -> Self {
        Self {
            tenants,
            operations,
            links,
        }
    }

    async fn progress(&self, ctx: &Ctx, id: &str) -> KernelResult<GetCloneResponse> {
        let id = id.parse().map_err(|_| Error::not_found())?;
        let (operation, invite) = self.operations.own_onboarding(ctx, id).await?;
        let state = match (&operation.saga.failure, operation.saga.is_done()) {
            (_, false) => CloneState::Creating,
            (None, true) => CloneState::Active,
            (Some(_), true) => CloneState::Failed,
        };
        let failure = operation.saga.failure.as_ref().filter(|_| state == CloneState::Failed);
        Ok(GetCloneResponse {
            state: state.into(),
            tenant_id: operation.tenant.to_string(),
            invite_uri: invite
                .map(|token| self.links.invite(&operation.slug, &token))
                .unwrap_or_default(),
            problem: failure.map(convert::failure_text).unwrap_or_default(),
        })
    }
}

#[tonic::async_trait]
impl CloneService for CloneRpc {
    async fn create_clone(
        &self,
        request: Request<CreateCloneRequest>,
    ) -> Result<Response<CreateCloneResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: CreateCloneRequest| {
            let key = std::mem::take(&mut message.request_id);
            if key.is_empty() {
                return Err(Error::invalid_field("request_id", "is required"));
            }
            let once = once(CREATE, &key, &message)?;
            let source = message
                .source_tenant_id
                .parse()
                .map_err(|_| Error::invalid_field("source_tenant_id", "must be the id of a tenant"))?;
            let new = NewTenant {
                slug: message.slug,
                display_name: message.display_name,
                plan: String::new(),
                owner: Input {
                    admin_email: message.owner_email,
                    admin_display_name: message.owner_display_name,
                },
            };
            let operation = self.tenants.create_like(&ctx, source, new, &once).await?;
            Ok(CreateCloneResponse {
                clone_id: operation.id.to_string(),
                tenant_id: operation.tenant.to_string(),
            })
        })
        .await
    }

    async fn get_clone(&self, request: Request<GetCloneRequest>) -> Result<Response<GetCloneResponse>, Status> {
        unary(request, async |ctx: Ctx, message: GetCloneRequest| {
            self.progress(&ctx, &message.clone_id).await
        })
        .await
    }

    async fn discard_clone(
        &self,
        request: Request<DiscardCloneRequest>,
    ) -> Result<Response<DiscardCloneResponse>, Status> {
        unary(request, async |ctx: Ctx, message: DiscardCloneRequest| {
            let id = message.clone_id.parse().map_err(|_| Error::not_found())?;
            let gone = self.tenants.discard(&ctx, id).await?;
            Ok(DiscardCloneResponse { gone })
        })
        .await
    }
}
