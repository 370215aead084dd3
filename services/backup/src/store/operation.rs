//! Operations: made by requests and the scheduler, claimed by workers over all tenants, moved on inside the tenant's
//! own transactions.

use super::{corrupt, json};
use crate::domain::{
    Snapshot,
    operation::{Checkpoint, Operation, Verb},
};
use serde_json::Value as Json;
use sqlx::Row;
use std::time::Duration;
use tenantry_db::{PgRow, Statements, SystemTx, Tx, map_error, query};
use tenantry_kernel::{Error, Result, TenantId};
use tenantry_operations::{
    Claim, State,
    lease::{self, HELD},
};
use uuid::Uuid;

const COLUMNS: &str = "o.id, o.verb, o.snapshot_id, o.state, o.step, o.attempt, o.last_error, o.done_units, o.total_units, \
                       o.cancel_requested, o.input, o.checkpoint, o.result, o.creator, o.create_time, o.update_time";

/// Adds a running operation.
///
/// # Errors
/// As every statement.
pub async fn insert(tx: &mut impl Statements, tenant: TenantId, operation: &Operation) -> Result<()> {
    let sql = "INSERT INTO backup.operations (tenant_id, id, verb, snapshot_id, state, step, input, creator, create_time, update_time) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)";
    let insert = query(sql)
        .bind(tenant.uuid())
        .bind(operation.id)
        .bind(operation.verb.as_str())
        .bind(operation.snapshot)
        .bind(operation.state.as_str())
        .bind(operation.step.clone())
        .bind(json(&operation.input)?)
        .bind(operation.creator.clone())
        .bind(operation.create_time);
    tx.execute(insert).await.map(|_| ())
}

/// One operation.
///
/// # Errors
/// As every statement.
pub async fn fetch(tx: &mut Tx, id: Uuid) -> Result<Option<Operation>> {
    let sql = format!("SELECT {COLUMNS} FROM backup.operations o WHERE o.tenant_id = $1 AND o.id = $2");
    let row = tx.fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id)).await?;
    row.as_ref().map(decode).transpose()
}

/// Operations, newest first (ids are time-ordered), behind `before`.
///
/// # Errors
/// As every statement.
pub async fn list(tx: &mut Tx, before: Option<Uuid>, limit: i64) -> Result<Vec<Operation>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM backup.operations o WHERE o.tenant_id = $1 AND ($2 IS NULL OR o.id < $2) ORDER BY o.id DESC LIMIT $3"
    );
    let rows = tx
        .fetch_all(query(sql).bind(tx.tenant().uuid()).bind(before).bind(limit))
        .await?;
    rows.iter().map(decode).collect()
}

/// Whether a running operation works on a snapshot: reads it, or has made it and may need it, as a restore does with what
/// it has kept.
///
/// # Errors
/// As every statement.
pub async fn works_on(tx: &mut Tx, snapshot: &Snapshot) -> Result<bool> {
    let sql = "SELECT true FROM backup.operations o WHERE o.tenant_id = $1 AND (o.snapshot_id = $2 OR o.id = $3) AND o.state = 'running' LIMIT 1";
    let found = query(sql)
        .bind(tx.tenant().uuid())
        .bind(snapshot.id)
        .bind(snapshot.operation);
    Ok(tx.fetch_optional(found).await?.is_some())
}

/// How many operations of the tenant are not finished.
///
/// # Errors
/// As every statement.
pub async fn running(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT pg_catalog.count(*) FROM backup.operations o WHERE o.tenant_id = $1 AND o.state = 'running'";
    let row = tx.fetch_one(query(sql).bind(tx.tenant().uuid())).await?;
    row.try_get(0).map_err(map_error)
}

/// Leases up to `limit` due operations for `lease`. A tenant's turn is its oldest running one, also while that waits for its
/// next try: a restore never meets another one half way. Across tenants the one that is due longest comes first.
///
/// # Errors
/// As every statement.
pub async fn claim(tx: &mut SystemTx, owner: Uuid, limit: i64, lease: Duration) -> Result<Vec<Claim>> {
    // A lease ends at its next_time, as a wait does.
    let sql = "WITH turns AS (SELECT DISTINCT ON (o.tenant_id) o.tenant_id, o.id FROM backup.operations o \
                              WHERE o.state = 'running' ORDER BY o.tenant_id, o.id), \
                    picked AS (SELECT o.tenant_id, o.id FROM backup.operations o JOIN turns t ON t.tenant_id = o.tenant_id AND t.id = o.id \
                               WHERE o.state = 'running' AND o.next_time <= pg_catalog.now() ORDER BY o.next_time, o.id LIMIT $2 FOR UPDATE OF o SKIP LOCKED) \
               UPDATE backup.operations o SET lease_owner = $1, attempt = o.attempt + 1, next_time = pg_catalog.now() + pg_catalog.make_interval(secs => $3) \
               FROM picked p WHERE o.tenant_id = p.tenant_id AND o.id = p.id RETURNING o.tenant_id, o.id, o.attempt";
    let rows = tx
        .fetch_all(query(sql).bind(owner).bind(limit).bind(lease.as_secs_f64()))
        .await?;
    lease::claims(&rows, owner)
}

