//! Business's DataService, called directly as another service would.

use tenantry_api::{
    auth::{IssueServiceTokenRequest, token_service_client::TokenServiceClient},
    business::{
        DataPart, ExportDataRequest, RestoreDataRequest, RestoreDataResponse, RestoreTarget,
        data_service_client::DataServiceClient, restore_data_request::Message,
    },
};
use tenantry_testkit::World;
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};

/// Calls of one service.
pub struct Data<'w> {
    world: &'w World,
    service: &'static str,
}

impl<'w> Data<'w> {
    /// In the name of `service`, with its real secret.
    #[must_use]
    pub fn of(world: &'w World, service: &'static str) -> Self {
        Self { world, service }
    }

    fn channel(&self, service: &str) -> Channel {
        Endpoint::from_shared(self.world.grpc_urls[service].clone())
            .expect("a URL")
            .connect_lazy()
    }

    /// A transaction token that names the service itself, and no tenant.
    ///
    /// # Errors
    /// What auth answered.
    pub async fn token(&self) -> Result<String, Status> {
        self.token_of("").await
    }

    /// A transaction token that names the service itself, for a tenant's data.
    ///
    /// # Errors
    /// What auth answered.
    pub async fn token_of(&self, tenant: &str) -> Result<String, Status> {
        let mut request = Request::new(IssueServiceTokenRequest {
            audience: "business".to_owned(),
            tenant_id: tenant.to_owned(),
        });
        let headers = request.metadata_mut();
        headers.insert("x-tenantry-service", self.service.parse().expect("a word"));
        let secret = self.world.service_secrets[self.service].parse().expect("hexadecimal");
        headers.insert("x-tenantry-service-secret", secret);
        let answer = TokenServiceClient::new(self.channel("auth"))
            .issue_service_token(request)
            .await?;
        Ok(answer.into_inner().transaction_token)
    }

    /// Everything a tenant has.
    ///
    /// # Errors
    /// What business answered, at once or on the way.
    pub async fn export(&self, tenant: &str) -> Result<Vec<DataPart>, Status> {
        let token = self.token_of(tenant).await?;
        self.export_with(tenant, &token).await
    }

    /// Everything a tenant has, which is held from then on until the restore `id` has ended.
    ///
    /// # Errors
    /// As [`Data::export`].
    pub async fn export_for(&self, tenant: &str, id: &str) -> Result<Vec<DataPart>, Status> {
        let token = self.token_of(tenant).await?;
        let request = ExportDataRequest {
            tenant_id: tenant.to_owned(),
            restore_id: id.to_owned(),
        };
        self.receive(request, &token).await
    }

    /// [`Data::export`] with any token.
    ///
    /// # Errors
    /// As there.
    pub async fn export_with(&self, tenant: &str, token: &str) -> Result<Vec<DataPart>, Status> {
        let request = ExportDataRequest {
            tenant_id: tenant.to_owned(),
            restore_id: String::new(),
        };
        self.receive(request, token).await
    }

    async fn receive(&self, request: ExportDataRequest, token: &str) -> Result<Vec<DataPart>, Status> {
        let mut stream = DataServiceClient::new(self.channel("business"))
            .export_data(bearer(request, token))
            .await?
            .into_inner();
        let mut parts = Vec::new();
        while let Some(message) = stream.message().await? {
            parts.push(message.part.expect("a part"));
        }
        Ok(parts)
    }

    /// Puts the parts in the place of a tenant's data.
    ///
    /// # Errors
    /// What business answered.
    pub async fn restore(&self, tenant: &str, id: &str, parts: &[DataPart]) -> Result<RestoreDataResponse, Status> {
        let token = self.token_of(tenant).await?;
        self.restore_with(tenant, id, parts, &token).await
    }

    /// [`Data::restore`] with any token.
    ///
    /// # Errors
    /// As there.
    pub async fn restore_with(
        &self,
        tenant: &str,
        id: &str,
        parts: &[DataPart],
        token: &str,
    ) -> Result<RestoreDataResponse, Status> {
        let target = Message::Target(RestoreTarget {
            tenant_id: tenant.to_owned(),
            restore_id: id.to_owned(),
        });
        let messages: Vec<_> = std::iter::once(target)
            .chain(parts.iter().cloned().map(Message::Part))
            .map(|message| RestoreDataRequest { message: Some(message) })
            .collect();
        let request = bearer(tokio_stream::iter(messages), token);
        let answer = DataServiceClient::new(self.channel("business"))
            .restore_data(request)
            .await?;
        Ok(answer.into_inner())
    }
}

fn bearer<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}
