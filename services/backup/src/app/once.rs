//! One effect per request id: the key and the answer are rows of the transaction of the effect.

use crate::store::SCHEMA;
use serde::{Serialize, de::DeserializeOwned};
use tenantry_db::{
    Statements,
    idempotency::{self, Start},
};
use tenantry_kernel::{Ctx, Error, Result};

/// A request that may be repeated.
#[derive(Clone, Debug)]
pub struct Once {
    /// Full method name.
    pub method: &'static str,
    /// The caller's key.
    pub key: String,
    /// Digest of the request without the key.
    pub fingerprint: [u8; 32],
}

/// The answer of the first run, if this is a repetition.
///
/// # Errors
/// See [`idempotency::begin`].
pub async fn replay<T: DeserializeOwned>(
    once: Option<&Once>,
    tx: &mut impl Statements,
    ctx: &Ctx,
) -> Result<Option<T>> {
    let Some(once) = once else { return Ok(None) };
    match idempotency::begin(tx, SCHEMA, ctx, once.method, &once.key, &once.fingerprint).await? {
        Start::New => Ok(None),
        Start::Replay(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(Error::internal),
    }
}

/// Keeps the answer beside the effect.
///
/// # Errors
/// See [`idempotency::finish`].
pub async fn finish<T: Serialize>(once: Option<&Once>, tx: &mut impl Statements, ctx: &Ctx, answer: &T) -> Result<()> {
    let Some(once) = once else { return Ok(()) };
    let bytes = serde_json::to_vec(answer).map_err(Error::internal)?;
    idempotency::finish(tx, SCHEMA, ctx, once.method, &once.key, &bytes).await
}
