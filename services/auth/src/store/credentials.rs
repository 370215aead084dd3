//! Password hashes.

use chrono::{DateTime, Utc};
use tenantry_db::{Tx, query};
use tenantry_kernel::{Result, UserId};
use uuid::Uuid;

/// Sets or replaces the password.
pub async fn password_put(tx: &mut Tx, id: Uuid, user: UserId, phc: &str, now: DateTime<Utc>) -> Result<()> {
    let sql = "INSERT INTO auth.credentials (tenant_id, id, user_id, kind, secret, update_time) VALUES ($1, $2, $3, 'password', $4, $5) \
               ON CONFLICT (tenant_id, user_id, kind) DO UPDATE SET secret = excluded.secret, update_time = excluded.update_time";
    tx.execute(
        query(sql)
            .bind(tx.tenant().uuid())
            .bind(id)
            .bind(user.uuid())
            .bind(phc)
            .bind(now),
    )
    .await
    .map(|_| ())
}

/// Replaces a hash by one of the same password with other parameters, unless the password changed meanwhile.
pub async fn password_rehash(tx: &mut Tx, user: UserId, old: &str, new: &str) -> Result<()> {
    let sql = "UPDATE auth.credentials SET secret = $4 WHERE tenant_id = $1 AND user_id = $2 AND kind = 'password' AND secret = $3";
    tx.execute(
        query(sql)
            .bind(tx.tenant().uuid())
            .bind(user.uuid())
            .bind(old)
            .bind(new),
    )
    .await
    .map(|_| ())
}
