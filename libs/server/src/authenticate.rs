//! Who calls? Turns request metadata into verified claims.

use arc_swap::ArcSwap;
use http::HeaderMap;
use std::sync::Arc;
use tenantry_crypto::jwt::Es256Verifier;
use tenantry_kernel::{BoxFuture, Clock, Error, Reason, TransactionClaims, claims};

/// Turns metadata into verified claims. Auth has its own (it also accepts service credentials); everybody else uses
/// [`BearerTokens`].
pub trait Authenticate: Send + Sync + 'static {
    /// Verified claims of the caller.
    ///
    /// # Errors
    /// `CREDENTIALS_MISSING`, `CREDENTIALS_INVALID`, or `UNAVAILABLE` while no verification keys are known.
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<TransactionClaims, Error>>;
}

/// Where the public keys of transaction tokens come from.
pub trait VerificationKeys: Send + Sync + 'static {
    /// The keys known now; `None` before the first fetch.
    fn current(&self) -> Option<Arc<Es256Verifier>>;
    /// Fetches again because a token named an unknown key; rate-limited by the implementation.
    fn refresh(&self) -> BoxFuture<'_, Result<(), Error>>;
}

/// Verifies `authorization: Bearer <transaction token>` for one audience.
pub struct BearerTokens<K> {
    audience: &'static str,
    keys: K,
    clock: Arc<dyn Clock>,
}

impl<K: VerificationKeys> BearerTokens<K> {
    /// `audience` is the name of the service that runs this.
    pub fn new(audience: &'static str, keys: K, clock: Arc<dyn Clock>) -> Self {
        Self { audience, keys, clock }
    }

    async fn verify(&self, token: &str) -> Result<TransactionClaims, Error> {
        match self.try_verify(token) {
            Some(Ok(claims)) => Ok(claims),
            // Perhaps the key is newer than our copy: look once more, bounded by the key source's own rate limit.
            Some(Err(_)) | None => {
                self.keys.refresh().await?;
                self.try_verify(token)
                    .unwrap_or_else(|| Err(Error::unavailable("no verification keys")))
            }
        }
    }

    fn try_verify(&self, token: &str) -> Option<Result<TransactionClaims, Error>> {
        let verifier = self.keys.current()?;
        let verified = verifier.verify::<TransactionClaims>(
            token,
            claims::TOKEN_TYPE,
            self.audience,
            claims::ISSUER,
            self.clock.now(),
        );
        Some(
            verified
                .map_err(|cause| invalid().because(cause.to_string()))
                .and_then(short_lived),
        )
    }
}

fn short_lived(claims: TransactionClaims) -> Result<TransactionClaims, Error> {
    let lifetime = claims.exp.saturating_sub(claims.iat);
    if (1..=claims::MAX_LIFETIME_SECONDS).contains(&lifetime) {
        Ok(claims)
    } else {
        Err(invalid())
    }
}

impl<K: VerificationKeys> Authenticate for BearerTokens<K> {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<TransactionClaims, Error>> {
        Box::pin(async move { self.verify(bearer(headers)?).await })
    }
}

/// The bearer token of a request: exactly one `authorization` header with the scheme `Bearer`.
///
/// # Errors
/// `CREDENTIALS_MISSING` without one, `CREDENTIALS_INVALID` for several or another scheme.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(Error::new(
            Reason::CredentialsMissing,
            "Credentials are required. Send `Authorization: Bearer <token>`.",
        ));
    };
    if values.next().is_some() {
        return Err(invalid());
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(invalid())
    }
}

fn invalid() -> Error {
    Error::new(
        Reason::CredentialsInvalid,
        "The credentials are not valid. Sign in again.",
    )
}

/// Keys that somebody else puts in (auth from its own table, peers from auth's).
#[derive(Default)]
pub(crate) struct SharedKeys(ArcSwap<Option<Arc<Es256Verifier>>>);

impl SharedKeys {
    pub(crate) fn current(&self) -> Option<Arc<Es256Verifier>> {
        self.0.load().as_ref().clone()
    }
    pub(crate) fn replace(&self, verifier: Es256Verifier) {
        self.0.store(Arc::new(Some(Arc::new(verifier))));
    }
}
