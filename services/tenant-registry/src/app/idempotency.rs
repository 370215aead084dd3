//! `request_id`: the first call's answer is stored beside its effect; a repetition gets that answer again.

use crate::store::SCHEMA;
use serde::{Serialize, de::DeserializeOwned};
use tenantry_db::{Statements, idempotency};
use tenantry_kernel::{Ctx, Error, Result};

/// Longest key.
const MAX: usize = 128;

/// The idempotency of one call; without a key a repetition is a new call (decision 36).
#[derive(Clone, Debug)]
pub struct Idempotency {
    method: &'static str,
    key: String,
    fingerprint: [u8; 32],
}

impl Idempotency {
    /// `request` is the encoded request without its key.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a key that is no id.
    pub fn new(method: &'static str, key: &str, request: &[u8]) -> Result<Self> {
        if key.len() > MAX || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::invalid_field(
                "request_id",
                "must be a UUID or at most 128 visible ASCII characters",
            ));
        }
        Ok(Self {
            method,
            key: key.to_owned(),
            fingerprint: tenantry_crypto::token::sha256(request),
        })
    }
    /// The stored answer, if this call was made before.
    ///
    /// # Errors
    /// See [`idempotency::begin`].
    pub async fn replay<T: DeserializeOwned>(&self, tx: &mut impl Statements, ctx: &Ctx) -> Result<Option<T>> {
        if self.key.is_empty() {
            return Ok(None);
        }
        match idempotency::begin(tx, SCHEMA, ctx, self.method, &self.key, &self.fingerprint).await? {
            idempotency::Start::New => Ok(None),
            idempotency::Start::Replay(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(Error::internal),
        }
    }
    /// Stores the answer; commit afterwards.
    ///
    /// # Errors
    /// As every statement.
    pub async fn remember<T: Serialize>(&self, tx: &mut impl Statements, ctx: &Ctx, answer: &T) -> Result<()> {
        if self.key.is_empty() {
            return Ok(());
        }
        let bytes = serde_json::to_vec(answer).map_err(Error::internal)?;
        idempotency::finish(tx, SCHEMA, ctx, self.method, &self.key, &bytes).await
    }
}
