//! One effect per request id: the key and the answer are rows of the transaction of the effect. What `app` of a service
//! calls; the rows are in [`crate::idempotency`].

use crate::{
    Statements,
    idempotency::{self, Start},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tenantry_kernel::{Ctx, Error, Result};

/// Longest key.
const MAX: usize = 128;

/// A request that may be repeated.
#[derive(Clone, Debug)]
pub struct Once {
    /// Schema of the service's own tables.
    pub schema: &'static str,
    /// Full method name.
    pub method: &'static str,
    /// The caller's key.
    pub key: String,
    /// Digest of the request without the key.
    pub fingerprint: [u8; 32],
}

impl Once {
    /// From a request's key; without one a repetition is a new call. `bare` is the encoded request without its key: what
    /// a repetition must agree with.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a key that is no id.
    pub fn new(schema: &'static str, method: &'static str, key: &str, bare: &[u8]) -> Result<Option<Self>> {
        if key.is_empty() {
            return Ok(None);
        }
        if key.len() > MAX || key.bytes().any(|b| !b.is_ascii_graphic()) {
            return Err(Error::invalid_field(
                "request_id",
                "must be at most 128 visible ASCII characters, for example a UUID",
            ));
        }
        Ok(Some(Self {
            schema,
            method,
            key: key.to_owned(),
            fingerprint: Sha256::digest(bare).into(),
        }))
    }
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
    match idempotency::begin(tx, once.schema, ctx, once.method, &once.key, &once.fingerprint).await? {
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
    idempotency::finish(tx, once.schema, ctx, once.method, &once.key, &bytes).await
}
