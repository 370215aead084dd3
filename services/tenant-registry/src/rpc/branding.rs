//! BrandingService.

use super::{convert, once};
use crate::app::{BrandingApp, BrandingChange};
use tenantry_api::registry::{
    GetBrandingRequest, GetBrandingResponse, UpdateBrandingRequest, UpdateBrandingResponse,
    branding_service_server::BrandingService,
};
use tenantry_kernel::{Ctx, Error};
use tenantry_server::unary;
use tonic::{Request, Response, Status};

const UPDATE: &str = "tenantry.registry.v1.BrandingService/UpdateBranding";

/// See the module.
pub struct BrandingRpc {
    branding: BrandingApp,
}

impl BrandingRpc {
    /// Over the app.
    #[must_use]
    pub fn new(branding: BrandingApp) -> Self {
        Self { branding }
    }
}

#[tonic::async_trait]
impl BrandingService for BrandingRpc {
    async fn get_branding(
        &self,
        request: Request<GetBrandingRequest>,
    ) -> Result<Response<GetBrandingResponse>, Status> {
        unary(request, async |ctx: Ctx, _: GetBrandingRequest| {
            Ok(GetBrandingResponse {
                branding: Some(convert::branding(&self.branding.get(&ctx).await?)),
            })
        })
        .await
    }

    async fn update_branding(
        &self,
        request: Request<UpdateBrandingRequest>,
    ) -> Result<Response<UpdateBrandingResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: UpdateBrandingRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(UPDATE, &key, &message)?;
            let new = message
                .branding
                .ok_or_else(|| Error::invalid_field("branding", "is required"))?;
            let known = [
                ("display_name", !new.display_name.is_empty()),
                ("primary_color", !new.primary_color.is_empty()),
                ("support_uri", !new.support_uri.is_empty()),
            ];
            let fields = convert::masked(message.update_mask, &known)?;
            let change = BrandingChange {
                display_name: fields.contains("display_name").then_some(new.display_name),
                primary_color: fields.contains("primary_color").then_some(new.primary_color),
                support_uri: fields.contains("support_uri").then_some(new.support_uri),
                etag: new.etag,
            };
            let stored = self.branding.update(&ctx, change, &once).await?;
            Ok(UpdateBrandingResponse {
                branding: Some(convert::branding(&stored)),
            })
        })
        .await
    }
}
