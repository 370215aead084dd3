//! Failed sign-ins.

use super::get;
use crate::domain::Throttle;
use tenantry_db::{Tx, query};
use tenantry_kernel::Result;

/// Failures of an account; `lock` where they are about to be counted.
pub async fn throttle_fetch(tx: &mut Tx, account: &[u8], lock: bool) -> Result<Option<Throttle>> {
    let sql = "SELECT failures, window_start, blocked_until FROM auth.login_throttle WHERE tenant_id = $1 AND id = $2";
    let sql = if lock {
        format!("{sql} FOR UPDATE")
    } else {
        sql.to_owned()
    };
    let row = tx
        .fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(account))
        .await?;
    let decode = |row| {
        Ok(Throttle {
            failures: get(&row, "failures")?,
            window_start: get(&row, "window_start")?,
            blocked_until: get(&row, "blocked_until")?,
        })
    };
    row.map(decode).transpose()
}

/// Counts a failure. Two first failures at once count as one; every later one finds the row and its lock.
pub async fn throttle_put(tx: &mut Tx, account: &[u8], throttle: &Throttle) -> Result<()> {
    let sql = "INSERT INTO auth.login_throttle (tenant_id, id, failures, window_start, blocked_until) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (tenant_id, id) DO UPDATE SET failures = excluded.failures, window_start = excluded.window_start, \
               blocked_until = excluded.blocked_until";
    let put = query(sql)
        .bind(tx.tenant().uuid())
        .bind(account)
        .bind(throttle.failures)
        .bind(throttle.window_start)
        .bind(throttle.blocked_until);
    tx.execute(put).await.map(|_| ())
}

/// Forgets failures: the member proved who they are.
pub async fn throttle_clear(tx: &mut Tx, account: &[u8]) -> Result<()> {
    let sql = "DELETE FROM auth.login_throttle WHERE tenant_id = $1 AND id = $2";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(account))
        .await
        .map(|_| ())
}
