//! Idempotency keys: key and response are rows of the transaction of the effect, so that a retry either finds both or
//! neither. A key belongs to one principal and one method of one tenant.

use crate::{Statements, error::map_error, query};
use sqlx::Row;
use tenantry_kernel::{Ctx, Error, Reason, Result, TenantId};

/// How long a key is remembered.
pub const KEEP_SECONDS: u32 = 24 * 3600;

/// How a call with an idempotency key goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// First time: do the work, then [`finish`] in the same transaction.
    New,
    /// Done before: answer with these bytes.
    Replay(Vec<u8>),
}

/// Claims `key`. A concurrent call with the same key waits here until the first commits, then replays it, or takes
/// over where the first rolled back. `fingerprint` is a digest of the request without the key.
///
/// # Errors
/// `IDEMPOTENCY_KEY_REUSED` for another payload, `IDEMPOTENCY_IN_PROGRESS` where the first call takes too long.
pub async fn begin(
    tx: &mut impl Statements,
    schema: &'static str,
    ctx: &Ctx,
    method: &str,
    key: &str,
    fingerprint: &[u8],
) -> Result<Start> {
    let (tenant, principal) = (owner(tx, ctx), ctx.principal().name());
    let sql = format!(
        "INSERT INTO {schema}.idempotency (tenant_id, principal, method, key, fingerprint) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
    );
    let claim = query(sql)
        .bind(tenant.uuid())
        .bind(&principal)
        .bind(method)
        .bind(key)
        .bind(fingerprint);
    let claimed = tx.execute(claim).await.map_err(|error| {
        if error.reason() == Reason::Conflict {
            in_progress()
        } else {
            error
        }
    })?;
    if claimed == 1 {
        return Ok(Start::New);
    }
    let sql = format!(
        "SELECT fingerprint, response FROM {schema}.idempotency WHERE tenant_id = $1 AND principal = $2 AND method = $3 AND key = $4"
    );
    let found = tx
        .fetch_optional(query(sql).bind(tenant.uuid()).bind(&principal).bind(method).bind(key))
        .await?;
    let Some(row) = found else { return Err(in_progress()) }; // purged between the two statements
    let known: Vec<u8> = row.try_get("fingerprint").map_err(map_error)?;
    if known != fingerprint {
        return Err(Error::new(
            Reason::IdempotencyKeyReused,
            "The idempotency key was used for a different request. Use a new key for a new request.",
        ));
    }
    match row.try_get::<Option<Vec<u8>>, _>("response").map_err(map_error)? {
        Some(response) => {
            ctx.tally().replay();
            Ok(Start::Replay(response))
        }
        None => Err(in_progress()),
    }
}

/// Stores the response beside the effect; commit afterwards.
///
/// # Errors
/// As every statement.
pub async fn finish(
    tx: &mut impl Statements,
    schema: &'static str,
    ctx: &Ctx,
    method: &str,
    key: &str,
    response: &[u8],
) -> Result<()> {
    let (tenant, principal) = (owner(tx, ctx), ctx.principal().name());
    let sql = format!(
        "UPDATE {schema}.idempotency SET response = $5 WHERE tenant_id = $1 AND principal = $2 AND method = $3 AND key = $4"
    );
    let done = tx
        .execute(
            query(sql)
                .bind(tenant.uuid())
                .bind(&principal)
                .bind(method)
                .bind(key)
                .bind(response),
        )
        .await?;
    if done == 1 {
        Ok(())
    } else {
        Err(Error::internal("no idempotency key was begun in this transaction"))
    }
}

/// Forgets keys older than [`KEEP_SECONDS`].
///
/// # Errors
/// As every statement.
pub async fn purge(tx: &mut impl Statements, schema: &'static str) -> Result<u64> {
    let sql = format!(
        "DELETE FROM {schema}.idempotency WHERE create_time < pg_catalog.now() - pg_catalog.make_interval(secs => $1)"
    );
    tx.execute(query(sql).bind(f64::from(KEEP_SECONDS))).await
}

/// Calls on platform tables without a tenant are the platform tenant's.
fn owner(tx: &impl Statements, ctx: &Ctx) -> TenantId {
    tx.tenant_opt().or(ctx.tenant_opt()).unwrap_or(TenantId::PLATFORM)
}

fn in_progress() -> Error {
    Error::new(
        Reason::IdempotencyInProgress,
        "A request with this idempotency key is still running. Try again in a moment.",
    )
    .retry_after(std::time::Duration::from_secs(1))
}
