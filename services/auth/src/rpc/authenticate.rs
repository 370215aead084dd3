//! Who calls auth: one of our services by its shared secret, or a transaction token for auth. No other service accepts
//! the secret.

use crate::app::{
    minter::{Minter, OwnKeys},
    services::Identities,
};
use http::HeaderMap;
use std::sync::Arc;
use tenantry_kernel::{BoxFuture, Clock, Error, Reason, Result, TransactionClaims, claims};
use tenantry_server::{Authenticate, BearerTokens, SERVICE_HEADER, SERVICE_SECRET_HEADER};

/// See the module.
pub struct Callers {
    identities: Identities,
    bearer: BearerTokens<OwnKeys>,
    clock: Arc<dyn Clock>,
}

impl Callers {
    /// With its parts.
    #[must_use]
    pub fn new(identities: Identities, minter: Arc<Minter>, clock: Arc<dyn Clock>) -> Self {
        Self {
            identities,
            bearer: BearerTokens::new("auth", OwnKeys(minter), Arc::clone(&clock)),
            clock,
        }
    }

    fn service(&self, headers: &HeaderMap) -> Result<TransactionClaims> {
        let invalid = || {
            Error::new(
                Reason::CredentialsInvalid,
                "The service credentials are not valid. Compare [identity] with auth's [services].",
            )
        };
        let one = |name: &str| {
            let mut values = headers.get_all(name).iter();
            values.next().filter(|_| values.next().is_none())
        };
        let (Some(name), Some(secret)) = (one(SERVICE_HEADER), one(SERVICE_SECRET_HEADER)) else {
            return Err(invalid());
        };
        let name = name.to_str().map_err(|_| invalid())?;
        if !self.identities.check(name, secret.as_bytes()) {
            return Err(invalid());
        }
        let now = self.clock.now();
        Ok(TransactionClaims {
            iss: claims::ISSUER.to_owned(),
            aud: "auth".to_owned(),
            sub: format!("service:{name}"),
            tid: None,
            sid: None,
            act: None,
            role: None,
            scopes: Vec::new(),
            dbc: None,
            iat: now.timestamp(),
            iat_ms: now.timestamp_millis(),
            exp: now.timestamp() + 1,
            jti: String::new(),
        })
    }
}

impl Authenticate for Callers {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<TransactionClaims>> {
        if headers.contains_key(SERVICE_HEADER) || headers.contains_key(SERVICE_SECRET_HEADER) {
            let claims = self.service(headers);
            return Box::pin(async move { claims });
        }
        self.bearer.authenticate(headers)
    }
}
