//! Operations: made by requests, claimed by workers over all tenants, moved on inside the tenant's own transactions.

use super::corrupt;
use crate::domain::operation::Operation;
use sqlx::Row;
use std::time::Duration;
use tenantry_db::{PgRow, Statements, SystemTx, Tx, map_error, query};
use tenantry_kernel::{Result, TenantId};
use tenantry_operations::{
    Claim, State,
    lease::{self, HELD},
};
use uuid::Uuid;

const COLUMNS: &str = "o.id, o.verb, o.target, o.state, o.step, o.attempt, o.last_error, o.done_units, o.total_units, \
                       o.cancel_requested, o.input, o.result, o.creator, o.create_time, o.update_time";

/// Adds a running operation.
///
/// # Errors
/// As every statement.
pub async fn insert(tx: &mut impl Statements, tenant: TenantId, operation: &Operation) -> Result<()> {
    let sql = "INSERT INTO business.operations (tenant_id, id, verb, target, state, step, total_units, input, creator, create_time, update_time) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)";
    let insert = query(sql)
        .bind(tenant.uuid())
        .bind(operation.id)
        .bind(operation.verb.clone())
        .bind(operation.target.clone())
        .bind(operation.state.as_str())
        .bind(operation.step.clone())
        .bind(operation.total_units)
        .bind(operation.input.clone())
        .bind(operation.creator.clone())
        .bind(operation.create_time);
    tx.execute(insert).await.map(|_| ())
}

/// One operation.
///
/// # Errors
/// As every statement.
pub async fn fetch(tx: &mut impl Statements, tenant: TenantId, id: Uuid) -> Result<Option<Operation>> {
    let sql = format!("SELECT {COLUMNS} FROM business.operations o WHERE o.tenant_id = $1 AND o.id = $2");
    let row = tx.fetch_optional(query(sql).bind(tenant.uuid()).bind(id)).await?;
    row.as_ref().map(decode).transpose()
}

/// Operations, newest first (ids are time-ordered), behind `before`.
///
/// # Errors
/// As every statement.
pub async fn list(tx: &mut Tx, before: Option<Uuid>, limit: i64) -> Result<Vec<Operation>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM business.operations o WHERE o.tenant_id = $1 AND ($2 IS NULL OR o.id < $2) ORDER BY o.id DESC LIMIT $3"
    );
    let rows = tx
        .fetch_all(query(sql).bind(tx.tenant().uuid()).bind(before).bind(limit))
        .await?;
    rows.iter().map(decode).collect()
}

/// Leases up to `limit` due operations, at most one a tenant, for `lease`.
///
/// # Errors
/// As every statement.
pub async fn claim(tx: &mut SystemTx, owner: Uuid, limit: i64, lease: Duration) -> Result<Vec<Claim>> {
    let sql = "WITH due AS (SELECT o.tenant_id, o.id, pg_catalog.row_number() OVER (PARTITION BY o.tenant_id ORDER BY o.next_time, o.id) AS turn \
                            FROM business.operations o WHERE o.state = 'running' AND o.next_time <= pg_catalog.now() ORDER BY o.next_time LIMIT 1000), \
                    picked AS (SELECT o.tenant_id, o.id FROM business.operations o JOIN due d ON d.tenant_id = o.tenant_id AND d.id = o.id \
                               WHERE d.turn = 1 AND o.state = 'running' AND o.next_time <= pg_catalog.now() LIMIT $2 FOR UPDATE OF o SKIP LOCKED) \
               UPDATE business.operations o SET lease_owner = $1, attempt = o.attempt + 1, next_time = pg_catalog.now() + pg_catalog.make_interval(secs => $3) \
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
        "UPDATE business.operations o SET step = $4, done_units = $5, total_units = $6, update_time = pg_catalog.clock_timestamp(), \
                      attempt = CASE WHEN o.step = $4 AND o.done_units = $5 THEN o.attempt ELSE 1 END, \
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

/// Takes running operations from whoever has them: the data they were working on is replaced. The next worker finds out.
///
/// # Errors
/// As every statement.
pub async fn release(tx: &mut SystemTx, tenant: TenantId) -> Result<()> {
    let sql = "UPDATE business.operations o SET lease_owner = NULL, next_time = pg_catalog.now() WHERE o.tenant_id = $1 AND o.state = 'running'";
    tx.execute(query(sql).bind(tenant.uuid())).await.map(|_| ())
}

fn decode(row: &PgRow) -> Result<Operation> {
    let state: String = row.try_get(3).map_err(map_error)?;
    let state = State::parse(&state).ok_or_else(|| corrupt("an operation"))?;
    let read = || -> sqlx::Result<Operation> {
        Ok(Operation {
            id: row.try_get(0)?,
            verb: row.try_get(1)?,
            target: row.try_get(2)?,
            state,
            step: row.try_get(4)?,
            attempt: row.try_get(5)?,
            last_error: row.try_get(6)?,
            done_units: row.try_get(7)?,
            total_units: row.try_get(8)?,
            cancel_requested: row.try_get(9)?,
            input: row.try_get(10)?,
            result: row.try_get(11)?,
            creator: row.try_get(12)?,
            create_time: row.try_get(13)?,
            update_time: row.try_get(14)?,
        })
    };
    read().map_err(map_error)
}
