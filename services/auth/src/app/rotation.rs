//! The life of platform keys: next (published, does not sign) -> active -> retired (still verifies) -> gone. Runs on
//! every replica under one table lock; each step is one transaction.

use super::minter::{context_aad, platform_aad};
use crate::store::{
    Store,
    platform::{self, ContextKey, PlatformKey},
};
use tenantry_crypto::{DataKey, Es256Signer, RootKey};
use tenantry_db::SystemTx;
use tenantry_kernel::{Error, Ids, Result};

const DAY: f64 = 86_400.0;
/// A key signs this long.
const ACTIVE: f64 = 30.0 * DAY;
/// Verifiers have fetched a key long before it signs.
const PUBLISHED: f64 = DAY;
/// Tokens live a minute.
const RETIRED: f64 = 3_600.0;

/// Moves every key one step where it is due.
///
/// # Errors
/// As every statement.
pub async fn rotate(store: &Store, root: &RootKey, ids: &dyn Ids) -> Result<()> {
    let mut tx = store.begin_system("rotate_keys").await?;
    platform::platform_keys_lock(&mut tx).await?;
    let keys = platform::platform_key_list(&mut tx).await?;
    let active = keys.iter().find(|key| key.state == "active");
    let next = keys.iter().find(|key| key.state == "next");
    match (active, next) {
        (None, Some(next)) => platform::platform_key_set_state(&mut tx, next.id, "active").await?,
        (None, None) => insert(&mut tx, root, ids, "active").await?,
        (Some(active), Some(next)) if active.age_seconds > ACTIVE && next.age_seconds > PUBLISHED => {
            platform::platform_key_set_state(&mut tx, active.id, "retired").await?;
            platform::platform_key_set_state(&mut tx, next.id, "active").await?;
        }
        (Some(active), None) if active.age_seconds > ACTIVE - PUBLISHED => insert(&mut tx, root, ids, "next").await?,
        _ => {}
    }
    for old in keys
        .iter()
        .filter(|key| key.state == "retired" && key.age_seconds > RETIRED)
    {
        platform::platform_key_delete(&mut tx, old.id).await?;
    }
    tx.commit().await
}

async fn insert(tx: &mut SystemTx, root: &RootKey, ids: &dyn Ids, state: &str) -> Result<()> {
    let (der, signer) = Es256Signer::generate().map_err(Error::internal)?;
    let key = PlatformKey {
        id: ids.new_v7(),
        kid: signer.kid().to_owned(),
        wrapped: root.wrap(&platform_aad(signer.kid()), &der),
        jwk: serde_json::to_value(signer.public_jwk()).map_err(Error::internal)?,
        state: state.to_owned(),
        age_seconds: 0.0,
    };
    platform::platform_key_insert(tx, &key).await
}

/// The context key, made if there is none: its number and bytes.
///
/// # Errors
/// `INTERNAL` where the root key is another than the one that wrapped it.
pub async fn context_key(store: &Store, root: &RootKey) -> Result<(i32, DataKey)> {
    let mut tx = store.begin_system("context_key").await?;
    platform::platform_keys_lock(&mut tx).await?;
    let (kid, key) = match platform::context_key_active(&mut tx).await? {
        Some(stored) => {
            let bytes = root
                .unwrap(&context_aad(stored.kid), &stored.wrapped)
                .map_err(Error::internal)?;
            (stored.kid, DataKey::from_slice(&bytes).map_err(Error::internal)?)
        }
        None => {
            let key = DataKey::generate();
            let wrapped = root.wrap(&context_aad(1), key.expose());
            platform::context_key_insert(&mut tx, &ContextKey { kid: 1, wrapped }).await?;
            (1, key)
        }
    };
    tx.commit().await?;
    Ok((kid, key))
}
