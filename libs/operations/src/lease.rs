//! Who works on an operation: a lease that another worker takes over when it runs out. The table is `{schema}.operations`
//! with `tenant_id`, `id`, `state`, `lease_owner`, `next_time`, `attempt`, `last_error`, `done_units`, `result`,
//! `cancel_requested` and `update_time`. A lease ends at its `next_time`, as a wait for the next try does.

use crate::State;
use serde_json::Value as Json;
use sqlx::Row;
use std::time::Duration;
use tenantry_db::{PgRow, Tx, map_error, query};
use tenantry_kernel::{Error, Reason, Result, TenantId};
use uuid::Uuid;

/// A claimed operation: whoever holds `owner` may move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub operation: Uuid,
    /// This claim; another one takes it away.
    pub owner: Uuid,
    /// Which try this is.
    pub attempt: i32,
}

/// The claims of `owner`, from rows of `tenant_id, id, attempt`.
///
/// # Errors
/// `INTERNAL` where the rows are others.
pub fn claims(rows: &[PgRow], owner: Uuid) -> Result<Vec<Claim>> {
    let decode = |row: &PgRow| {
        Ok(Claim {
            tenant: TenantId::from_uuid(row.try_get(0)?),
            operation: row.try_get(1)?,
            owner,
            attempt: row.try_get(2)?,
        })
    };
    rows.iter().map(decode).collect::<sqlx::Result<_>>().map_err(map_error)
}

/// Asks a running operation to stop; whether it exists. One that waits for its next try is due at once.
///
/// # Errors
/// As every statement.
pub async fn request_cancel(tx: &mut Tx, schema: &'static str, id: Uuid) -> Result<bool> {
    let sql = format!(
        "UPDATE {schema}.operations o SET cancel_requested = o.cancel_requested OR o.state = 'running', \
                next_time = CASE WHEN o.lease_owner IS NULL THEN LEAST(o.next_time, pg_catalog.now()) ELSE o.next_time END \
         WHERE o.tenant_id = $1 AND o.id = $2"
    );
    Ok(tx.execute(query(sql).bind(tx.tenant().uuid()).bind(id)).await? == 1)
}

/// Ends a claimed operation. `done`: units, where they are not what was last said.
///
/// # Errors
/// `CONFLICT` where the claim was lost (see [`is_lost`]); the transaction must not commit then.
pub async fn finish(
    tx: &mut Tx,
    schema: &'static str,
    claim: &Claim,
    (state, done): (State, Option<i64>),
    result: &Json,
    last_error: &str,
) -> Result<()> {
    let sql = format!(
        "UPDATE {schema}.operations o SET state = $4, result = $5, last_error = $6, done_units = COALESCE($7, o.done_units), \
                update_time = pg_catalog.clock_timestamp(), lease_owner = NULL WHERE {HELD}"
    );
    let finish = query(sql)
        .bind(tx.tenant().uuid())
        .bind(claim.operation)
        .bind(claim.owner)
        .bind(state.as_str())
        .bind(result.clone())
        .bind(last_error.to_owned())
        .bind(done);
    held(tx.execute(finish).await?)
}

/// How long an operation waits after its `attempt`th try failed: twice as long each time, from a second to half a minute.
#[must_use]
pub fn backoff(attempt: i32) -> Duration {
    Duration::from_millis(500) * 2_u32.pow(attempt.clamp(1, 6).unsigned_abs())
}

/// Gives a claimed operation back, due again after `delay`.
///
/// # Errors
/// As [`finish`].
pub async fn retry_later(
    tx: &mut Tx,
    schema: &'static str,
    claim: &Claim,
    last_error: &str,
    delay: Duration,
) -> Result<()> {
    let sql = format!(
        "UPDATE {schema}.operations o SET last_error = $4, lease_owner = NULL, update_time = pg_catalog.now(), \
                next_time = pg_catalog.now() + pg_catalog.make_interval(secs => $5) WHERE {HELD}"
    );
    let retry = query(sql)
        .bind(tx.tenant().uuid())
        .bind(claim.operation)
        .bind(claim.owner)
        .bind(last_error.to_owned())
        .bind(delay.as_secs_f64());
    held(tx.execute(retry).await?)
}

/// The row that only the holder of the claim may touch: `$1` the tenant, `$2` the operation, `$3` the owner.
pub const HELD: &str = "o.tenant_id = $1 AND o.id = $2 AND o.lease_owner = $3 AND o.state = 'running'";

/// What a statement over [`HELD`] found.
///
/// # Errors
/// `CONFLICT` where the claim was lost.
pub fn held(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(lost()) }
}

/// Marks the error of a lost claim: others have its reason, too.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the claim was lost")]
struct Lost;

/// The error of a lost claim.
#[must_use]
pub fn lost() -> Error {
    Error::new(Reason::Conflict, "Another worker has taken the operation over.").because(Lost)
}

/// Another worker has the operation now: there is nothing left to do or to note.
#[must_use]
pub fn is_lost(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<Lost>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_claim_is_told_from_every_other_conflict() {
        assert!(is_lost(&lost()));
        assert!(!is_lost(&Error::new(
            Reason::Conflict,
            "Another worker has taken the operation over."
        )));
        assert!(held(1).is_ok());
        assert!(is_lost(&held(0).expect_err("nobody's")));
    }

    #[test]
    fn waits_grow_and_end_growing() {
        let seconds = [0, 1, 2, 5, 6, 7, i32::MAX].map(|attempt| backoff(attempt).as_secs());
        assert_eq!(seconds, [1, 1, 2, 16, 32, 32, 32]);
    }
}
