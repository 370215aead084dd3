//! Mutations with a `request_id` run once: key and sealed response are rows of the transaction of the effect. The
//! response may hold a secret (an invite link, an API key), so it is sealed under the tenant's key.

use super::Core;
use crate::store::SCHEMA;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use tenantry_crypto::{Sealer, token::sha256};
use tenantry_db::{
    Tx,
    idempotency::{self, Start},
};
use tenantry_kernel::{Ctx, Error, Result};

/// Most characters of a `request_id`.
const MAX_KEY: usize = 128;

/// How a call goes on.
#[expect(clippy::large_enum_variant, reason = "taken apart where it is made, once a call")]
pub enum Once<T> {
    /// Done before: this was the answer.
    Replay(T),
    /// Do it in [`Running::tx`].
    Run(Running),
}

/// A mutation in its transaction.
pub struct Running {
    /// The transaction of the effect.
    pub tx: Tx,
    ctx: Ctx,
    remember: Option<(&'static str, String, Arc<Sealer>)>,
}

/// Opens the transaction of a mutation and claims its key; without a key every call is a new one.
///
/// # Errors
/// `IDEMPOTENCY_KEY_REUSED`, `IDEMPOTENCY_IN_PROGRESS`, `INVALID_ARGUMENT` for a malformed key.
pub async fn begin<T: DeserializeOwned>(
    core: &Core,
    ctx: &Ctx,
    method: &'static str,
    key: &str,
    command: &impl Serialize,
) -> Result<Once<T>> {
    if key.is_empty() {
        return Ok(Once::Run(Running {
            tx: core.store.begin(ctx).await?,
            ctx: ctx.clone(),
            remember: None,
        }));
    }
    if key.len() > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::invalid_field(
            "request_id",
            "must be at most 128 visible ASCII characters; a UUID is good",
        ));
    }
    let sealer = core.keyring.response_sealer(ctx.tenant()?).await?;
    let fingerprint = sha256(&serde_json::to_vec(command).map_err(Error::internal)?);
    let mut tx = core.store.begin(ctx).await?;
    match idempotency::begin(&mut tx, SCHEMA, ctx, method, key, &fingerprint).await? {
        Start::Replay(sealed) => {
            tx.commit().await?;
            let bytes = sealer.open(&aad(ctx, method, key), &sealed).map_err(Error::internal)?;
            Ok(Once::Replay(serde_json::from_slice(&bytes).map_err(Error::internal)?))
        }
        Start::New => Ok(Once::Run(Running {
            tx,
            ctx: ctx.clone(),
            remember: Some((method, key.to_owned(), sealer)),
        })),
    }
}

impl Running {
    /// Stores the response and makes everything durable.
    ///
    /// # Errors
    /// As every statement.
    pub async fn commit<T: Serialize>(mut self, response: T) -> Result<T> {
        if let Some((method, key, sealer)) = &self.remember {
            let bytes = serde_json::to_vec(&response).map_err(Error::internal)?;
            let sealed = sealer.seal(&aad(&self.ctx, method, key), bytes);
            idempotency::finish(&mut self.tx, SCHEMA, &self.ctx, method, key, &sealed).await?;
        }
        self.tx.commit().await?;
        Ok(response)
    }
}

fn aad(ctx: &Ctx, method: &str, key: &str) -> Vec<u8> {
    format!(
        "tenantry/response/{}/{}/{method}/{key}",
        ctx.tenant_opt().map(|tenant| tenant.to_string()).unwrap_or_default(),
        ctx.principal().name()
    )
    .into_bytes()
}
