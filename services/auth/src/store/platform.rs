//! Key material of the platform: the transaction token key and the keys of database contexts. System login only.

use super::get;
use serde_json::Value;
use tenantry_db::{PgRow, SystemDb, SystemTx, query};
use tenantry_kernel::Result;
use uuid::Uuid;

/// A wrapped transaction token key.
#[derive(Clone, Debug)]
pub struct PlatformKey {
    /// Row.
    pub id: Uuid,
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// Wrapped PKCS#8.
    pub wrapped: Vec<u8>,
    /// The public half.
    pub jwk: Value,
    /// `next`, `active` or `retired`.
    pub state: String,
    /// Seconds since its state last changed.
    pub age_seconds: f64,
}

/// A wrapped context key.
#[derive(Clone, Debug)]
pub struct ContextKey {
    /// Its name in `tenancy.context_keys`.
    pub kid: i32,
    /// Wrapped HMAC key.
    pub wrapped: Vec<u8>,
}

/// Every key, newest first.
pub async fn platform_key_list(tx: &mut SystemTx) -> Result<Vec<PlatformKey>> {
    let sql = "SELECT id, kid, wrapped, jwk, state, pg_catalog.date_part('epoch', pg_catalog.now() - change_time) AS age \
               FROM auth.platform_keys ORDER BY create_time DESC, id DESC";
    let decode = |row: &PgRow| {
        Ok(PlatformKey {
            id: get(row, "id")?,
            kid: get(row, "kid")?,
            wrapped: get(row, "wrapped")?,
            jwk: get(row, "jwk")?,
            state: get(row, "state")?,
            age_seconds: get(row, "age")?,
        })
    };
    tx.fetch_all(query(sql)).await?.iter().map(decode).collect()
}

/// Adds a key; a second active one is not added.
pub async fn platform_key_insert(tx: &mut SystemTx, key: &PlatformKey) -> Result<()> {
    let sql = "INSERT INTO auth.platform_keys (id, kid, wrapped, jwk, state) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let insert = query(sql)
        .bind(key.id)
        .bind(&key.kid)
        .bind(&key.wrapped)
        .bind(&key.jwk)
        .bind(&key.state);
    tx.execute(insert).await.map(|_| ())
}

/// Moves a key on.
pub async fn platform_key_set_state(tx: &mut SystemTx, id: Uuid, state: &str) -> Result<()> {
    let sql = "UPDATE auth.platform_keys SET state = $2, change_time = pg_catalog.now() WHERE id = $1";
    tx.execute(query(sql).bind(id).bind(state)).await.map(|_| ())
}

/// Forgets a key that nothing alive was signed with.
pub async fn platform_key_delete(tx: &mut SystemTx, id: Uuid) -> Result<()> {
    tx.execute(query("DELETE FROM auth.platform_keys WHERE id = $1").bind(id))
        .await
        .map(|_| ())
}

/// Serialises rotation and bootstrap over all replicas.
pub async fn platform_keys_lock(tx: &mut SystemTx) -> Result<()> {
    tx.execute(query(
        "LOCK TABLE auth.platform_keys, auth.context_keys IN SHARE ROW EXCLUSIVE MODE",
    ))
    .await
    .map(|_| ())
}

/// The key that signs contexts.
pub async fn context_key_active(tx: &mut SystemTx) -> Result<Option<ContextKey>> {
    let row = tx
        .fetch_optional(query(
            "SELECT kid, wrapped FROM auth.context_keys WHERE state = 'active'",
        ))
        .await?;
    row.map(|row| {
        Ok(ContextKey {
            kid: get(&row, "kid")?,
            wrapped: get(&row, "wrapped")?,
        })
    })
    .transpose()
}

/// Adds the first key.
pub async fn context_key_insert(tx: &mut SystemTx, key: &ContextKey) -> Result<()> {
    let sql = "INSERT INTO auth.context_keys (kid, wrapped, state) VALUES ($1, $2, 'active')";
    tx.execute(query(sql).bind(key.kid).bind(&key.wrapped))
        .await
        .map(|_| ())
}

/// Installs the verification half in one database. Repeatable; another key under the same name is refused there.
pub async fn context_key_install(database: &SystemDb, kid: i32, key: &[u8]) -> Result<()> {
    let mut tx = database.begin("install_context_key").await?;
    tx.execute(query("SELECT tenancy.install_context_key($1, $2)").bind(kid).bind(key))
        .await?;
    tx.commit().await
}
