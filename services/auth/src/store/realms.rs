//! Realms: one row per tenant that auth serves.

use super::get;
use chrono::{DateTime, Utc};
use tenantry_db::{PgRow, Tx, query};
use tenantry_kernel::Result;

/// A tenant as auth knows it.
#[derive(Clone, Debug)]
pub struct Realm {
    /// For issuer and links.
    pub slug: String,
    /// Tokens of the tenant are dated after this.
    pub tokens_after: Option<DateTime<Utc>>,
}

fn decode(row: &PgRow) -> Result<Realm> {
    Ok(Realm {
        slug: get(row, "slug")?,
        tokens_after: get(row, "tokens_after")?,
    })
}

/// The transaction's realm.
pub async fn realm_fetch(tx: &mut Tx) -> Result<Option<Realm>> {
    let sql = "SELECT slug, tokens_after FROM auth.realms WHERE tenant_id = $1";
    let row = tx.fetch_optional(query(sql).bind(tx.tenant().uuid())).await?;
    row.as_ref().map(decode).transpose()
}

/// The realm, locked: what is counted per tenant (members, keys) is counted under this lock.
pub async fn realm_lock(tx: &mut Tx) -> Result<()> {
    let sql = "SELECT 1 AS one FROM auth.realms WHERE tenant_id = $1 FOR UPDATE";
    tx.fetch_one(query(sql).bind(tx.tenant().uuid())).await.map(|_| ())
}

/// Adds it; a known realm stays as it is. Whether it is new.
pub async fn realm_insert(tx: &mut Tx, slug: &str) -> Result<bool> {
    let sql = "INSERT INTO auth.realms (tenant_id, slug) VALUES ($1, $2) ON CONFLICT (tenant_id) DO NOTHING";
    Ok(tx.execute(query(sql).bind(tx.tenant().uuid()).bind(slug)).await? == 1)
}

/// Dates all further tokens after `at`, or after those that are out already; the time that was set.
pub async fn realm_tokens_after(tx: &mut Tx, at: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let sql = "UPDATE auth.realms SET tokens_after = greatest($2, tokens_after + interval '1 millisecond') WHERE tenant_id = $1 \
               RETURNING tokens_after";
    let row = tx.fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(at)).await?;
    row.map_or(Ok(at), |row| get(&row, "tokens_after"))
}

/// Key material first, in a transaction of its own: from its commit on nothing secret of the tenant can be read.
pub async fn realm_shred(tx: &mut Tx) -> Result<()> {
    for table in ["tenant_keys", "data_keys", "signing_keys"] {
        delete_all(tx, table).await?;
    }
    Ok(())
}

/// Everything else of the tenant, apart from messages under way and the inbox (a resent command must find its reply).
pub async fn realm_delete(tx: &mut Tx) -> Result<()> {
    let tables = [
        "api_keys",
        "refresh_tokens",
        "sessions",
        "one_time_links",
        "credentials",
        "users",
        "login_throttle",
    ];
    for table in tables.into_iter().chain(["security_events", "idempotency", "realms"]) {
        delete_all(tx, table).await?;
    }
    Ok(())
}

async fn delete_all(tx: &mut Tx, table: &'static str) -> Result<()> {
    let sql = format!("DELETE FROM auth.{table} WHERE tenant_id = $1");
    tx.execute(query(sql).bind(tx.tenant().uuid())).await.map(|_| ())
}
