//! Wrapped key material of a tenant.

use super::get;
use serde_json::Value;
use tenantry_db::{PgRow, Tx, query};
use tenantry_kernel::Result;
use uuid::Uuid;

/// A wrapped key and its version.
#[derive(Clone, Debug)]
pub struct Wrapped {
    /// Version.
    pub version: i32,
    /// Sealed bytes.
    pub bytes: Vec<u8>,
}

/// A sealed signing key.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// Sealed PKCS#8.
    pub sealed: Vec<u8>,
    /// The public half.
    pub jwk: Value,
    /// Whether it signs.
    pub active: bool,
}

fn wrapped(row: &PgRow) -> Result<Wrapped> {
    Ok(Wrapped {
        version: get(row, "version")?,
        bytes: get(row, "wrapped")?,
    })
}

/// A KEK; `None` is the newest.
pub async fn kek_fetch(tx: &mut Tx, version: Option<i32>) -> Result<Option<Wrapped>> {
    let sql = "SELECT version, wrapped FROM auth.tenant_keys WHERE tenant_id = $1 AND ($2::int4 IS NULL OR version = $2) \
               ORDER BY version DESC LIMIT 1";
    let row = tx
        .fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(version))
        .await?;
    row.as_ref().map(wrapped).transpose()
}

/// Adds a KEK unless the version is there.
pub async fn kek_insert(tx: &mut Tx, id: Uuid, key: &Wrapped) -> Result<()> {
    let sql = "INSERT INTO auth.tenant_keys (tenant_id, id, version, wrapped) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, version) DO NOTHING";
    tx.execute(
        query(sql)
            .bind(tx.tenant().uuid())
            .bind(id)
            .bind(key.version)
            .bind(&key.bytes),
    )
    .await
    .map(|_| ())
}

/// A data key of one purpose; `None` is the newest version.
pub async fn data_key_fetch(tx: &mut Tx, purpose: &str, version: Option<i32>) -> Result<Option<Wrapped>> {
    let sql = "SELECT version, wrapped FROM auth.data_keys WHERE tenant_id = $1 AND purpose = $2 AND ($3::int4 IS NULL OR version = $3) \
               ORDER BY version DESC LIMIT 1";
    let row = tx
        .fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(purpose).bind(version))
        .await?;
    row.as_ref().map(wrapped).transpose()
}

/// Adds a data key unless the version is there (two replicas may make the first one at once).
pub async fn data_key_insert(tx: &mut Tx, id: Uuid, purpose: &str, key: &Wrapped) -> Result<()> {
    let sql = "INSERT INTO auth.data_keys (tenant_id, id, purpose, version, wrapped) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (tenant_id, purpose, version) DO NOTHING";
    let insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(id)
        .bind(purpose)
        .bind(key.version)
        .bind(&key.bytes);
    tx.execute(insert).await.map(|_| ())
}

/// Every signing key that still verifies, the active one first.
pub async fn signing_key_list(tx: &mut Tx) -> Result<Vec<SigningKey>> {
    let sql = "SELECT kid, sealed, jwk, state = 'active' AS active FROM auth.signing_keys WHERE tenant_id = $1 ORDER BY state = 'active' DESC, create_time DESC";
    let rows = tx.fetch_all(query(sql).bind(tx.tenant().uuid())).await?;
    let decode = |row: &PgRow| {
        Ok(SigningKey {
            kid: get(row, "kid")?,
            sealed: get(row, "sealed")?,
            jwk: get(row, "jwk")?,
            active: get(row, "active")?,
        })
    };
    rows.iter().map(decode).collect()
}

/// Adds the active signing key unless there is one.
pub async fn signing_key_insert(tx: &mut Tx, id: Uuid, key: &SigningKey) -> Result<()> {
    let sql = "INSERT INTO auth.signing_keys (tenant_id, id, kid, sealed, jwk, state) VALUES ($1, $2, $3, $4, $5, 'active') ON CONFLICT DO NOTHING";
    let insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(id)
        .bind(&key.kid)
        .bind(&key.sealed)
        .bind(&key.jwk);
    tx.execute(insert).await.map(|_| ())
}
