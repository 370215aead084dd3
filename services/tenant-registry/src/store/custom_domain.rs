//! `registry.domains`: claims through the tenant's own context, verification by operators.

use super::{col, text_col};
use crate::domain::{CustomDomain, DomainState};
use sqlx::postgres::PgRow;
use tenantry_db::{SystemTx, Tx, query};
use tenantry_kernel::{Error, Reason, Result, TenantId};

const COLUMNS: &str = "domain, state, verification_token, create_time";

/// Claims a domain for the transaction's tenant.
///
/// # Errors
/// `ALREADY_EXISTS` where this tenant claims it already.
pub async fn domain_insert(tx: &mut Tx, claim: &CustomDomain) -> Result<()> {
    let sql =
        "INSERT INTO registry.domains (tenant_id, domain, verification_token, create_time) VALUES ($1, $2, $3, $4)";
    let insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(&claim.domain)
        .bind(&claim.verification_token)
        .bind(claim.create_time);
    tx.execute(insert)
        .await
        .map(|_| ())
        .map_err(|error| match error.reason() {
            Reason::UniqueViolation => {
                Error::new(Reason::AlreadyExists, "You have claimed this domain already.").because(error)
            }
            _ => error,
        })
}

/// How many the tenant claims.
///
/// # Errors
/// As every statement.
pub async fn domain_count(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT pg_catalog.count(*) AS claims FROM registry.domains WHERE tenant_id = $1";
    let tenant = tx.tenant().uuid();
    col(&tx.fetch_one(query(sql).bind(tenant)).await?, "claims")
}

/// Up to `limit` claims of the tenant by name.
///
/// # Errors
/// As every statement.
pub async fn domain_list(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<CustomDomain>> {
    let tenant = tx.tenant().uuid();
    let list = query(list_sql()).bind(tenant).bind(after).bind(limit);
    tx.fetch_all(list).await?.iter().map(decode).collect()
}

/// The same of any tenant, for operators.
///
/// # Errors
/// As every statement.
pub async fn domain_list_of(tx: &mut SystemTx, tenant: TenantId, after: &str, limit: i64) -> Result<Vec<CustomDomain>> {
    let list = query(list_sql()).bind(tenant.uuid()).bind(after).bind(limit);
    tx.fetch_all(list).await?.iter().map(decode).collect()
}

fn list_sql() -> String {
    format!("SELECT {COLUMNS} FROM registry.domains WHERE tenant_id = $1 AND domain > $2 ORDER BY domain LIMIT $3")
}

/// Gives a claim up; says whether it was verified.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn domain_delete(tx: &mut Tx, domain: &str) -> Result<DomainState> {
    let sql = "DELETE FROM registry.domains WHERE tenant_id = $1 AND domain = $2 RETURNING state";
    let tenant = tx.tenant().uuid();
    text_col(
        &tx.fetch_one(query(sql).bind(tenant).bind(domain)).await?,
        "state",
        DomainState::parse,
    )
}

/// A claim of a tenant, locked.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn domain_of_tenant(tx: &mut SystemTx, tenant: TenantId, domain: &str) -> Result<CustomDomain> {
    let sql = format!("SELECT {COLUMNS} FROM registry.domains WHERE tenant_id = $1 AND domain = $2 FOR UPDATE");
    decode(&tx.fetch_one(query(sql).bind(tenant.uuid()).bind(domain)).await?)
}

/// Marks a locked claim as proved.
///
/// # Errors
/// `ALREADY_EXISTS` where another tenant has it verified.
pub async fn domain_verify(tx: &mut SystemTx, tenant: TenantId, domain: &str) -> Result<CustomDomain> {
    let sql = format!(
        "UPDATE registry.domains SET state = 'verified' WHERE tenant_id = $1 AND domain = $2 RETURNING {COLUMNS}"
    );
    let row = tx
        .fetch_one(query(sql).bind(tenant.uuid()).bind(domain))
        .await
        .map_err(|error| match error.reason() {
            Reason::UniqueViolation => {
                let text = "Another tenant has this domain verified. It must give the domain up first.";
                Error::new(Reason::AlreadyExists, text).because(error)
            }
            _ => error,
        })?;
    decode(&row)
}

fn decode(row: &PgRow) -> Result<CustomDomain> {
    Ok(CustomDomain {
        domain: col(row, "domain")?,
        state: text_col(row, "state", DomainState::parse)?,
        verification_token: col(row, "verification_token")?,
        create_time: col(row, "create_time")?,
    })
}
