//! What a service gets from auth by its service identity: tokens for other services, database contexts for background
//! jobs, tenant keys, verification keys and revocations.

use crate::{
    Authenticate, BearerTokens, Revocations, SERVICE_HEADER, SERVICE_SECRET_HEADER, channel, error_of, peers_keys,
    revocation_watch,
};
use moka::future::Cache;
use std::{sync::Arc, time::Duration};
use tenantry_api::auth::{
    IssueDatabaseContextRequest, IssueServiceTokenRequest, key_service_client::KeyServiceClient,
    token_service_client::TokenServiceClient,
};
use tenantry_config::Identity;
use tenantry_crypto::{CachedKeys, TenantKeys};
use tenantry_kernel::{Clock, DbContext, Error, TenantId};
use tokio_util::sync::CancellationToken;
use tonic::{Request, metadata::MetadataValue, service::Interceptor, transport::Channel};

/// Every call to auth is answered or given up in this time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);
/// Tokens live 60 s; used for at most 40 s so that they arrive with time left.
const TOKEN_TTL: Duration = Duration::from_secs(40);
const MOST_TOKENS: u64 = 20_000;

/// Adds the service identity to a request.
#[derive(Clone)]
pub struct ServiceCredentials {
    service: MetadataValue<tonic::metadata::Ascii>,
    secret: MetadataValue<tonic::metadata::Ascii>,
}

impl Interceptor for ServiceCredentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        request.metadata_mut().insert(SERVICE_HEADER, self.service.clone());
        request
            .metadata_mut()
            .insert(SERVICE_SECRET_HEADER, self.secret.clone());
        request.set_timeout(DEADLINE);
        tenantry_telemetry::inject_current(request.metadata_mut().as_mut());
        Ok(request)
    }
}

/// The interceptor that proves `identity` to auth.
///
/// # Errors
/// INTERNAL where the secret cannot be a header value.
pub fn service_credentials(identity: &Identity) -> Result<ServiceCredentials, Error> {
    let mut secret: MetadataValue<_> = identity
        .secret
        .expose()
        .parse()
        .map_err(|_| Error::internal("the service secret is not ASCII"))?;
    secret.set_sensitive(true);
    let service = identity.service.parse().map_err(Error::internal)?;
    Ok(ServiceCredentials { service, secret })
}

pub(crate) type AuthChannel = tonic::service::interceptor::InterceptedService<Channel, ServiceCredentials>;

/// A connection to auth under this service's identity. Cheap to clone.
#[derive(Clone)]
pub struct Peers(Arc<Inner>);

