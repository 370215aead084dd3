//! UsageService.

use super::convert::{point, stamp, step, time};
use crate::{
    app::usage::{Asked, QuotaUse, UsageApp},
    domain::quota,
};
use tenantry_api::monitoring::{GetUsageRequest, GetUsageResponse, Quota, usage_service_server::UsageService};
use tenantry_kernel::Ctx;
use tenantry_server::unary;
use tonic::{Request, Response, Status};

/// See the module.
pub struct UsageRpc(UsageApp);

impl UsageRpc {
    /// Over the app.
    #[must_use]
    pub fn new(app: UsageApp) -> Self {
        Self(app)
    }
}

#[tonic::async_trait]
impl UsageService for UsageRpc {
    async fn get_usage(&self, request: Request<GetUsageRequest>) -> Result<Response<GetUsageResponse>, Status> {
        unary(request, async |ctx: Ctx, message: GetUsageRequest| {
            let asked = Asked {
                start: time("start_time", message.start_time)?,
                end: time("end_time", message.end_time)?,
                step: step(message.step)?,
            };
            let report = self.0.get(&ctx, asked).await?;
            Ok(GetUsageResponse {
                total: Some(point(report.span.start, &report.total)),
                points: report.steps.iter().map(|(start, usage)| point(*start, usage)).collect(),
                quotas: vec![quota_of(report.quota)],
                plan: format!("plans/{}", report.plan),
            })
        })
        .await
    }
}

fn quota_of(of: QuotaUse) -> Quota {
    Quota {
        limit: quota::LIMIT.to_owned(),
        used: of.used,
        allowed: i64::try_from(of.allowed).unwrap_or(i64::MAX),
        reset_time: Some(stamp(of.reset)),
        exceeded: quota::is_exceeded(of.allowed, of.used),
    }
}
