//! SessionService.

use super::convert;
use crate::app::sessions::Sessions;
use tenantry_api::auth::{self as proto, session_service_server::SessionService};
use tenantry_server::unary;
use tonic::{Request, Response, Status};

/// See the module.
pub struct SessionRpc(pub Sessions);

#[tonic::async_trait]
impl SessionService for SessionRpc {
    async fn get_current_session(
        &self,
        request: Request<proto::GetCurrentSessionRequest>,
    ) -> Result<Response<proto::GetCurrentSessionResponse>, Status> {
        unary(request, async |ctx, _| {
            let current = self.0.current(&ctx).await?;
            let route = ctx.route()?;
            Ok(proto::GetCurrentSessionResponse {
                session: current.session.map(convert::session),
                user: Some(convert::user(current.user)),
                tenant_id: route.tenant.to_string(),
                tenant_slug: route.slug.clone(),
                tenant_display_name: route.display_name.clone(),
                scopes: ctx.principal().scopes.clone(),
            })
        })
        .await
    }

    async fn list_sessions(
        &self,
        request: Request<proto::ListSessionsRequest>,
    ) -> Result<Response<proto::ListSessionsResponse>, Status> {
        unary(request, async |ctx, message: proto::ListSessionsRequest| {
            let page = self.0.list(&ctx, message.page_size, &message.page_token).await?;
            Ok(proto::ListSessionsResponse {
                sessions: page.items.into_iter().map(convert::session).collect(),
                next_page_token: page.next,
            })
        })
        .await
    }

    async fn revoke_session(
        &self,
        request: Request<proto::RevokeSessionRequest>,
    ) -> Result<Response<proto::RevokeSessionResponse>, Status> {
        unary(request, async |ctx, message: proto::RevokeSessionRequest| {
            self.0
                .revoke(&ctx, convert::id_of("sessions", &message.name)?, &message.request_id)
                .await?;
            Ok(proto::RevokeSessionResponse {})
        })
        .await
    }

    async fn revoke_other_sessions(
        &self,
        request: Request<proto::RevokeOtherSessionsRequest>,
    ) -> Result<Response<proto::RevokeOtherSessionsResponse>, Status> {
        unary(request, async |ctx, message: proto::RevokeOtherSessionsRequest| {
            let revoked_count = self.0.revoke_others(&ctx, &message.request_id).await?;
            Ok(proto::RevokeOtherSessionsResponse { revoked_count })
        })
        .await
    }
}
