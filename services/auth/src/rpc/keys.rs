//! KeyService.

use super::tokens::tenant;
use crate::app::services::Services;
use tenantry_api::auth::{self as proto, key_service_server::KeyService};
use tenantry_kernel::Error;
use tenantry_server::unary;
use tonic::{Request, Response, Status};

/// See the module.
pub struct KeyRpc(pub Services);

#[tonic::async_trait]
impl KeyService for KeyRpc {
    async fn get_data_key(
        &self,
        request: Request<proto::GetDataKeyRequest>,
    ) -> Result<Response<proto::GetDataKeyResponse>, Status> {
        unary(request, async |ctx, message: proto::GetDataKeyRequest| {
            let tenant = tenant(&message.tenant_id)?.ok_or_else(|| Error::invalid_field("tenant_id", "is required"))?;
            let (version, key) = self.0.data_key(&ctx, tenant, &message.purpose, message.version).await?;
            Ok(proto::GetDataKeyResponse {
                key: key.expose().to_vec(),
                version,
            })
        })
        .await
    }
}
