//! FleetService.

use super::convert::{alert, event, health, point, time};
use crate::app::{
    fleet::FleetApp,
    paging::{Page, Query},
};
use tenantry_api::monitoring::{
    ListAlertsRequest, ListAlertsResponse, ListEventsRequest, ListEventsResponse, ListServiceHealthRequest,
    ListServiceHealthResponse, ListTenantUsageRequest, ListTenantUsageResponse, TenantUsage,
    fleet_service_server::FleetService,
};
use tenantry_kernel::{Ctx, Error, TenantId};
use tenantry_server::unary;
use tonic::{Request, Response, Status};

const USAGE: &str = "tenantry.monitoring.v1.FleetService/ListTenantUsage";
const ALERTS: &str = "tenantry.monitoring.v1.FleetService/ListAlerts";
const EVENTS: &str = "tenantry.monitoring.v1.FleetService/ListEvents";

/// See the module.
pub struct FleetRpc(FleetApp);

impl FleetRpc {
    /// Over the app.
    #[must_use]
    pub fn new(app: FleetApp) -> Self {
        Self(app)
    }
}

#[tonic::async_trait]
impl FleetService for FleetRpc {
    async fn list_tenant_usage(
        &self,
        request: Request<ListTenantUsageRequest>,
    ) -> Result<Response<ListTenantUsageResponse>, Status> {
        unary(request, async |ctx: Ctx, message: ListTenantUsageRequest| {
            let start = time("start_time", message.start_time)?;
            let end = time("end_time", message.end_time)?;
            let query = page(message.page_size, message.page_token);
            let (span, Page { items, next }) = self.0.usage(&ctx, USAGE, &query, start, end).await?;
            let tenant_usages = items.into_iter().map(|one| TenantUsage {
                tenant: format!("tenants/{}", one.tenant),
                slug: one.route.as_ref().map(|route| route.slug.clone()).unwrap_or_default(),
                plan: one
                    .route
                    .map(|route| format!("plans/{}", route.plan))
                    .unwrap_or_default(),
                usage: Some(point(span.start, &one.usage)),
            });
            Ok(ListTenantUsageResponse {
                tenant_usages: tenant_usages.collect(),
                next_page_token: next,
            })
        })
        .await
    }

    async fn list_service_health(
        &self,
        request: Request<ListServiceHealthRequest>,
    ) -> Result<Response<ListServiceHealthResponse>, Status> {
        unary(request, async |ctx: Ctx, _: ListServiceHealthRequest| {
            let services = self.0.health(&ctx).await?;
            Ok(ListServiceHealthResponse {
                services: services.into_iter().map(health).collect(),
            })
        })
        .await
    }

    async fn list_alerts(&self, request: Request<ListAlertsRequest>) -> Result<Response<ListAlertsResponse>, Status> {
        unary(request, async |ctx: Ctx, message: ListAlertsRequest| {
            let query = page(message.page_size, message.page_token);
            let Page { items, next } = self.0.alerts(&ctx, ALERTS, &query).await?;
            Ok(ListAlertsResponse {
                alerts: items.into_iter().map(alert).collect(),
                next_page_token: next,
            })
        })
        .await
    }

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        unary(request, async |ctx: Ctx, message: ListEventsRequest| {
            let tenant = tenant(&message.tenant)?;
            let query = page(message.page_size, message.page_token);
            let Page { items, next } = self.0.events(&ctx, EVENTS, &query, tenant).await?;
            Ok(ListEventsResponse {
                events: items.into_iter().map(event).collect(),
                next_page_token: next,
            })
        })
        .await
    }
}

fn page(page_size: i32, page_token: String) -> Query {
    Query { page_size, page_token }
}

fn tenant(name: &str) -> Result<Option<TenantId>, Error> {
    if name.is_empty() {
        return Ok(None);
    }
    let id = name.strip_prefix("tenants/").and_then(|id| id.parse().ok());
    id.map(Some)
        .ok_or_else(|| Error::invalid_field("tenant", "must be tenants/{tenant_id}"))
}
