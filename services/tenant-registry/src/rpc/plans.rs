//! PlanService.

use super::{convert, once};
use crate::{
    app::{PlanApp, PlanChange, Query},
    domain::Plan,
};
use tenantry_api::registry::{
    CreatePlanRequest, CreatePlanResponse, GetPlanRequest, GetPlanResponse, ListPlansRequest, ListPlansResponse,
    UpdatePlanRequest, UpdatePlanResponse, plan_service_server::PlanService,
};
use tenantry_kernel::{Ctx, Error};
use tenantry_server::unary;
use tonic::{Request, Response, Status};

const CREATE: &str = "tenantry.registry.v1.PlanService/CreatePlan";
const LIST: &str = "tenantry.registry.v1.PlanService/ListPlans";
const UPDATE: &str = "tenantry.registry.v1.PlanService/UpdatePlan";

/// See the module.
pub struct PlanRpc {
    plans: PlanApp,
}

impl PlanRpc {
    /// Over the app.
    #[must_use]
    pub fn new(plans: PlanApp) -> Self {
        Self { plans }
    }
}

#[tonic::async_trait]
impl PlanService for PlanRpc {
    async fn create_plan(&self, request: Request<CreatePlanRequest>) -> Result<Response<CreatePlanResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: CreatePlanRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(CREATE, &key, &message)?;
            let plan = message
                .plan
                .ok_or_else(|| Error::invalid_field("plan", "is required"))?;
            let plan = Plan {
                id: convert::plan_name("plan.name", &plan.name)?,
                display_name: plan.display_name,
                limits: convert::limits(plan.limits.unwrap_or_default()),
                features: plan.features.into_iter().collect(),
                version: 1,
            };
            let plan = self.plans.create(&ctx, plan, &once).await?;
            Ok(CreatePlanResponse {
                plan: Some(convert::plan(&plan)),
            })
        })
        .await
    }

    async fn get_plan(&self, request: Request<GetPlanRequest>) -> Result<Response<GetPlanResponse>, Status> {
        unary(request, async |ctx: Ctx, message: GetPlanRequest| {
            let plan = self
                .plans
                .get(&ctx, &convert::plan_name("name", &message.name)?)
                .await?;
            Ok(GetPlanResponse {
                plan: Some(convert::plan(&plan)),
            })
        })
        .await
    }

    async fn list_plans(&self, request: Request<ListPlansRequest>) -> Result<Response<ListPlansResponse>, Status> {
        unary(request, async |ctx: Ctx, message: ListPlansRequest| {
            let query = Query {
                page_size: message.page_size,
                page_token: message.page_token,
            };
            let page = self.plans.list(&ctx, LIST, &query).await?;
            Ok(ListPlansResponse {
                plans: page.items.iter().map(convert::plan).collect(),
                next_page_token: page.next,
            })
        })
        .await
    }

    async fn update_plan(&self, request: Request<UpdatePlanRequest>) -> Result<Response<UpdatePlanResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: UpdatePlanRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(UPDATE, &key, &message)?;
            let plan = message
                .plan
                .ok_or_else(|| Error::invalid_field("plan", "is required"))?;
            let id = convert::plan_name("plan.name", &plan.name)?;
            let known = [
                ("display_name", !plan.display_name.is_empty()),
                ("limits", plan.limits.is_some()),
                ("features", !plan.features.is_empty()),
            ];
            let fields = convert::masked(message.update_mask, &known)?;
            let change = PlanChange {
                display_name: fields.contains("display_name").then_some(plan.display_name),
                limits: fields
                    .contains("limits")
                    .then(|| convert::limits(plan.limits.unwrap_or_default())),
                features: fields.contains("features").then(|| plan.features.into_iter().collect()),
                etag: plan.etag,
            };
            let plan = self.plans.update(&ctx, &id, change, &once).await?;
            Ok(UpdatePlanResponse {
                plan: Some(convert::plan(&plan)),
            })
        })
        .await
    }
}
