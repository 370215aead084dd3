//! Refresh tokens. Their session's row lock ([`super::sessions::session_lock`]) serialises every change of a family.

use super::{get, parsed};
use crate::domain::RefreshState;
use chrono::{DateTime, Utc};
use tenantry_db::{Tx, query};
use tenantry_kernel::{Result, SessionId};
use uuid::Uuid;

/// A stored token.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// Id.
    pub id: Uuid,
    /// Its family.
    pub session: SessionId,
    /// SHA-256.
    pub token_hash: Vec<u8>,
    /// State.
    pub state: RefreshState,
    /// What replaced it.
    pub successor: Option<Uuid>,
    /// State of what replaced it.
    pub successor_state: Option<RefreshState>,
    /// When it was used.
    pub consume_time: Option<DateTime<Utc>>,
    /// When it ends unused.
    pub expire_time: DateTime<Utc>,
}

/// The family of a token.
pub async fn refresh_session(tx: &mut Tx, id: Uuid) -> Result<Option<SessionId>> {
    let sql = "SELECT session_id FROM auth.refresh_tokens WHERE tenant_id = $1 AND id = $2";
    let row = tx.fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id)).await?;
    row.map(|row| Ok(SessionId::from_uuid(get(&row, "session_id")?)))
        .transpose()
}

/// A token with the state of its successor. Read it after the family is locked: before, it may be out of date.
pub async fn refresh_fetch(tx: &mut Tx, id: Uuid) -> Result<Option<RefreshToken>> {
    let sql = "SELECT t.id, t.session_id, t.token_hash, t.state, t.successor_id, t.consume_time, t.expire_time, n.state AS successor_state \
               FROM auth.refresh_tokens t LEFT JOIN auth.refresh_tokens n ON n.tenant_id = t.tenant_id AND n.id = t.successor_id \
               WHERE t.tenant_id = $1 AND t.id = $2";
    let Some(row) = tx.fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id)).await? else {
        return Ok(None);
    };
    let successor_state: Option<String> = get(&row, "successor_state")?;
    Ok(Some(RefreshToken {
        id: get(&row, "id")?,
        session: SessionId::from_uuid(get(&row, "session_id")?),
        token_hash: get(&row, "token_hash")?,
        state: parsed(&row, "state", RefreshState::parse)?,
        successor: get(&row, "successor_id")?,
        successor_state: successor_state.as_deref().and_then(RefreshState::parse),
        consume_time: get(&row, "consume_time")?,
        expire_time: get(&row, "expire_time")?,
    }))
}

/// Adds an active token.
pub async fn refresh_insert(
    tx: &mut Tx,
    id: Uuid,
    session: SessionId,
    hash: &[u8],
    now: DateTime<Utc>,
    expire: DateTime<Utc>,
) -> Result<()> {
    let sql = "INSERT INTO auth.refresh_tokens (tenant_id, id, session_id, token_hash, state, create_time, expire_time) \
               VALUES ($1, $2, $3, $4, 'active', $5, $6)";
    let insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(id)
        .bind(session.uuid())
        .bind(hash)
        .bind(now)
        .bind(expire);
    tx.execute(insert).await.map(|_| ())
}

/// Uses a token up; the first use sets the time.
pub async fn refresh_consume(tx: &mut Tx, id: Uuid, successor: Uuid, now: DateTime<Utc>) -> Result<()> {
    let sql = "UPDATE auth.refresh_tokens SET state = 'consumed', successor_id = $3, consume_time = coalesce(consume_time, $4) \
               WHERE tenant_id = $1 AND id = $2";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(id).bind(successor).bind(now))
        .await
        .map(|_| ())
}

/// Ends one token.
pub async fn refresh_revoke(tx: &mut Tx, id: Uuid) -> Result<()> {
    let sql = "UPDATE auth.refresh_tokens SET state = 'revoked' WHERE tenant_id = $1 AND id = $2";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(id))
        .await
        .map(|_| ())
}
