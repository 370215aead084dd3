//! The services that backup moves data between, called by its own identity.

use std::sync::Arc;
use tenantry_api::{
    auth::{GetContactRequest, GetContactResponse, directory_service_client::DirectoryServiceClient},
    business::{
        ExportDataRequest, ExportDataResponse, RestoreDataRequest, RestoreDataResponse, RestoreTarget,
        data_service_client::DataServiceClient, restore_data_request::Message,
    },
    registry::{
        CreateCloneRequest, CreateCloneResponse, DiscardCloneRequest, GetCloneRequest, GetCloneResponse,
        clone_service_client::CloneServiceClient,
    },
};
use tenantry_config::Identity;
use tenantry_kernel::{DbContext, Error, Reason, Result, TenantId};
use tenantry_server::{Peers, error_of};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming, metadata::MetadataValue, transport::Channel};
use uuid::Uuid;

/// A data row message is at most 1 MiB, or one row of any length that a record may have.
const MOST_MESSAGE: usize = 64 * 1024 * 1024;

/// Clients of the other services.
#[derive(Clone)]
pub struct Clients {
    peers: Peers,
    business: Channel,
    registry: Channel,
    auth: Channel,
    identity: Identity,
}

impl Clients {
    /// Over channels that connect when first used.
    #[must_use]
    pub fn new(peers: Peers, business: Channel, registry: Channel, auth: Channel, identity: Identity) -> Self {
        Self {
            peers,
            business,
            registry,
            auth,
            identity,
        }
    }
    /// A signed context of `tenant` for this service's login.
    ///
    /// # Errors
    /// See [`Peers::database_context`].
    pub async fn database_context(&self, tenant: TenantId) -> Result<DbContext> {
        self.peers.database_context(tenant, "backup").await
    }
    /// Forgets keys and contexts of a tenant that is gone.
    pub fn forget(&self, tenant: TenantId) {
        self.peers.forget(tenant);
    }
    /// Everything a tenant has; for a `restore` that will replace it, held from then on.
    ///
    /// # Errors
    /// What business answered.
    pub async fn export(&self, tenant: TenantId, restore: Option<Uuid>) -> Result<Streaming<ExportDataResponse>> {
        let message = ExportDataRequest {
            tenant_id: tenant.to_string(),
            restore_id: restore.map(|id| id.to_string()).unwrap_or_default(),
        };
        let request = self.authorized(message, "business", Some(tenant)).await?;
        let mut client = DataServiceClient::new(self.business.clone()).max_decoding_message_size(MOST_MESSAGE);
        let answer = client.export_data(request).await.map_err(|status| error_of(&status))?;
        Ok(answer.into_inner())
    }
    /// Puts data in the place of a tenant's.
    ///
    /// # Errors
    /// What business answered.
    pub async fn restore(
        &self,
        tenant: TenantId,
        parts: ReceiverStream<RestoreDataRequest>,
    ) -> Result<RestoreDataResponse> {
        let request = self.authorized(parts, "business", Some(tenant)).await?;
        let mut client = DataServiceClient::new(self.business.clone()).max_encoding_message_size(MOST_MESSAGE);
        let answer = client.restore_data(request).await.map_err(|status| error_of(&status))?;
        Ok(answer.into_inner())
    }
    /// What a restore has done, if it is done. If not, business has given it up when this answers: what was on its way
    /// replaces nothing any more, and the tenant is not held for it.
    ///
    /// # Errors
    /// `UNAVAILABLE` and the like, where nothing is known.
    pub async fn restored(&self, tenant: TenantId, restore: Uuid) -> Result<Option<RestoreDataResponse>> {
        let target = RestoreTarget {
            tenant_id: tenant.to_string(),
            restore_id: restore.to_string(),
        };
        let (sender, receiver) = mpsc::channel(1);
        let request = RestoreDataRequest {
            message: Some(Message::Target(target)),
        };
        sender.send(request).await.map_err(Error::internal)?;
        // Nothing follows: a restore that is not done breaks off.
        drop(sender);
        match self.restore(tenant, ReceiverStream::new(receiver)).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.reason() == Reason::MalformedRequest => Ok(None),
            Err(error) => Err(error),
        }
    }
    /// Starts a new tenant.
    ///
    /// # Errors
    /// What the registry answered.
    pub async fn create_clone(&self, message: CreateCloneRequest) -> Result<CreateCloneResponse> {
        let request = self.authorized(message, "registry", None).await?;
        let answer = CloneServiceClient::new(self.registry.clone())
            .create_clone(request)
            .await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| error_of(&status))
    }
    /// How far a new tenant is.
    ///
    /// # Errors
    /// What the registry answered.
    pub async fn get_clone(&self, clone_id: &str) -> Result<GetCloneResponse> {
        let message = GetCloneRequest {
            clone_id: clone_id.to_owned(),
        };
        let request = self.authorized(message, "registry", None).await?;
        let answer = CloneServiceClient::new(self.registry.clone()).get_clone(request).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| error_of(&status))
    }
    /// Takes a new tenant back; whether nothing is left of it.
    ///
    /// # Errors
    /// What the registry answered.
    pub async fn discard_clone(&self, clone_id: &str) -> Result<bool> {
        let message = DiscardCloneRequest {
            clone_id: clone_id.to_owned(),
        };
        let request = self.authorized(message, "registry", None).await?;
        let answer = CloneServiceClient::new(self.registry.clone())
            .discard_clone(request)
            .await;
        answer
            .map(|answer| answer.into_inner().gone)
            .map_err(|status| error_of(&status))
    }
    /// Who a member is.
    ///
    /// # Errors
    /// `NOT_FOUND` for one who is no active member (any more).
    pub async fn contact(&self, tenant: TenantId, user: Uuid) -> Result<GetContactResponse> {
        let credentials = tenantry_server::service_credentials(&self.identity)?;
        let message = GetContactRequest {
            tenant_id: tenant.to_string(),
            user_id: user.to_string(),
        };
        let mut client = DirectoryServiceClient::with_interceptor(self.auth.clone(), credentials);
        let answer = client.get_contact(message).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| error_of(&status))
    }

    async fn authorized<T>(&self, message: T, audience: &'static str, tenant: Option<TenantId>) -> Result<Request<T>> {
        let token: Arc<str> = self.peers.service_token(audience, tenant).await?;
        let mut value: MetadataValue<_> = format!("Bearer {token}").parse().map_err(Error::internal)?;
        value.set_sensitive(true);
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients(..)")
    }
}
