//! LoginService.

use super::convert;
use crate::{
    app::{
        access,
        links::Links,
        login::{Login, SignIn},
        refresh::Refresh,
    },
    domain::SessionKind,
};
use chrono::Duration;
use tenantry_api::auth::{self as proto, login_service_server::LoginService};
use tenantry_kernel::Error;
use tenantry_server::unary;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

/// See the module.
pub struct LoginRpc {
    /// Sign-in and sign-out.
    pub login: Login,
    /// Rotation.
    pub refresh: Refresh,
    /// One-time links.
    pub links: Links,
}

#[tonic::async_trait]
impl LoginService for LoginRpc {
    async fn sign_in(&self, request: Request<proto::SignInRequest>) -> Result<Response<proto::SignInResponse>, Status> {
        unary(request, async |ctx, message: proto::SignInRequest| {
            let kind = match proto::SignInMode::try_from(message.mode) {
                Ok(proto::SignInMode::Unspecified | proto::SignInMode::Tokens) => SessionKind::Tokens,
                Ok(proto::SignInMode::Session) => SessionKind::Browser,
                Err(_) => {
                    return Err(Error::invalid_field(
                        "mode",
                        "must be SIGN_IN_MODE_TOKENS or SIGN_IN_MODE_SESSION",
                    ));
                }
            };
            let password = Zeroizing::new(message.password);
            let request = SignIn {
                email: message.email,
                password,
                kind,
                user_agent: message.user_agent,
            };
            let done = self.login.sign_in(&ctx, request).await?;
            let (access_token, refresh_token) = done.tokens.map(|pair| (pair.access, pair.refresh)).unwrap_or_default();
            Ok(proto::SignInResponse {
                access_token,
                refresh_token,
                expires_in: Some(convert::duration(done.expires_in)),
                session_token: done.session_token.unwrap_or_default(),
                user: Some(convert::user(done.user)),
            })
        })
        .await
    }

    async fn refresh_token(
        &self,
        request: Request<proto::RefreshTokenRequest>,
    ) -> Result<Response<proto::RefreshTokenResponse>, Status> {
        unary(request, async |ctx, message: proto::RefreshTokenRequest| {
            let pair = self.refresh.refresh(&ctx, &message.refresh_token).await?;
            let expires_in = Some(convert::duration(Duration::seconds(access::LIFETIME_SECONDS)));
            Ok(proto::RefreshTokenResponse {
                access_token: pair.access,
                refresh_token: pair.refresh,
                expires_in,
            })
        })
        .await
    }

    async fn accept_link(
        &self,
        request: Request<proto::AcceptLinkRequest>,
    ) -> Result<Response<proto::AcceptLinkResponse>, Status> {
        unary(request, async |ctx, message: proto::AcceptLinkRequest| {
            let user = self
                .links
                .accept(&ctx, &message.link_token, Zeroizing::new(message.password))
                .await?;
            Ok(proto::AcceptLinkResponse {
                user: Some(convert::user(user)),
            })
        })
        .await
    }

    async fn get_jwks(
        &self,
        request: Request<proto::GetJwksRequest>,
    ) -> Result<Response<proto::GetJwksResponse>, Status> {
        unary(request, async |ctx, _| {
            let keys = self.login.jwks(&ctx).await?;
            Ok(proto::GetJwksResponse {
                keys: keys.into_iter().map(convert::jwk).collect(),
            })
        })
        .await
    }

    async fn sign_out(
        &self,
        request: Request<proto::SignOutRequest>,
    ) -> Result<Response<proto::SignOutResponse>, Status> {
        unary(request, async |ctx, _| {
            self.login.sign_out(&ctx).await?;
            Ok(proto::SignOutResponse {})
        })
        .await
    }
}
