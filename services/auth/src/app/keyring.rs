//! Keys of tenants. The root key wraps a KEK per tenant; the KEK wraps data keys per purpose and the tenant's signing
//! keys. Unwrapped keys live in bounded caches for at most five minutes and are zeroized when they leave.

use super::minter::Minter;
use crate::store::{
    Store,
    keys::{self, SigningKey, Wrapped},
    realms,
};
use moka::future::Cache;
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, sync::Arc, time::Duration};
use tenantry_crypto::{
    CachedKeys, DataKey, Es256Signer, Es256Verifier, Jwk, KeySource, Purpose, RootKey, Sealer, TenantKeys,
    jwt::JwtError,
};
use tenantry_db::Tx;
use tenantry_kernel::{BoxFuture, Error, Ids, Reason, Result, TenantId};

/// Stored responses that hold secrets.
const RESPONSE: &str = "response";
const CAPACITY: u64 = 10_000;
const LIFETIME: Duration = Duration::from_secs(300);

/// What a tenant's access tokens are signed and verified with.
#[derive(Debug)]
pub struct TenantSigner {
    /// For issuer and links.
    pub slug: String,
    /// Published keys.
    pub jwks: Vec<Jwk>,
    signer: Es256Signer,
    verifier: Es256Verifier,
}

impl TenantSigner {
    /// Signs.
    ///
    /// # Errors
    /// `INTERNAL` where the claims are too large.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String> {
        self.signer.sign(typ, claims).map_err(Error::internal)
    }
    /// Verifies with this tenant's keys and no others.
    ///
    /// # Errors
    /// See [`JwtError`].
    pub fn verify<T: DeserializeOwned>(
        &self,
        token: &str,
        typ: &str,
        aud: &str,
        iss: &str,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<T, JwtError> {
        self.verifier.verify(token, typ, aud, iss, now)
    }
}

/// Reads and makes keys; what the caches ask.
struct Keys {
    store: Store,
    root: RootKey,
    minter: Arc<Minter>,
    ids: Arc<dyn Ids>,
}

/// See the module.
pub struct Keyring {
    keys: Arc<Keys>,
    sealers: Arc<CachedKeys<Source>>,
    responses: Cache<TenantId, Arc<Sealer>>,
    signers: Cache<TenantId, Arc<TenantSigner>>,
}

struct Source(Arc<Keys>);

impl KeySource for Source {
    fn fetch(&self, tenant: TenantId, purpose: Purpose, version: Option<u32>) -> BoxFuture<'_, Result<(u32, DataKey)>> {
        Box::pin(self.0.data_key(tenant, purpose.as_str(), version))
    }
}

impl Keyring {
    /// Over the store.
    #[must_use]
    pub fn new(store: Store, root: RootKey, minter: Arc<Minter>, ids: Arc<dyn Ids>) -> Self {
        let keys = Arc::new(Keys {
            store,
            root,
            minter,
            ids,
        });
        Self {
            sealers: Arc::new(CachedKeys::new(Source(Arc::clone(&keys)))),
            keys,
            responses: Cache::builder().max_capacity(CAPACITY).time_to_live(LIFETIME).build(),
            signers: Cache::builder().max_capacity(CAPACITY).time_to_live(LIFETIME).build(),
        }
    }
    /// A data key, for the key service.
    ///
    /// # Errors
    /// `NOT_FOUND` for a tenant without keys or a version that never was.
    pub async fn data_key(&self, tenant: TenantId, purpose: Purpose, version: Option<u32>) -> Result<(u32, DataKey)> {
        self.keys.data_key(tenant, purpose.as_str(), version).await
    }
    /// Sealers by purpose, for page tokens.
    #[must_use]
    pub fn sealers(&self) -> &dyn TenantKeys {
        &*self.sealers
    }
    /// Seals stored responses.
    ///
    /// # Errors
    /// As [`Keyring::data_key`].
    pub async fn response_sealer(&self, tenant: TenantId) -> Result<Arc<Sealer>> {
        let make = async {
            let (version, key) = self.keys.data_key(tenant, RESPONSE, None).await?;
            Ok(Arc::new(Sealer::new(key, version)))
        };
        self.responses
            .try_get_with(tenant, make)
            .await
            .map_err(|error| again(&error))
    }
    /// The tenant's signer, made on first use.
    ///
    /// # Errors
    /// As [`Keyring::data_key`].
    pub async fn signer(&self, tenant: TenantId) -> Result<Arc<TenantSigner>> {
        self.signers
            .try_get_with(tenant, self.keys.signer(tenant))
            .await
            .map_err(|error| again(&error))
    }
    /// Forgets everything of a tenant, here; other replicas forget within five minutes.
    pub async fn forget(&self, tenant: TenantId) {
        self.sealers.forget(tenant);
        self.responses.invalidate(&tenant).await;
        self.signers.invalidate(&tenant).await;
    }
    /// Makes the KEK of a new realm.
    ///
    /// # Errors
    /// As every statement.
    pub async fn create_kek(&self, tx: &mut Tx) -> Result<()> {
        let kek = DataKey::generate();
        let bytes = self.keys.root.wrap(&kek_aad(tx.tenant(), 1), kek.expose());
        keys::kek_insert(tx, self.keys.ids.new_v7(), &Wrapped { version: 1, bytes }).await
    }
}

