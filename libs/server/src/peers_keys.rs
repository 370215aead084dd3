//! Keys that live at auth: tenant data keys and the public keys of transaction tokens.

use crate::{VerificationKeys, authenticate::SharedKeys, error_of, peers::AuthChannel};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use tenantry_api::auth::{
    GetDataKeyRequest, GetVerificationKeysRequest, key_service_client::KeyServiceClient,
    token_service_client::TokenServiceClient,
};
use tenantry_crypto::{DataKey, Es256Verifier, Jwk, KeySource, Purpose};
use tenantry_kernel::{BoxFuture, Clock, Error, TenantId};

/// An unknown key id makes us ask auth again, but not more often than this: a flood of forged tokens must not become a
/// flood at auth.
const REFRESH_EVERY_MS: i64 = 1_000;

pub(crate) struct RemoteKeys(pub(crate) KeyServiceClient<AuthChannel>);

impl KeySource for RemoteKeys {
    fn fetch(
        &self,
        tenant: TenantId,
        purpose: Purpose,
        version: Option<u32>,
    ) -> BoxFuture<'_, Result<(u32, DataKey), Error>> {
        let mut client = self.0.clone();
        Box::pin(async move {
            let request = GetDataKeyRequest {
                tenant_id: tenant.to_string(),
                purpose: purpose.as_str().to_owned(),
                version: version.unwrap_or_default(),
            };
            let answer = client
                .get_data_key(request)
                .await
                .map_err(|status| error_of(&status))?
                .into_inner();
            let key = zeroize::Zeroizing::new(answer.key);
            Ok((
                answer.version,
                DataKey::from_slice(&key).map_err(|error| Error::internal(error.to_string()))?,
            ))
        })
    }
}

pub(crate) struct RemoteVerificationKeys {
    client: TokenServiceClient<AuthChannel>,
    clock: Arc<dyn Clock>,
    keys: SharedKeys,
    asked_ms: AtomicI64,
    one_at_a_time: tokio::sync::Mutex<()>,
}

impl RemoteVerificationKeys {
    pub(crate) fn new(client: TokenServiceClient<AuthChannel>, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            clock,
            keys: SharedKeys::default(),
            asked_ms: AtomicI64::new(0),
            one_at_a_time: tokio::sync::Mutex::new(()),
        }
    }

    async fn fetch(&self) -> Result<(), Error> {
        let _turn = self.one_at_a_time.lock().await;
        let now = self.clock.now().timestamp_millis();
        if now - self.asked_ms.load(Ordering::Relaxed) < REFRESH_EVERY_MS {
            return Ok(());
        }
        let answer = self
            .client
            .clone()
            .get_verification_keys(GetVerificationKeysRequest {})
            .await;
        let answer = answer.map_err(Error::unavailable)?.into_inner();
        // Only an answer counts: while auth is away every request tries again.
        self.asked_ms.store(now, Ordering::Relaxed);
        let keys: Vec<Jwk> = answer.keys.into_iter().map(jwk).collect();
        let verifier = Es256Verifier::from_jwks(&keys).map_err(|error| Error::internal(error.to_string()))?;
        self.keys.replace(verifier);
        Ok(())
    }
}

impl VerificationKeys for RemoteVerificationKeys {
    fn current(&self) -> Option<Arc<Es256Verifier>> {
        self.keys.current()
    }
    fn refresh(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.fetch())
    }
}

fn jwk(key: tenantry_api::auth::Jwk) -> Jwk {
    Jwk {
        kty: key.kty,
        crv: key.crv,
        x: key.x,
        y: key.y,
        kid: key.kid,
        use_: key.r#use,
        alg: key.alg,
    }
}
