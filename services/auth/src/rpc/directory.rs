//! DirectoryService: for our own services only.

use super::tokens::tenant;
use crate::app::directory::Directory;
use tenantry_api::auth::{self as proto, directory_service_server::DirectoryService};
use tenantry_kernel::{Error, UserId};
use tenantry_server::unary;
use tonic::{Request, Response, Status};

/// See the module.
pub struct DirectoryRpc(pub Directory);

#[tonic::async_trait]
impl DirectoryService for DirectoryRpc {
    async fn get_contact(
        &self,
        request: Request<proto::GetContactRequest>,
    ) -> Result<Response<proto::GetContactResponse>, Status> {
        unary(request, async |ctx, message: proto::GetContactRequest| {
            let tenant = tenant(&message.tenant_id)?.ok_or_else(|| Error::invalid_field("tenant_id", "is required"))?;
            let user: UserId = message
                .user_id
                .parse()
                .map_err(|_| Error::invalid_field("user_id", "must be a UUID"))?;
            let found = self.0.contact(&ctx, tenant, user).await?;
            Ok(proto::GetContactResponse {
                email: found.email.as_str().to_owned(),
                display_name: found.display_name,
                role: found.role.as_str().to_owned(),
            })
        })
        .await
    }
}
