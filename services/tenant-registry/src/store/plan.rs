//! `registry.plans`.

use super::{col, u32_col};
use crate::domain::Plan;
use sqlx::postgres::PgRow;
use std::collections::BTreeSet;
use tenantry_db::{SystemTx, query};
use tenantry_kernel::{Error, Limits, Reason, Result};

const COLUMNS: &str = "plan_id, display_name, requests_per_second, burst, users, object_types, records, api_keys, features, requests_per_month, version";

/// Adds a plan.
///
/// # Errors
/// `ALREADY_EXISTS`.
pub async fn plan_insert(tx: &mut SystemTx, plan: &Plan) -> Result<Plan> {
    let sql = format!(
        "INSERT INTO registry.plans (plan_id, display_name, requests_per_second, burst, users, object_types, records, api_keys, features, requests_per_month) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING {COLUMNS}"
    );
    let inserted = tx
        .fetch_one(bind(query(sql), plan))
        .await
        .map_err(|error| match error.reason() {
            Reason::UniqueViolation => Error::new(
                Reason::AlreadyExists,
                "A plan of this name exists. Choose another name.",
            )
            .because(error),
            _ => error,
        })?;
    decode(&inserted)
}

/// One plan.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn plan_fetch(tx: &mut SystemTx, id: &str) -> Result<Plan> {
    decode(
        &tx.fetch_one(query(format!("SELECT {COLUMNS} FROM registry.plans WHERE plan_id = $1")).bind(id))
            .await?,
    )
}

/// One plan, locked against other changes of it (not against tenants that choose it).
///
/// # Errors
/// `NOT_FOUND`.
pub async fn plan_lock(tx: &mut SystemTx, id: &str) -> Result<Plan> {
    decode(
        &tx.fetch_one(
            query(format!(
                "SELECT {COLUMNS} FROM registry.plans WHERE plan_id = $1 FOR NO KEY UPDATE"
            ))
            .bind(id),
        )
        .await?,
    )
}

/// Up to `limit` plans by id.
///
/// # Errors
/// As every statement.
pub async fn plan_list(tx: &mut SystemTx, after: &str, limit: i64) -> Result<Vec<Plan>> {
    let sql = format!("SELECT {COLUMNS} FROM registry.plans WHERE plan_id > $1 ORDER BY plan_id LIMIT $2");
    tx.fetch_all(query(sql).bind(after).bind(limit))
        .await?
        .iter()
        .map(decode)
        .collect()
}

/// Writes a locked plan.
///
/// # Errors
/// As every statement.
pub async fn plan_update(tx: &mut SystemTx, plan: &Plan) -> Result<Plan> {
    let sql = format!(
        "UPDATE registry.plans SET display_name = $2, requests_per_second = $3, burst = $4, users = $5, object_types = $6, records = $7, \
         api_keys = $8, features = $9, requests_per_month = $10, version = version + 1, update_time = pg_catalog.now() WHERE plan_id = $1 RETURNING {COLUMNS}"
    );
    decode(&tx.fetch_one(bind(query(sql), plan)).await?)
}

fn bind(sql: tenantry_db::Query<'static>, plan: &Plan) -> tenantry_db::Query<'static> {
    let features: Vec<String> = plan.features.iter().cloned().collect();
    let limits = plan.limits;
    sql.bind(plan.id.clone())
        .bind(plan.display_name.clone())
        .bind(i64::from(limits.requests_per_second))
        .bind(i64::from(limits.burst))
        .bind(i64::from(limits.users))
        .bind(i64::from(limits.object_types))
        .bind(i64::try_from(limits.records).unwrap_or(i64::MAX))
        .bind(i64::from(limits.api_keys))
        .bind(features)
        .bind(i64::try_from(limits.requests_per_month).unwrap_or(i64::MAX))
}

fn decode(row: &PgRow) -> Result<Plan> {
    Ok(Plan {
        id: col(row, "plan_id")?,
        display_name: col(row, "display_name")?,
        limits: limits(row)?,
        features: features(row)?,
        version: col(row, "version")?,
    })
}

/// The limits in a row that holds the columns of a plan.
pub(super) fn limits(row: &PgRow) -> Result<Limits> {
    Ok(Limits {
        requests_per_second: u32_col(row, "requests_per_second")?,
        burst: u32_col(row, "burst")?,
        users: u32_col(row, "users")?,
        object_types: u32_col(row, "object_types")?,
        records: u64::try_from(col::<i64>(row, "records")?).map_err(Error::internal)?,
        api_keys: u32_col(row, "api_keys")?,
        requests_per_month: u64::try_from(col::<i64>(row, "requests_per_month")?).map_err(Error::internal)?,
    })
}

/// The features in such a row.
pub(super) fn features(row: &PgRow) -> Result<BTreeSet<String>> {
    Ok(col::<Vec<String>>(row, "features")?.into_iter().collect())
}