/// Moves a claimed operation on and renews the lease; answers whether somebody asked it to stop.
///
/// # Errors
/// `CONFLICT` where the claim was lost; the transaction must not commit then.
pub async fn advance(tx: &mut Tx, claim: &Claim, step: &str, done: i64, total: i64, lease: Duration) -> Result<bool> {
    let sql = format!(
        "UPDATE backup.operations o SET step = $4, done_units = $5, total_units = $6, update_time = pg_catalog.clock_timestamp(), \
                      next_time = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $7) \
               WHERE {HELD} RETURNING o.cancel_requested"
    );
    let advance = query(sql)
        .bind(tx.tenant().uuid())
        .bind(claim.operation)
        .bind(claim.owner)
        .bind(step.to_owned())
        .bind(done)
        .bind(total)
        .bind(lease.as_secs_f64());
    let row = tx.fetch_optional(advance).await?.ok_or_else(lease::lost)?;
    row.try_get(0).map_err(map_error)
}

/// Keeps what was done before the next step begins. `further`: it was never as far before, so tries are counted anew.
///
/// # Errors
/// As [`advance`].
pub async fn checkpoint(tx: &mut Tx, claim: &Claim, checkpoint: &Checkpoint, further: bool) -> Result<()> {
    let sql = format!(
        "UPDATE backup.operations o SET checkpoint = $4, attempt = CASE WHEN $5 THEN 1 ELSE o.attempt END \
               WHERE {HELD}"
    );
    let write = query(sql)
        .bind(tx.tenant().uuid())
        .bind(claim.operation)
        .bind(claim.owner)
        .bind(json(checkpoint)?)
        .bind(further);
    lease::held(tx.execute(write).await?)
}

/// As [`lease::retry_later`], without counting this try: it is not the operation's fault that it cannot go on.
///
/// # Errors
/// As [`advance`].
pub async fn park(tx: &mut impl Statements, claim: &Claim, delay: Duration) -> Result<()> {
    let sql = format!(
        "UPDATE backup.operations o SET lease_owner = NULL, attempt = GREATEST(o.attempt - 1, 0), \
                      next_time = pg_catalog.now() + pg_catalog.make_interval(secs => $4) \
               WHERE {HELD}"
    );
    let park = query(sql)
        .bind(claim.tenant.uuid())
        .bind(claim.operation)
        .bind(claim.owner)
        .bind(delay.as_secs_f64());
    lease::held(tx.execute(park).await?)
}

fn decode(row: &PgRow) -> Result<Operation> {
    let text = |at: usize| row.try_get::<String, _>(at).map_err(map_error);
    let value = |at: usize| row.try_get::<Json, _>(at).map_err(map_error);
    let bad = || corrupt("an operation");
    let (verb, state) = (
        Verb::parse(&text(1)?).ok_or_else(bad)?,
        State::parse(&text(3)?).ok_or_else(bad)?,
    );
    let input = serde_json::from_value(value(10)?).map_err(Error::internal)?;
    let checkpoint = serde_json::from_value(value(11)?).map_err(Error::internal)?;
    let read = || -> sqlx::Result<Operation> {
        Ok(Operation {
            id: row.try_get(0)?,
            verb,
            snapshot: row.try_get(2)?,
            state,
            step: row.try_get(4)?,
            attempt: row.try_get(5)?,
            last_error: row.try_get(6)?,
            done_units: row.try_get(7)?,
            total_units: row.try_get(8)?,
            cancel_requested: row.try_get(9)?,
            input,
            checkpoint,
            result: row.try_get(12)?,
            creator: row.try_get(13)?,
            create_time: row.try_get(14)?,
            update_time: row.try_get(15)?,
        })
    };
    read().map_err(map_error)
}
