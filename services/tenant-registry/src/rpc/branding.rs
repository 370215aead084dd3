//! BrandingService.

use super::{convert, once};
use crate::app::{BrandingApp, BrandingChange, Query};
use prost_types::FieldMask;
use tenantry_api::registry::{
    Branding, DiscardBrandingDraftRequest, DiscardBrandingDraftResponse, GetBrandingDraftRequest,
    GetBrandingDraftResponse, GetBrandingRequest, GetBrandingResponse, ListBrandingRevisionsRequest,
    ListBrandingRevisionsResponse, PublishBrandingRequest, PublishBrandingResponse, RollbackBrandingRequest,
    RollbackBrandingResponse, UpdateBrandingDraftRequest, UpdateBrandingDraftResponse, UpdateBrandingRequest,
    UpdateBrandingResponse, branding_service_server::BrandingService,
};
use tenantry_kernel::{Ctx, Error, Result as KernelResult};
use tenantry_server::unary;
use tonic::{Request, Response, Status};

const UPDATE: &str = "tenantry.registry.v1.BrandingService/UpdateBranding";
const UPDATE_DRAFT: &str = "tenantry.registry.v1.BrandingService/UpdateBrandingDraft";
const PUBLISH: &str = "tenantry.registry.v1.BrandingService/PublishBranding";
const DISCARD: &str = "tenantry.registry.v1.BrandingService/DiscardBrandingDraft";
const LIST: &str = "tenantry.registry.v1.BrandingService/ListBrandingRevisions";
const ROLLBACK: &str = "tenantry.registry.v1.BrandingService/RollbackBranding";

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
            let change = change(message.branding, message.update_mask)?;
            let stored = self.branding.update(&ctx, change, &once).await?;
            Ok(UpdateBrandingResponse {
                branding: Some(convert::branding(&stored)),
            })
        })
        .await
    }
    async fn get_branding_draft(
        &self,
        request: Request<GetBrandingDraftRequest>,
    ) -> Result<Response<GetBrandingDraftResponse>, Status> {
        unary(request, async |ctx: Ctx, _: GetBrandingDraftRequest| {
            Ok(GetBrandingDraftResponse {
                branding: Some(convert::branding(&self.branding.draft(&ctx).await?)),
            })
        })
        .await
    }

    async fn update_branding_draft(
        &self,
        request: Request<UpdateBrandingDraftRequest>,
    ) -> Result<Response<UpdateBrandingDraftResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: UpdateBrandingDraftRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(UPDATE_DRAFT, &key, &message)?;
            let change = change(message.branding, message.update_mask)?;
            let stored = self.branding.update_draft(&ctx, change, &once).await?;
            Ok(UpdateBrandingDraftResponse {
                branding: Some(convert::branding(&stored)),
            })
        })
        .await
    }

    async fn publish_branding(
        &self,
        request: Request<PublishBrandingRequest>,
    ) -> Result<Response<PublishBrandingResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: PublishBrandingRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(PUBLISH, &key, &message)?;
            let stored = self.branding.publish(&ctx, &message.etag, &once).await?;
            Ok(PublishBrandingResponse {
                branding: Some(convert::branding(&stored)),
            })
        })
        .await
    }

    async fn discard_branding_draft(
        &self,
        request: Request<DiscardBrandingDraftRequest>,
    ) -> Result<Response<DiscardBrandingDraftResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: DiscardBrandingDraftRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(DISCARD, &key, &message)?;
            let shown = self.branding.discard(&ctx, &message.etag, &once).await?;
            Ok(DiscardBrandingDraftResponse {
                branding: Some(convert::branding(&shown)),
            })
        })
        .await
    }

    async fn list_branding_revisions(
        &self,
        request: Request<ListBrandingRevisionsRequest>,
    ) -> Result<Response<ListBrandingRevisionsResponse>, Status> {
        unary(request, async |ctx: Ctx, message: ListBrandingRevisionsRequest| {
            let query = Query {
                page_size: message.page_size,
                page_token: message.page_token,
            };
            let page = self.branding.revisions(&ctx, LIST, &query).await?;
            Ok(ListBrandingRevisionsResponse {
                branding_revisions: page.items.iter().map(convert::revision).collect(),
                next_page_token: page.next,
            })
        })
        .await
    }

    async fn rollback_branding(
        &self,
        request: Request<RollbackBrandingRequest>,
    ) -> Result<Response<RollbackBrandingResponse>, Status> {
        unary(request, async |ctx: Ctx, mut message: RollbackBrandingRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(ROLLBACK, &key, &message)?;
            if message.revision < 1 {
                return Err(Error::invalid_field("revision", "must be the number of a revision"));
            }
            let stored = self.branding.rollback(&ctx, message.revision, &once).await?;
            Ok(RollbackBrandingResponse {
                branding: Some(convert::branding(&stored)),
            })
        })
        .await
    }
}

/// What a request changes.
fn change(new: Option<Branding>, mask: Option<FieldMask>) -> KernelResult<BrandingChange> {
    let new = new.ok_or_else(|| Error::invalid_field("branding", "is required"))?;
    let known = [
        ("display_name", !new.display_name.is_empty()),
        ("primary_color", !new.primary_color.is_empty()),
        ("support_uri", !new.support_uri.is_empty()),
        ("theme_mode", new.theme_mode != 0),
    ];
    let fields = convert::masked(mask, &known)?;
    let mode = convert::theme_mode(new.theme_mode);
    Ok(BrandingChange {
        display_name: fields.contains("display_name").then_some(new.display_name),
        primary_color: fields.contains("primary_color").then_some(new.primary_color),
        support_uri: fields.contains("support_uri").then_some(new.support_uri),
        theme_mode: fields.contains("theme_mode").then_some(mode),
        etag: new.etag,
    })
}