struct Inner {
    tokens: TokenServiceClient<AuthChannel>,
    /// Without the interceptor's deadline: streams have no end.
    streams: TokenServiceClient<tonic::service::interceptor::InterceptedService<Channel, Undated>>,
    keys: Arc<CachedKeys<peers_keys::RemoteKeys>>,
    service_tokens: Cache<(&'static str, Option<TenantId>), Arc<str>>,
    contexts: Cache<(TenantId, &'static str), DbContext>,
    revocations: Arc<Revocations>,
    clock: Arc<dyn Clock>,
}

/// [`ServiceCredentials`] for streams.
#[derive(Clone)]
pub(crate) struct Undated(ServiceCredentials);

impl Interceptor for Undated {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        request.metadata_mut().insert(SERVICE_HEADER, self.0.service.clone());
        request
            .metadata_mut()
            .insert(SERVICE_SECRET_HEADER, self.0.secret.clone());
        Ok(request)
    }
}

impl Peers {
    /// Connects lazily: nothing is sent before the first call.
    ///
    /// # Errors
    /// See [`channel`] and [`service_credentials`].
    pub fn connect(endpoint: &str, identity: &Identity, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (channel, credentials) = (channel(endpoint)?, service_credentials(identity)?);
        let keys = KeyServiceClient::with_interceptor(channel.clone(), credentials.clone());
        Ok(Self(Arc::new(Inner {
            tokens: TokenServiceClient::with_interceptor(channel.clone(), credentials.clone()),
            streams: TokenServiceClient::with_interceptor(channel, Undated(credentials)),
            keys: Arc::new(CachedKeys::new(peers_keys::RemoteKeys(keys))),
            service_tokens: Cache::builder()
                .max_capacity(MOST_TOKENS)
                .time_to_live(TOKEN_TTL)
                .build(),
            contexts: Cache::builder()
                .max_capacity(MOST_TOKENS)
                .time_to_live(Duration::from_secs(60))
                .build(),
            revocations: Arc::default(),
            clock,
        })))
    }
    /// A transaction token that names this service itself.
    ///
    /// # Errors
    /// What auth answered; `UNAVAILABLE` while it is away.
    pub async fn service_token(&self, audience: &'static str, tenant: Option<TenantId>) -> Result<Arc<str>, Error> {
        let mut client = self.0.tokens.clone();
        let issue = async move {
            let tenant_id = tenant.map(|tenant| tenant.to_string()).unwrap_or_default();
            let answer = client
                .issue_service_token(IssueServiceTokenRequest {
                    audience: audience.to_owned(),
                    tenant_id,
                })
                .await;
            answer
                .map(|answer| Arc::from(answer.into_inner().transaction_token))
                .map_err(|status| error_of(&status))
        };
        self.0
            .service_tokens
            .try_get_with((audience, tenant), issue)
            .await
            .map_err(|error| again(&error))
    }
    /// A signed database context for a background job of `tenant`; cached for at most 60 s.
    ///
    /// # Errors
    /// As [`Peers::service_token`].
    pub async fn database_context(&self, tenant: TenantId, purpose: &'static str) -> Result<DbContext, Error> {
        let mut client = self.0.tokens.clone();
        let issue = async move {
            let request = IssueDatabaseContextRequest {
                tenant_id: tenant.to_string(),
                purpose: purpose.to_owned(),
            };
            let answer = client.issue_database_context(request).await;
            answer
                .map(|answer| DbContext::new(answer.into_inner().database_context))
                .map_err(|status| error_of(&status))
        };
        self.0
            .contexts
            .try_get_with((tenant, purpose), issue)
            .await
            .map_err(|error| again(&error))
    }
    /// Tenant keys from auth's key service, cached for at most five minutes.
    #[must_use]
    pub fn keys(&self) -> Arc<dyn TenantKeys> {
        self.0.keys.clone()
    }
    /// Forgets a tenant's keys (it was deleted, or they were rotated). Tokens and database contexts are not kept for more than
    /// a minute anyway.
    pub fn forget(&self, tenant: TenantId) {
        self.0.keys.forget(tenant);
    }
    /// A client of auth's token service under this identity.
    #[must_use]
    pub fn tokens(&self) -> TokenServiceClient<AuthChannel> {
        self.0.tokens.clone()
    }
    /// Verifies transaction tokens for `audience` with keys fetched from auth.
    #[must_use]
    pub fn authenticator(&self, audience: &'static str) -> Arc<dyn Authenticate> {
        let keys = peers_keys::RemoteVerificationKeys::new(self.0.tokens.clone(), self.0.clock.clone());
        Arc::new(BearerTokens::new(audience, keys, self.0.clock.clone()))
    }
    /// What was revoked lately; fresh only while [`Peers::watch_revocations`] runs.
    #[must_use]
    pub fn revocations(&self) -> Arc<Revocations> {
        self.0.revocations.clone()
    }
    /// Follows auth's revocations until `stop`; `latch` is released at the first snapshot.
    pub fn watch_revocations(&self, latch: crate::Latch, stop: CancellationToken) {
        let client = self.0.streams.clone();
        tokio::spawn(revocation_watch::run(
            client,
            self.0.revocations.clone(),
            self.0.clock.clone(),
            latch,
            stop,
        ));
    }
}

/// A cache hands errors out as shared; a new one of the same reason goes to each waiter.
fn again(error: &Arc<Error>) -> Error {
    let mut copy = Error::new(error.reason(), error.public().to_owned()).because(error.to_string());
    if let Some(delay) = error.retry_delay() {
        copy = copy.retry_after(delay);
    }
    copy
}
