//! Sessions.

use super::{get, parsed, role};
use crate::domain::{Session, SessionKind, UserState, session};
use chrono::{DateTime, Utc};
use tenantry_db::{PgRow, Tx, query};
use tenantry_kernel::{Result, Role, SessionId, UserId};
use uuid::Uuid;

const COLUMNS: &str = "s.id, s.user_id, s.user_agent, s.create_time, s.last_used_time, s.expire_time";

/// Everything an exchange decides by, in one read.
#[derive(Clone, Debug)]
pub struct SessionProof {
    /// The session.
    pub session: Session,
    /// SHA-256 of its token; `None` for sessions of access tokens.
    pub token_hash: Option<Vec<u8>>,
    /// Not ended.
    pub active: bool,
    /// The member's role now.
    pub role: Role,
    /// The member's state now.
    pub user_state: UserState,
    /// Tokens are dated after these.
    pub tokens_after: [Option<DateTime<Utc>>; 2],
}

fn decode(row: &PgRow) -> Result<Session> {
    Ok(Session {
        id: SessionId::from_uuid(get(row, "id")?),
        user: UserId::from_uuid(get(row, "user_id")?),
        user_agent: get(row, "user_agent")?,
        create_time: get(row, "create_time")?,
        last_used_time: get(row, "last_used_time")?,
        expire_time: get(row, "expire_time")?,
    })
}

/// By id, with its member.
pub async fn session_proof(tx: &mut Tx, id: SessionId) -> Result<Option<SessionProof>> {
    let sql = format!(
        "SELECT {COLUMNS}, s.token_hash, s.state = 'active' AS active, u.role, u.state AS user_state, u.tokens_after, r.tokens_after AS realm_after \
         FROM auth.sessions s JOIN auth.users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id \
         JOIN auth.realms r ON r.tenant_id = s.tenant_id WHERE s.tenant_id = $1 AND s.id = $2"
    );
    let Some(row) = tx
        .fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id.uuid()))
        .await?
    else {
        return Ok(None);
    };
    Ok(Some(SessionProof {
        session: decode(&row)?,
        token_hash: get(&row, "token_hash")?,
        active: get(&row, "active")?,
        role: role(&row, "role")?,
        user_state: parsed(&row, "user_state", UserState::parse)?,
        tokens_after: [get(&row, "tokens_after")?, get(&row, "realm_after")?],
    }))
}

/// Locks a session that is not ended: the lock of its whole refresh family.
pub async fn session_lock(tx: &mut Tx, id: SessionId) -> Result<Option<Session>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM auth.sessions s WHERE s.tenant_id = $1 AND s.id = $2 AND s.state = 'active' FOR UPDATE"
    );
    tx.fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id.uuid()))
        .await?
        .as_ref()
        .map(decode)
        .transpose()
}

/// Adds one.
pub async fn session_insert(
    tx: &mut Tx,
    session: &Session,
    kind: SessionKind,
    token_hash: Option<&[u8]>,
) -> Result<()> {
    let sql = "INSERT INTO auth.sessions (tenant_id, id, user_id, kind, token_hash, user_agent, create_time, last_used_time, expire_time) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(session.id.uuid())
        .bind(session.user.uuid())
        .bind(kind.as_str())
        .bind(token_hash)
        .bind(&session.user_agent)
        .bind(session.create_time)
        .bind(session.last_used_time)
        .bind(session.expire_time);
    tx.execute(insert).await.map(|_| ())
}

/// Notes a use, at most once a minute.
pub async fn session_touch(tx: &mut Tx, id: SessionId, now: DateTime<Utc>) -> Result<()> {
    let sql = "UPDATE auth.sessions SET last_used_time = $3 WHERE tenant_id = $1 AND id = $2 AND last_used_time < $4";
    let touch = query(sql)
        .bind(tx.tenant().uuid())
        .bind(id.uuid())
        .bind(now)
        .bind(now - session::LAST_USED_STEP);
    tx.execute(touch).await.map(|_| ())
}

/// One page of a member's live sessions, newest first; `before` is exclusive.
pub async fn session_list(
    tx: &mut Tx,
    user: UserId,
    before: Option<Uuid>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Session>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM auth.sessions s WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.state = 'active' AND s.expire_time > $4 \
         AND ($3::uuid IS NULL OR s.id < $3) ORDER BY s.id DESC LIMIT $5"
    );
    let list = query(sql)
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .bind(before)
        .bind(now)
        .bind(limit);
    tx.fetch_all(list).await?.iter().map(decode).collect()
}

/// Ends one session and its refresh family; whether it was active.
pub async fn session_revoke(tx: &mut Tx, id: SessionId, now: DateTime<Utc>) -> Result<bool> {
    let sql = "UPDATE auth.sessions SET state = 'revoked', revoke_time = $3 WHERE tenant_id = $1 AND id = $2 AND state = 'active'";
    Ok(tx
        .execute(query(sql).bind(tx.tenant().uuid()).bind(id.uuid()).bind(now))
        .await?
        == 1)
}

/// Ends a member's sessions, `keep` apart; the ended ones.
pub async fn session_revoke_all(
    tx: &mut Tx,
    user: UserId,
    keep: Option<SessionId>,
    now: DateTime<Utc>,
) -> Result<Vec<SessionId>> {
    let sql = "UPDATE auth.sessions SET state = 'revoked', revoke_time = $4 WHERE tenant_id = $1 AND user_id = $2 AND state = 'active' \
               AND ($3::uuid IS NULL OR id <> $3) RETURNING id";
    let revoke = query(sql)
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .bind(keep.map(SessionId::uuid))
        .bind(now);
    tx.fetch_all(revoke)
        .await?
        .iter()
        .map(|row| Ok(SessionId::from_uuid(get(row, "id")?)))
        .collect()
}

/// Ends the sessions of a member beyond the newest used `keep`; the ended ones.
pub async fn session_evict(tx: &mut Tx, user: UserId, keep: i64, now: DateTime<Utc>) -> Result<Vec<SessionId>> {
    let sql = "UPDATE auth.sessions SET state = 'revoked', revoke_time = $4 WHERE tenant_id = $1 AND id IN \
               (SELECT o.id FROM auth.sessions o WHERE o.tenant_id = $1 AND o.user_id = $2 AND o.state = 'active' \
                ORDER BY o.last_used_time DESC, o.id DESC OFFSET $3) RETURNING id";
    let evict = query(sql)
        .bind(tx.tenant().uuid())
        .bind(user.uuid())
        .bind(keep)
        .bind(now);
    tx.fetch_all(evict)
        .await?
        .iter()
        .map(|row| Ok(SessionId::from_uuid(get(row, "id")?)))
        .collect()
}

/// Ends every session of the tenant.
pub async fn session_revoke_tenant(tx: &mut Tx, now: DateTime<Utc>) -> Result<u64> {
    let sql = "UPDATE auth.sessions SET state = 'revoked', revoke_time = $2 WHERE tenant_id = $1 AND state = 'active'";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(now)).await
}
