//! Typed clients of the services behind the gateway. What the rest of the crate sees are two narrow edges: who a
//! credential is ([`Tokens`]), and the connections that calls are sent on ([`Upstreams`]).

pub mod quotas;

use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tenantry_api::auth::ExchangeCredentialRequest;
use tenantry_kernel::{BoxFuture, Error, Reason, Result, TenantId};
use tenantry_server::Peers;
use tonic::transport::Channel;

/// A transaction token and whom it names.
#[derive(Clone)]
pub struct Exchanged {
    /// For the called service only; never for a client.
    pub token: Arc<str>,
    /// The tenant of the credential.
    pub tenant: TenantId,
    /// `user:<id>` or `key:<id>`.
    pub subject: String,
    /// The session's id, if any.
    pub session: String,
    /// The member's id.
    pub user: String,
    /// Seconds since the epoch.
    pub expires: i64,
}

/// Auth, as the gateway needs it.
pub trait Tokens: Send + Sync + 'static {
    /// Swaps a client's credential for a transaction token.
    ///
    /// # Errors
    /// `CREDENTIALS_INVALID`; `TENANT_MISMATCH` where the credential is of another tenant.
    fn exchange<'a>(
        &'a self,
        credential: &'a str,
        audience: &'static str,
        tenant: Option<TenantId>,
    ) -> BoxFuture<'a, Result<Exchanged>>;
    /// A token that names the gateway, for public methods of one tenant.
    ///
    /// # Errors
    /// `UNAVAILABLE` while auth is away.
    fn service(&self, audience: &'static str, tenant: TenantId) -> BoxFuture<'_, Result<Arc<str>>>;
}

/// The real one.
pub struct Auth(pub Peers);

impl Tokens for Auth {
    fn exchange<'a>(
        &'a self,
        credential: &'a str,
        audience: &'static str,
        tenant: Option<TenantId>,
    ) -> BoxFuture<'a, Result<Exchanged>> {
        Box::pin(async move {
            let tenant_id = tenant.map(|tenant| tenant.to_string()).unwrap_or_default();
            let request = ExchangeCredentialRequest {
                credential: credential.to_owned(),
                audience: audience.to_owned(),
                tenant_id,
            };
            let answer = self
                .0
                .tokens()
                .exchange_credential(request)
                .await
                .map_err(|status| refused(&status))?
                .into_inner();
            let answered: TenantId = answer.tenant_id.parse().map_err(Error::internal)?;
            if tenant.is_some_and(|asked| asked != answered) {
                return Err(mismatch());
            }
            Ok(Exchanged {
                token: Arc::from(answer.transaction_token),
                tenant: answered,
                subject: answer.subject,
                session: answer.session_id,
                user: answer.user_id,
                expires: answer.expire_time.map(|time| time.seconds).unwrap_or_default(),
            })
        })
    }
    fn service(&self, audience: &'static str, tenant: TenantId) -> BoxFuture<'_, Result<Arc<str>>> {
        Box::pin(self.0.service_token(audience, Some(tenant)))
    }
}

/// What auth refused, as the client may know it. A refusal of the gateway's own identity is nothing the client can mend.
fn refused(status: &tonic::Status) -> Error {
    let error = tenantry_server::error_of(status);
    match error.reason() {
        Reason::NotFound | Reason::TenantNotFound | Reason::TenantMismatch => mismatch(),
        Reason::CredentialsInvalid | Reason::TenantSuspended | Reason::TenantNotActive | Reason::RevocationStale => {
            error
        }
        Reason::InvalidArgument | Reason::CredentialsMissing => crate::error::credentials_invalid(),
        Reason::Unavailable | Reason::DeadlineExceeded | Reason::Overloaded | Reason::Cancelled => {
            Error::unavailable(status.clone())
        }
        _ => Error::internal(status.clone()),
    }
}

fn mismatch() -> Error {
    Error::new(
        Reason::TenantMismatch,
        "the credential is of another tenant than the host or path",
    )
}

/// The services behind the gateway; each is an audience of transaction tokens.
pub const SERVICES: [&str; 5] = ["auth", "registry", "business", "backup", "monitoring"];

/// Connections to the services.
#[derive(Clone)]
pub struct Upstreams {
    /// auth
    pub auth: Channel,
    /// registry
    pub registry: Channel,
    /// business
    pub business: Channel,
    /// backup
    pub backup: Channel,
    /// monitoring
    pub monitoring: Channel,
    /// Services of the installation's own, by name.
    pub own: Arc<BTreeMap<&'static str, Channel>>,
}

/// How long a connection may take to be ready.
pub const CONNECT: Duration = Duration::from_secs(3);

impl Upstreams {
    /// The connection and the audience of a service.
    #[must_use]
    pub fn of(&self, service: &str) -> Option<(&Channel, &'static str)> {
        match service {
            "auth" => Some((&self.auth, "auth")),
            "registry" => Some((&self.registry, "registry")),
            "business" => Some((&self.business, "business")),
            "backup" => Some((&self.backup, "backup")),
            "monitoring" => Some((&self.monitoring, "monitoring")),
            own => self.own.get_key_value(own).map(|(name, channel)| (channel, *name)),
        }
    }
}
