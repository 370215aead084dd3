//! ApiKeyService.

use super::convert;
use crate::app::api_keys::{ApiKeys, NewKey};
use tenantry_api::auth::{self as proto, api_key_service_server::ApiKeyService};
use tenantry_kernel::Error;
use tenantry_server::unary;
use tonic::{Request, Response, Status};

/// See the module.
pub struct ApiKeyRpc(pub ApiKeys);

#[tonic::async_trait]
impl ApiKeyService for ApiKeyRpc {
    async fn create_api_key(
        &self,
        request: Request<proto::CreateApiKeyRequest>,
    ) -> Result<Response<proto::CreateApiKeyResponse>, Status> {
        unary(request, async |ctx, message: proto::CreateApiKeyRequest| {
            let key = message
                .api_key
                .ok_or_else(|| Error::invalid_field("api_key", "is required"))?;
            let expire_time = key
                .expire_time
                .map(|at| convert::moment("api_key.expire_time", at))
                .transpose()?;
            let new = NewKey {
                display_name: key.display_name,
                scopes: key.scopes,
                expire_time,
            };
            let (key, secret) = self.0.create(&ctx, new, &message.request_id).await?;
            Ok(proto::CreateApiKeyResponse {
                api_key: Some(convert::api_key(key)),
                secret,
            })
        })
        .await
    }

    async fn get_api_key(
        &self,
        request: Request<proto::GetApiKeyRequest>,
    ) -> Result<Response<proto::GetApiKeyResponse>, Status> {
        unary(request, async |ctx, message: proto::GetApiKeyRequest| {
            let key = self.0.get(&ctx, convert::id_of("apiKeys", &message.name)?).await?;
            Ok(proto::GetApiKeyResponse {
                api_key: Some(convert::api_key(key)),
            })
        })
        .await
    }

    async fn list_api_keys(
        &self,
        request: Request<proto::ListApiKeysRequest>,
    ) -> Result<Response<proto::ListApiKeysResponse>, Status> {
        unary(request, async |ctx, message: proto::ListApiKeysRequest| {
            let page = self.0.list(&ctx, message.page_size, &message.page_token).await?;
            Ok(proto::ListApiKeysResponse {
                api_keys: page.items.into_iter().map(convert::api_key).collect(),
                next_page_token: page.next,
            })
        })
        .await
    }

    async fn delete_api_key(
        &self,
        request: Request<proto::DeleteApiKeyRequest>,
    ) -> Result<Response<proto::DeleteApiKeyResponse>, Status> {
        unary(request, async |ctx, message: proto::DeleteApiKeyRequest| {
            self.0
                .delete(&ctx, convert::id_of("apiKeys", &message.name)?, &message.request_id)
                .await?;
            Ok(proto::DeleteApiKeyResponse {})
        })
        .await
    }
}
