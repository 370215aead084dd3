//! UserService.

use super::convert;
use crate::{
    app::users::{Change, Invite, Users},
    domain::Email,
};
use tenantry_api::auth::{self as proto, user_service_server::UserService};
use tenantry_kernel::{Error, Reason, Result};
use tenantry_server::unary;
use tonic::{Request, Response, Status};

/// See the module.
pub struct UserRpc(pub Users);

fn required(user: Option<proto::User>) -> Result<proto::User> {
    user.ok_or_else(|| Error::invalid_field("user", "is required"))
}

/// Without a mask every field that is set is written.
fn change(message: proto::UpdateUserRequest) -> Result<Change> {
    let user = required(message.user)?;
    let id = convert::id_of("users", &user.name)?;
    let paths = message.update_mask.map(|mask| mask.paths).unwrap_or_default();
    let role = convert::optional_role("user.role", user.role)?;
    if paths.is_empty() {
        let display_name = (!user.display_name.is_empty()).then_some(user.display_name);
        return Ok(Change {
            id,
            display_name,
            role,
            etag: user.etag,
        });
    }
    let mut change = Change {
        id,
        display_name: None,
        role: None,
        etag: user.etag,
    };
    for path in paths {
        match path.as_str() {
            "display_name" => change.display_name = Some(user.display_name.clone()),
            "role" => change.role = Some(convert::role_in("user.role", user.role)?),
            other => {
                let text = format!("{other}: can be display_name or role");
                return Err(
                    Error::new(Reason::UnknownField, text).field("update_mask", "can name display_name and role")
                );
            }
        }
    }
    Ok(change)
}

#[tonic::async_trait]
impl UserService for UserRpc {
    async fn create_user(
        &self,
        request: Request<proto::CreateUserRequest>,
    ) -> Result<Response<proto::CreateUserResponse>, Status> {
        unary(request, async |ctx, message: proto::CreateUserRequest| {
            let user = required(message.user)?;
            let invite = Invite {
                email: Email::parse("user.email", &user.email)?,
                display_name: user.display_name,
                role: convert::role_in("user.role", user.role)?,
            };
            let (user, invite_uri) = self.0.create(&ctx, invite, &message.request_id).await?;
            Ok(proto::CreateUserResponse {
                user: Some(convert::user(user)),
                invite_uri,
            })
        })
        .await
    }

    async fn get_user(
        &self,
        request: Request<proto::GetUserRequest>,
    ) -> Result<Response<proto::GetUserResponse>, Status> {
        unary(request, async |ctx, message: proto::GetUserRequest| {
            let user = self.0.get(&ctx, convert::id_of("users", &message.name)?).await?;
            Ok(proto::GetUserResponse {
                user: Some(convert::user(user)),
            })
        })
        .await
    }

    async fn list_users(
        &self,
        request: Request<proto::ListUsersRequest>,
    ) -> Result<Response<proto::ListUsersResponse>, Status> {
        unary(request, async |ctx, message: proto::ListUsersRequest| {
            let page = self.0.list(&ctx, message.page_size, &message.page_token).await?;
            Ok(proto::ListUsersResponse {
                users: page.items.into_iter().map(convert::user).collect(),
                next_page_token: page.next,
            })
        })
        .await
    }

    async fn update_user(
        &self,
        request: Request<proto::UpdateUserRequest>,
    ) -> Result<Response<proto::UpdateUserResponse>, Status> {
        unary(request, async |ctx, mut message: proto::UpdateUserRequest| {
            let request_id = std::mem::take(&mut message.request_id);
            let user = self.0.update(&ctx, change(message)?, &request_id).await?;
            Ok(proto::UpdateUserResponse {
                user: Some(convert::user(user)),
            })
        })
        .await
    }

    async fn disable_user(
        &self,
        request: Request<proto::DisableUserRequest>,
    ) -> Result<Response<proto::DisableUserResponse>, Status> {
        unary(request, async |ctx, message: proto::DisableUserRequest| {
            let user = self
                .0
                .disable(&ctx, convert::id_of("users", &message.name)?, &message.request_id)
                .await?;
            Ok(proto::DisableUserResponse {
                user: Some(convert::user(user)),
            })
        })
        .await
    }

    async fn enable_user(
        &self,
        request: Request<proto::EnableUserRequest>,
    ) -> Result<Response<proto::EnableUserResponse>, Status> {
        unary(request, async |ctx, message: proto::EnableUserRequest| {
            let user = self
                .0
                .enable(&ctx, convert::id_of("users", &message.name)?, &message.request_id)
                .await?;
            Ok(proto::EnableUserResponse {
                user: Some(convert::user(user)),
            })
        })
        .await
    }

    async fn delete_user(
        &self,
        request: Request<proto::DeleteUserRequest>,
    ) -> Result<Response<proto::DeleteUserResponse>, Status> {
        unary(request, async |ctx, message: proto::DeleteUserRequest| {
            self.0
                .delete(
                    &ctx,
                    convert::id_of("users", &message.name)?,
                    &message.etag,
                    &message.request_id,
                )
                .await?;
            Ok(proto::DeleteUserResponse {})
        })
        .await
    }

    async fn create_reset_link(
        &self,
        request: Request<proto::CreateResetLinkRequest>,
    ) -> Result<Response<proto::CreateResetLinkResponse>, Status> {
        unary(request, async |ctx, message: proto::CreateResetLinkRequest| {
            let reset_uri = self
                .0
                .create_reset_link(&ctx, convert::id_of("users", &message.name)?, &message.request_id)
                .await?;
            Ok(proto::CreateResetLinkResponse { reset_uri })
        })
        .await
    }
}