impl Keys {
    async fn kek(&self, tx: &mut Tx) -> Result<Sealer> {
        let wrapped = keys::kek_fetch(tx, None).await?.ok_or_else(Error::not_found)?;
        let key = self
            .root
            .unwrap(&kek_aad(tx.tenant(), wrapped.version), &wrapped.bytes)
            .map_err(Error::internal)?;
        Ok(Sealer::new(
            DataKey::from_slice(&key).map_err(Error::internal)?,
            version(wrapped.version)?,
        ))
    }

    async fn data_key(&self, tenant: TenantId, purpose: &str, wanted: Option<u32>) -> Result<(u32, DataKey)> {
        let ctx = self.minter.own(tenant)?;
        let mut tx = self.store.begin(&ctx).await?;
        let kek = self.kek(&mut tx).await?;
        let wanted = wanted.map(i32::try_from).transpose().map_err(|_| Error::not_found())?;
        let mut found = keys::data_key_fetch(&mut tx, purpose, wanted).await?;
        if found.is_none() && wanted.is_none() {
            let bytes = kek.seal(&data_aad(tenant, purpose, 1), DataKey::generate().expose());
            keys::data_key_insert(&mut tx, self.ids.new_v7(), purpose, &Wrapped { version: 1, bytes }).await?;
            // Another replica may have been first: theirs is the key then.
            found = keys::data_key_fetch(&mut tx, purpose, None).await?;
        }
        tx.commit().await?;
        let wrapped = found.ok_or_else(Error::not_found)?;
        let key = kek
            .open(&data_aad(tenant, purpose, wrapped.version), &wrapped.bytes)
            .map_err(Error::internal)?;
        let key = zeroize::Zeroizing::new(key);
        Ok((
            version(wrapped.version)?,
            DataKey::from_slice(&key).map_err(Error::internal)?,
        ))
    }

    async fn signer(&self, tenant: TenantId) -> Result<Arc<TenantSigner>> {
        let ctx = self.minter.own(tenant)?;
        let mut tx = self.store.begin(&ctx).await?;
        let realm = realms::realm_fetch(&mut tx).await?.ok_or_else(Error::not_found)?;
        let kek = self.kek(&mut tx).await?;
        let mut list = keys::signing_key_list(&mut tx).await?;
        if !list.iter().any(|key| key.active) {
            let (der, signer) = Es256Signer::generate().map_err(Error::internal)?;
            let jwk = serde_json::to_value(signer.public_jwk()).map_err(Error::internal)?;
            let sealed = kek.seal(&signing_aad(tenant, signer.kid()), &der);
            let key = SigningKey {
                kid: signer.kid().to_owned(),
                sealed,
                jwk,
                active: true,
            };
            keys::signing_key_insert(&mut tx, self.ids.new_v7(), &key).await?;
            list = keys::signing_key_list(&mut tx).await?;
        }
        tx.commit().await?;
        let active = list
            .iter()
            .find(|key| key.active)
            .ok_or_else(|| Error::internal("a realm has no signing key"))?;
        let der = zeroize::Zeroizing::new(
            kek.open(&signing_aad(tenant, &active.kid), &active.sealed)
                .map_err(Error::internal)?,
        );
        let jwks: Vec<Jwk> = list
            .iter()
            .map(|key| serde_json::from_value(key.jwk.clone()))
            .collect::<Result<_, _>>()
            .map_err(Error::internal)?;
        Ok(Arc::new(TenantSigner {
            slug: realm.slug,
            signer: Es256Signer::from_pkcs8(&der).map_err(Error::internal)?,
            verifier: Es256Verifier::from_jwks(&jwks).map_err(Error::internal)?,
            jwks,
        }))
    }
}

fn version(stored: i32) -> Result<u32> {
    u32::try_from(stored).map_err(Error::internal)
}

fn kek_aad(tenant: TenantId, version: i32) -> Vec<u8> {
    format!("tenantry/kek/{tenant}/{version}").into_bytes()
}
fn data_aad(tenant: TenantId, purpose: &str, version: i32) -> Vec<u8> {
    format!("tenantry/data_key/{tenant}/{purpose}/{version}").into_bytes()
}
fn signing_aad(tenant: TenantId, kid: &str) -> Vec<u8> {
    format!("tenantry/signing_key/{tenant}/{kid}").into_bytes()
}

/// All waiters of one fetch share its error; each gets one of the same reason.
fn again(error: &Arc<Error>) -> Error {
    match error.reason() {
        Reason::NotFound => Error::not_found(),
        reason => Error::new(reason, error.public().to_owned()).because(error.to_string()),
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(***)")
    }
}
