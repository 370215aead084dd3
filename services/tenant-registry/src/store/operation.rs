//! `registry.operations`: the state of the sagas.

use super::{col, text_col};
use crate::domain::{Failure, Operation, Phase, Saga, Step, Verb};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::postgres::PgRow;
use std::time::Duration;
use tenantry_db::{SystemTx, query};
use tenantry_kernel::{Error, OperationId, Reason, Result, TenantId};
use uuid::Uuid;

const COLUMNS: &str = "operation_id, tenant_id, slug, verb, phase, step, command_id, attempt, last_error, input, failure, response, invite, \
     created_by, traceparent, create_time, update_time";

/// Stores a new operation; the driver looks at it at once.
///
/// # Errors
/// `FAILED_PRECONDITION` where another operation of the tenant is running.
pub async fn operation_insert(tx: &mut SystemTx, operation: &Operation) -> Result<()> {
    let sql = "INSERT INTO registry.operations (operation_id, tenant_id, slug, verb, phase, step, command_id, input, response, created_by, traceparent, \
               create_time, update_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)";
    let insert = query(sql)
        .bind(operation.id.uuid())
        .bind(operation.tenant.uuid())
        .bind(&operation.slug)
        .bind(operation.saga.verb.as_str())
        .bind(operation.saga.phase.as_str())
        .bind(operation.saga.step.map_or("", Step::as_str))
        .bind(operation.command)
        .bind(json(&operation.input)?)
        .bind(operation.response.as_ref().map(json).transpose()?)
        .bind(&operation.created_by)
        .bind(&operation.traceparent)
        .bind(operation.create_time);
    tx.execute(insert)
        .await
        .map(|_| ())
        .map_err(|error| match error.reason() {
            Reason::UniqueViolation => busy().because(error),
            _ => error,
        })
}

/// The operation of a tenant that is not over, if there is one.
///
/// # Errors
/// As every statement.
pub async fn operation_running(tx: &mut SystemTx, tenant: TenantId) -> Result<Option<OperationId>> {
    let sql = "SELECT operation_id FROM registry.operations WHERE tenant_id = $1 AND phase <> 'done'";
    let row = tx.fetch_optional(query(sql).bind(tenant.uuid())).await?;
    row.map(|row| Ok(OperationId::from_uuid(col::<Uuid>(&row, "operation_id")?)))
        .transpose()
}

/// One operation.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn operation_fetch(tx: &mut SystemTx, id: OperationId) -> Result<Operation> {
    decode(
        &tx.fetch_one(
            query(format!(
                "SELECT {COLUMNS} FROM registry.operations WHERE operation_id = $1"
            ))
            .bind(id.uuid()),
        )
        .await?,
    )
}

/// One operation, locked: its next move is the caller's.
///
/// # Errors
/// As every statement.
pub async fn operation_lock(tx: &mut SystemTx, id: OperationId) -> Result<Option<Operation>> {
    let sql = format!("SELECT {COLUMNS} FROM registry.operations WHERE operation_id = $1 FOR UPDATE");
    tx.fetch_optional(query(sql).bind(id.uuid()))
        .await?
        .as_ref()
        .map(decode)
        .transpose()
}

/// Up to `limit` operations, newest first.
///
/// # Errors
/// As every statement.
pub async fn operation_list(tx: &mut SystemTx, before: Option<OperationId>, limit: i64) -> Result<Vec<Operation>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM registry.operations WHERE operation_id < $1 ORDER BY operation_id DESC LIMIT $2"
    );
    let before = before.map_or(Uuid::max(), OperationId::uuid);
    tx.fetch_all(query(sql).bind(before).bind(limit))
        .await?
        .iter()
        .map(decode)
        .collect()
}

/// The operation that has waited longest for the driver, locked; others skip it.
///
/// # Errors
/// As every statement.
pub async fn operation_claim_due(tx: &mut SystemTx) -> Result<Option<Operation>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM registry.operations WHERE phase <> 'done' AND next_time <= pg_catalog.now() \
         ORDER BY next_time, operation_id LIMIT 1 FOR UPDATE SKIP LOCKED"
    );
    tx.fetch_optional(query(sql)).await?.as_ref().map(decode).transpose()
}

/// Writes where a locked operation stands; the driver looks at it again after `wait`.
///
/// # Errors
/// As every statement.
pub async fn operation_save(tx: &mut SystemTx, operation: &Operation, wait: Duration) -> Result<()> {
    let sql = "UPDATE registry.operations SET phase = $2, step = $3, command_id = $4, attempt = $5, last_error = $6, failure = $7, response = $8, \
               invite = $9, update_time = $10, next_time = pg_catalog.now() + pg_catalog.make_interval(secs => $11) WHERE operation_id = $1";
    let saga = &operation.saga;
    let save = query(sql)
        .bind(operation.id.uuid())
        .bind(saga.phase.as_str())
        .bind(saga.step.map_or("", Step::as_str))
        .bind(operation.command)
        .bind(i32::try_from(saga.attempt).unwrap_or(i32::MAX))
        .bind(&saga.last_error)
        .bind(saga.failure.as_ref().map(json).transpose()?)
        .bind(operation.response.as_ref().map(json).transpose()?)
        .bind(&operation.invite)
        .bind(operation.update_time)
        .bind(wait.as_secs_f64());
    match tx.execute(save).await? {
        1 => Ok(()),
        _ => Err(Error::internal("a locked operation vanished")),
    }
}

fn busy() -> Error {
    Error::new(
        Reason::FailedPrecondition,
        "Another operation on this tenant is still running. Wait until it is done.",
    )
}

fn json<T: Serialize>(value: &T) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(Error::internal)
}

fn from_json<T: DeserializeOwned>(row: &PgRow, name: &str) -> Result<Option<T>> {
    col::<Option<serde_json::Value>>(row, name)?
        .map(|value| serde_json::from_value(value).map_err(Error::internal))
        .transpose()
}

fn decode(row: &PgRow) -> Result<Operation> {
    let saga = Saga {
        verb: text_col(row, "verb", Verb::parse)?,
        phase: text_col(row, "phase", Phase::parse)?,
        step: Step::parse(col(row, "step")?),
        attempt: u32::try_from(col::<i32>(row, "attempt")?).unwrap_or(0),
        last_error: col(row, "last_error")?,
        failure: from_json::<Failure>(row, "failure")?,
    };
    Ok(Operation {
        id: OperationId::from_uuid(col::<Uuid>(row, "operation_id")?),
        tenant: TenantId::from_uuid(col::<Uuid>(row, "tenant_id")?),
        slug: col(row, "slug")?,
        saga,
        command: col(row, "command_id")?,
        input: from_json(row, "input")?.unwrap_or_default(),
        response: from_json(row, "response")?,
        invite: col(row, "invite")?,
        created_by: col(row, "created_by")?,
        traceparent: col(row, "traceparent")?,
        create_time: col(row, "create_time")?,
        update_time: col(row, "update_time")?,
    })
}
