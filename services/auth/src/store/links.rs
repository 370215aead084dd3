//! One-time links.

use super::{get, parsed};
use crate::domain::{Link, LinkKind};
use chrono::{DateTime, Utc};
use tenantry_db::{PgRow, Tx, query};
use tenantry_kernel::{Result, UserId};
use uuid::Uuid;

fn decode(row: &PgRow) -> Result<Link> {
    Ok(Link {
        id: get(row, "id")?,
        user: UserId::from_uuid(get(row, "user_id")?),
        kind: parsed(row, "kind", LinkKind::parse)?,
        token_hash: get(row, "token_hash")?,
        expire_time: get(row, "expire_time")?,
        use_time: get(row, "use_time")?,
    })
}

/// By id; `lock` against a second use.
pub async fn link_fetch(tx: &mut Tx, id: Uuid, lock: bool) -> Result<Option<Link>> {
    let sql = "SELECT id, user_id, kind, token_hash, expire_time, use_time FROM auth.one_time_links WHERE tenant_id = $1 AND id = $2";
    let sql = if lock {
        format!("{sql} FOR UPDATE")
    } else {
        sql.to_owned()
    };
    tx.fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id))
        .await?
        .as_ref()
        .map(decode)
        .transpose()
}

/// Adds one.
pub async fn link_insert(tx: &mut Tx, link: &Link, now: DateTime<Utc>) -> Result<()> {
    let sql = "INSERT INTO auth.one_time_links (tenant_id, id, user_id, kind, token_hash, create_time, expire_time) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(link.id)
        .bind(link.user.uuid())
        .bind(link.kind.as_str())
        .bind(&link.token_hash)
        .bind(now)
        .bind(link.expire_time);
    tx.execute(insert).await.map(|_| ())
}

/// Uses up every open link of a member: after one was used, or because a newer one replaces them.
pub async fn link_use_all(tx: &mut Tx, user: UserId, now: DateTime<Utc>) -> Result<()> {
    let sql = "UPDATE auth.one_time_links SET use_time = $3 WHERE tenant_id = $1 AND user_id = $2 AND use_time IS NULL";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(user.uuid()).bind(now))
        .await
        .map(|_| ())
}
