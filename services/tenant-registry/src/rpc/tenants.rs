//! TenantService.

use super::{
    convert::{self, Links},
    once,
};
use crate::{
    app::{NewTenant, Query, TenantApp, TenantChange, TenantFilter},
    domain::{Input, Operation},
};
use tenantry_api::google::longrunning;
use tenantry_api::registry::{
    CreateTenantRequest, CreateTenantResponse, DeleteTenantRequest, DeleteTenantResponse, GetTenantRequest,
    GetTenantResponse, ListTenantsRequest, ListTenantsResponse, ResumeTenantRequest, ResumeTenantResponse,
    SuspendTenantRequest, SuspendTenantResponse, UndeleteTenantRequest, UndeleteTenantResponse, UpdateTenantRequest,
    UpdateTenantResponse, tenant_service_server::TenantService,
};
use tenantry_kernel::{Ctx, Error};
use tenantry_server::unary;
use tonic::{Request, Response, Status};

const CREATE: &str = "tenantry.registry.v1.TenantService/CreateTenant";
const LIST: &str = "tenantry.registry.v1.TenantService/ListTenants";
const UPDATE: &str = "tenantry.registry.v1.TenantService/UpdateTenant";
const SUSPEND: &str = "tenantry.registry.v1.TenantService/SuspendTenant";
const RESUME: &str = "tenantry.registry.v1.TenantService/ResumeTenant";
const DELETE: &str = "tenantry.registry.v1.TenantService/DeleteTenant";
const UNDELETE: &str = "tenantry.registry.v1.TenantService/UndeleteTenant";

/// See the module.
pub struct TenantRpc {
    tenants: TenantApp,
    links: Links,
}

impl TenantRpc {
    /// Over the app.
    #[must_use]
    pub fn new(tenants: TenantApp, links: Links) -> Self {
        Self { tenants, links }
    }
    /// An operation that has just been asked for: its invite does not exist yet.
    fn started(&self, ctx: &Ctx, operation: &Operation) -> Option<longrunning::Operation> {
        Some(convert::operation(operation, None, &self.links, ctx.request_id()))
    }
}

#[tonic::async_trait]
impl TenantService for TenantRpc {
    async fn create_tenant(
        &self,
        request: Request<CreateTenantRequest>,
    ) -> Result<Response<CreateTenantResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: CreateTenantRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(CREATE, &key, &message)?;
            let tenant = message
                .tenant
                .ok_or_else(|| Error::invalid_field("tenant", "is required"))?;
            let plan = if tenant.plan.is_empty() {
                String::new()
            } else {
                convert::plan_name("tenant.plan", &tenant.plan)?
            };
            let owner = Input {
                admin_email: message.admin_email,
                admin_display_name: message.admin_display_name,
            };
            let new = NewTenant {
                slug: tenant.slug,
                display_name: tenant.display_name,
                plan,
                owner,
            };
            let operation = self.tenants.create(&ctx, new, &once).await?;
            Ok(CreateTenantResponse {
                operation: self.started(&ctx, &operation),
            })
        })
        .await
    }

    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Result<Response<GetTenantResponse>, Status> {
        unary(request, async |ctx: Ctx, message: GetTenantRequest| {
            let tenant = self
                .tenants
                .get(&ctx, &convert::tenant_name("name", &message.name)?)
                .await?;
            Ok(GetTenantResponse {
                tenant: Some(convert::tenant(&tenant)),
            })
        })
        .await
    }

    async fn list_tenants(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        unary(request, async |ctx: Ctx, message: ListTenantsRequest| {
            let query = Query {
                page_size: message.page_size,
                page_token: message.page_token,
            };
            let which = TenantFilter {
                show_deleted: message.show_deleted,
                slug_prefix: message.slug_prefix,
                text: message.query.trim().to_owned(),
            };
            let page = self.tenants.list(&ctx, LIST, &query, &which).await?;
            Ok(ListTenantsResponse {
                tenants: page.items.iter().map(convert::tenant).collect(),
                next_page_token: page.next,
            })
        })
        .await
    }

    async fn update_tenant(
        &self,
        request: Request<UpdateTenantRequest>,
    ) -> Result<Response<UpdateTenantResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: UpdateTenantRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(UPDATE, &key, &message)?;
            let tenant = message
                .tenant
                .ok_or_else(|| Error::invalid_field("tenant", "is required"))?;
            let name = convert::tenant_name("tenant.name", &tenant.name)?;
            let known = [
                ("display_name", !tenant.display_name.is_empty()),
                ("plan", !tenant.plan.is_empty()),
            ];
            let fields = convert::masked(message.update_mask, &known)?;
            let plan = fields
                .contains("plan")
                .then(|| convert::plan_name("tenant.plan", &tenant.plan))
                .transpose()?;
            let change = TenantChange {
                display_name: fields.contains("display_name").then_some(tenant.display_name),
                plan,
                etag: tenant.etag,
            };
            let tenant = self.tenants.update(&ctx, &name, change, &once).await?;
            Ok(UpdateTenantResponse {
                tenant: Some(convert::tenant(&tenant)),
            })
        })
        .await
    }

    async fn suspend_tenant(
        &self,
        request: Request<SuspendTenantRequest>,
    ) -> Result<Response<SuspendTenantResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: SuspendTenantRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(SUSPEND, &key, &message)?;
            let name = convert::tenant_name("name", &message.name)?;
            let operation = self.tenants.suspend(&ctx, &name, &message.reason, &once).await?;
            Ok(SuspendTenantResponse {
                operation: self.started(&ctx, &operation),
            })
        })
        .await
    }

    async fn resume_tenant(
        &self,
        request: Request<ResumeTenantRequest>,
    ) -> Result<Response<ResumeTenantResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: ResumeTenantRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(RESUME, &key, &message)?;
            let operation = self
                .tenants
                .resume(&ctx, &convert::tenant_name("name", &message.name)?, &once)
                .await?;
            Ok(ResumeTenantResponse {
                operation: self.started(&ctx, &operation),
            })
        })
        .await
    }

    async fn delete_tenant(
        &self,
        request: Request<DeleteTenantRequest>,
    ) -> Result<Response<DeleteTenantResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: DeleteTenantRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(DELETE, &key, &message)?;
            let name = convert::tenant_name("name", &message.name)?;
            let operation = self
                .tenants
                .delete(&ctx, &name, &message.etag, message.purge, &once)
                .await?;
            Ok(DeleteTenantResponse {
                operation: self.started(&ctx, &operation),
            })
        })
        .await
    }

    async fn undelete_tenant(
        &self,
        request: Request<UndeleteTenantRequest>,
    ) -> Result<Response<UndeleteTenantResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: UndeleteTenantRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(UNDELETE, &key, &message)?;
            let operation = self
                .tenants
                .undelete(&ctx, &convert::tenant_name("name", &message.name)?, &once)
                .await?;
            Ok(UndeleteTenantResponse {
                operation: self.started(&ctx, &operation),
            })
        })
        .await
    }
}
