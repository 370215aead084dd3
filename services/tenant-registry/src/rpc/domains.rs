//! DomainService.

use super::{convert, once};
use crate::app::{DomainApp, Query};
use tenantry_api::registry::{
    CreateDomainRequest, CreateDomainResponse, DeleteDomainRequest, DeleteDomainResponse, ListDomainsRequest,
    ListDomainsResponse, ListTenantDomainsRequest, ListTenantDomainsResponse, VerifyDomainRequest,
    VerifyDomainResponse, domain_service_server::DomainService,
};
use tenantry_kernel::Ctx;
use tenantry_server::unary;
use tonic::{Request, Response, Status};

const CREATE: &str = "tenantry.registry.v1.DomainService/CreateDomain";
const LIST: &str = "tenantry.registry.v1.DomainService/ListDomains";
const LIST_OF_TENANT: &str = "tenantry.registry.v1.DomainService/ListTenantDomains";
const DELETE: &str = "tenantry.registry.v1.DomainService/DeleteDomain";
const VERIFY: &str = "tenantry.registry.v1.DomainService/VerifyDomain";

/// See the module.
pub struct DomainRpc {
    domains: DomainApp,
}

impl DomainRpc {
    /// Over the app.
    #[must_use]
    pub fn new(domains: DomainApp) -> Self {
        Self { domains }
    }
}

#[tonic::async_trait]
impl DomainService for DomainRpc {
    async fn create_domain(
        &self,
        request: Request<CreateDomainRequest>,
    ) -> Result<Response<CreateDomainResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: CreateDomainRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(CREATE, &key, &message)?;
            let name = message.domain.unwrap_or_default().name;
            let claim = self
                .domains
                .create(&ctx, &convert::domain_name("domain.name", &name)?, &once)
                .await?;
            Ok(CreateDomainResponse {
                domain: Some(convert::domain(&claim)),
            })
        })
        .await
    }

    async fn list_domains(
        &self,
        request: Request<ListDomainsRequest>,
    ) -> Result<Response<ListDomainsResponse>, Status> {
        unary(request, async |ctx: Ctx, message: ListDomainsRequest| {
            let query = Query {
                page_size: message.page_size,
                page_token: message.page_token,
            };
            let page = self.domains.list(&ctx, LIST, &query).await?;
            Ok(ListDomainsResponse {
                domains: page.items.iter().map(convert::domain).collect(),
                next_page_token: page.next,
            })
        })
        .await
    }

    async fn delete_domain(
        &self,
        request: Request<DeleteDomainRequest>,
    ) -> Result<Response<DeleteDomainResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: DeleteDomainRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(DELETE, &key, &message)?;
            self.domains
                .delete(&ctx, &convert::domain_name("name", &message.name)?, &once)
                .await?;
            Ok(DeleteDomainResponse {})
        })
        .await
    }

    async fn list_tenant_domains(
        &self,
        request: Request<ListTenantDomainsRequest>,
    ) -> Result<Response<ListTenantDomainsResponse>, Status> {
        unary(request, async |ctx: Ctx, message: ListTenantDomainsRequest| {
            let tenant = convert::tenant_name("parent", &message.parent)?;
            let query = Query {
                page_size: message.page_size,
                page_token: message.page_token,
            };
            let page = self.domains.list_of(&ctx, LIST_OF_TENANT, &tenant, &query).await?;
            Ok(ListTenantDomainsResponse {
                domains: page.items.iter().map(convert::domain).collect(),
                next_page_token: page.next,
            })
        })
        .await
    }

    async fn verify_domain(
        &self,
        request: Request<VerifyDomainRequest>,
    ) -> Result<Response<VerifyDomainResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: VerifyDomainRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(VERIFY, &key, &message)?;
            let (tenant, domain) = convert::tenant_domain_name(&message.name)?;
            let claim = self.domains.verify(&ctx, &tenant, &domain, &once).await?;
            Ok(VerifyDomainResponse {
                domain: Some(convert::domain(&claim)),
            })
        })
        .await
    }
}
