//! API keys.

use super::{get, parsed, role};
use crate::domain::{ApiKey, UserState, session};
use chrono::{DateTime, Utc};
use tenantry_db::{PgRow, Tx, query};
use tenantry_kernel::{ApiKeyId, Result, Role, UserId};
use uuid::Uuid;

const COLUMNS: &str = "k.id, k.display_name, k.scopes, k.creator_id, k.expire_time, k.create_time, k.last_used_time";

/// Everything an exchange decides by, in one read.
#[derive(Clone, Debug)]
pub struct KeyProof {
    /// The key.
    pub key: ApiKey,
    /// SHA-256 of its secret.
    pub token_hash: Vec<u8>,
    /// The creator's role now.
    pub role: Role,
    /// The creator's state now.
    pub user_state: UserState,
    /// Tokens are dated after these.
    pub tokens_after: [Option<DateTime<Utc>>; 2],
}

fn decode(row: &PgRow) -> Result<ApiKey> {
    Ok(ApiKey {
        id: ApiKeyId::from_uuid(get(row, "id")?),
        display_name: get(row, "display_name")?,
        scopes: get(row, "scopes")?,
        creator: UserId::from_uuid(get(row, "creator_id")?),
        expire_time: get(row, "expire_time")?,
        create_time: get(row, "create_time")?,
        last_used_time: get(row, "last_used_time")?,
    })
}

/// By id.
pub async fn api_key_fetch(tx: &mut Tx, id: ApiKeyId) -> Result<Option<ApiKey>> {
    let sql = format!("SELECT {COLUMNS} FROM auth.api_keys k WHERE k.tenant_id = $1 AND k.id = $2");
    tx.fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id.uuid()))
        .await?
        .as_ref()
        .map(decode)
        .transpose()
}

/// By id, with its creator.
pub async fn api_key_proof(tx: &mut Tx, id: ApiKeyId) -> Result<Option<KeyProof>> {
    let sql = format!(
        "SELECT {COLUMNS}, k.token_hash, u.role, u.state AS user_state, u.tokens_after, r.tokens_after AS realm_after \
         FROM auth.api_keys k JOIN auth.users u ON u.tenant_id = k.tenant_id AND u.id = k.creator_id \
         JOIN auth.realms r ON r.tenant_id = k.tenant_id WHERE k.tenant_id = $1 AND k.id = $2"
    );
    let Some(row) = tx
        .fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id.uuid()))
        .await?
    else {
        return Ok(None);
    };
    Ok(Some(KeyProof {
        key: decode(&row)?,
        token_hash: get(&row, "token_hash")?,
        role: role(&row, "role")?,
        user_state: parsed(&row, "user_state", UserState::parse)?,
        tokens_after: [get(&row, "tokens_after")?, get(&row, "realm_after")?],
    }))
}

/// One page, newest first; `before` is exclusive.
pub async fn api_key_list(tx: &mut Tx, before: Option<Uuid>, limit: i64) -> Result<Vec<ApiKey>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM auth.api_keys k WHERE k.tenant_id = $1 AND ($2::uuid IS NULL OR k.id < $2) ORDER BY k.id DESC LIMIT $3"
    );
    tx.fetch_all(query(sql).bind(tx.tenant().uuid()).bind(before).bind(limit))
        .await?
        .iter()
        .map(decode)
        .collect()
}

/// How many there are.
pub async fn api_key_count(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT pg_catalog.count(*) AS n FROM auth.api_keys WHERE tenant_id = $1";
    get(&tx.fetch_one(query(sql).bind(tx.tenant().uuid())).await?, "n")
}

/// Ids of a member's keys.
pub async fn api_key_ids_of(tx: &mut Tx, creator: UserId) -> Result<Vec<Uuid>> {
    let sql = "SELECT id FROM auth.api_keys WHERE tenant_id = $1 AND creator_id = $2";
    tx.fetch_all(query(sql).bind(tx.tenant().uuid()).bind(creator.uuid()))
        .await?
        .iter()
        .map(|row| get(row, "id"))
        .collect()
}

/// Adds one.
pub async fn api_key_insert(tx: &mut Tx, key: &ApiKey, token_hash: &[u8]) -> Result<()> {
    let sql = "INSERT INTO auth.api_keys (tenant_id, id, creator_id, display_name, scopes, token_hash, create_time, expire_time) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(key.id.uuid())
        .bind(key.creator.uuid())
        .bind(&key.display_name)
        .bind(&key.scopes)
        .bind(token_hash)
        .bind(key.create_time)
        .bind(key.expire_time);
    tx.execute(insert).await.map(|_| ())
}

/// Notes a use, at most once a minute.
pub async fn api_key_touch(tx: &mut Tx, id: ApiKeyId, now: DateTime<Utc>) -> Result<()> {
    let sql = "UPDATE auth.api_keys SET last_used_time = $3 WHERE tenant_id = $1 AND id = $2 AND (last_used_time IS NULL OR last_used_time < $4)";
    let touch = query(sql)
        .bind(tx.tenant().uuid())
        .bind(id.uuid())
        .bind(now)
        .bind(now - session::LAST_USED_STEP);
    tx.execute(touch).await.map(|_| ())
}

/// Removes one; whether it was there.
pub async fn api_key_delete(tx: &mut Tx, id: ApiKeyId) -> Result<bool> {
    let sql = "DELETE FROM auth.api_keys WHERE tenant_id = $1 AND id = $2";
    Ok(tx.execute(query(sql).bind(tx.tenant().uuid()).bind(id.uuid())).await? == 1)
}
