//! Members.

use super::{get, parsed, role};
use crate::domain::{Email, User, UserState};
use chrono::{DateTime, Utc};
use tenantry_db::{PgRow, Tx, query};
use tenantry_kernel::{Error, Reason, Result, Role, UserId};
use uuid::Uuid;

const COLUMNS: &str = "u.id, u.email, u.display_name, u.role, u.state, u.version, u.create_time, u.update_time";

pub(super) fn decode(row: &PgRow) -> Result<User> {
    Ok(User {
        id: UserId::from_uuid(get(row, "id")?),
        email: Email::stored(get(row, "email")?),
        display_name: get(row, "display_name")?,
        role: role(row, "role")?,
        state: parsed(row, "state", UserState::parse)?,
        version: get(row, "version")?,
        create_time: get(row, "create_time")?,
        update_time: get(row, "update_time")?,
    })
}

/// By id.
pub async fn user_fetch(tx: &mut Tx, id: UserId) -> Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM auth.users u WHERE u.tenant_id = $1 AND u.id = $2");
    tx.fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(id.uuid()))
        .await?
        .as_ref()
        .map(decode)
        .transpose()
}

/// By id, locked against changes of the same member.
pub async fn user_lock(tx: &mut Tx, id: UserId) -> Result<User> {
    let sql = format!("SELECT {COLUMNS} FROM auth.users u WHERE u.tenant_id = $1 AND u.id = $2 FOR UPDATE");
    decode(
        &tx.fetch_one(query(sql).bind(tx.tenant().uuid()).bind(id.uuid()))
            .await?,
    )
}

/// By address, with the password hash if there is one.
pub async fn user_with_password(tx: &mut Tx, email: &Email) -> Result<Option<(User, Option<String>)>> {
    let sql = format!(
        "SELECT {COLUMNS}, c.secret FROM auth.users u \
         LEFT JOIN auth.credentials c ON c.tenant_id = u.tenant_id AND c.user_id = u.id AND c.kind = 'password' \
         WHERE u.tenant_id = $1 AND u.email = $2"
    );
    let row = tx
        .fetch_optional(query(sql).bind(tx.tenant().uuid()).bind(email.as_str()))
        .await?;
    row.map(|row| Ok((decode(&row)?, get(&row, "secret")?))).transpose()
}

/// By address.
pub async fn user_by_email(tx: &mut Tx, email: &Email) -> Result<Option<User>> {
    Ok(user_with_password(tx, email).await?.map(|(user, _)| user))
}

/// All owners, locked in one order, so that two owners who demote each other meet here instead of both succeeding.
pub async fn owner_lock_all(tx: &mut Tx) -> Result<Vec<User>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM auth.users u WHERE u.tenant_id = $1 AND u.role = 'owner' ORDER BY u.id FOR UPDATE"
    );
    tx.fetch_all(query(sql).bind(tx.tenant().uuid()))
        .await?
        .iter()
        .map(decode)
        .collect()
}

/// One page by address; `after` is exclusive.
pub async fn user_list(tx: &mut Tx, after: Option<&str>, limit: i64) -> Result<Vec<User>> {
    let sql =
        format!("SELECT {COLUMNS} FROM auth.users u WHERE u.tenant_id = $1 AND u.email > $2 ORDER BY u.email LIMIT $3");
    let rows = tx
        .fetch_all(
            query(sql)
                .bind(tx.tenant().uuid())
                .bind(after.unwrap_or_default())
                .bind(limit),
        )
        .await?;
    rows.iter().map(decode).collect()
}

/// How many there are.
pub async fn user_count(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT pg_catalog.count(*) AS n FROM auth.users WHERE tenant_id = $1";
    get(&tx.fetch_one(query(sql).bind(tx.tenant().uuid())).await?, "n")
}

/// Adds one.
///
/// # Errors
/// `ALREADY_EXISTS` where the address is a member already.
pub async fn user_insert(tx: &mut Tx, user: &User) -> Result<()> {
    let sql = "INSERT INTO auth.users (tenant_id, id, email, display_name, role, state, version, create_time, update_time) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(user.id.uuid())
        .bind(user.email.as_str())
        .bind(&user.display_name)
        .bind(user.role.as_str())
        .bind(user.state.as_str())
        .bind(user.version)
        .bind(user.create_time)
        .bind(user.update_time);
    match tx.execute(insert).await {
        Ok(_) => Ok(()),
        Err(error) if error.reason() == Reason::UniqueViolation => Err(Error::new(
            Reason::AlreadyExists,
            "A member with this e-mail exists already.",
        )
        .field("user.email", "is taken")),
        Err(error) => Err(error),
    }
}

/// Writes what may change; the version grows. The row is locked by the caller.
pub async fn user_update(tx: &mut Tx, user: &mut User, now: DateTime<Utc>) -> Result<()> {
    let sql = "UPDATE auth.users SET display_name = $4, role = $5, state = $6, version = version + 1, update_time = $7 \
               WHERE tenant_id = $1 AND id = $2 AND version = $3";
    let update = query(sql)
        .bind(tx.tenant().uuid())
        .bind(user.id.uuid())
        .bind(user.version)
        .bind(&user.display_name)
        .bind(user.role.as_str())
        .bind(user.state.as_str())
        .bind(now);
    if tx.execute(update).await? != 1 {
        return Err(Error::etag_mismatch());
    }
    user.version += 1;
    user.update_time = now;
    Ok(())
}

/// Dates all further tokens of the member after `at`, or after those that are out already (a token that survived a
/// revocation is dated a millisecond after it); the time that was set.
pub async fn user_tokens_after(tx: &mut Tx, id: Uuid, at: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let sql = "UPDATE auth.users u SET tokens_after = greatest($3, u.tokens_after + interval '1 millisecond', r.tokens_after + interval '1 millisecond') \
               FROM auth.realms r WHERE u.tenant_id = $1 AND u.id = $2 AND r.tenant_id = u.tenant_id RETURNING u.tokens_after";
    get(
        &tx.fetch_one(query(sql).bind(tx.tenant().uuid()).bind(id).bind(at))
            .await?,
        "tokens_after",
    )
}

/// Removes one, and with it passwords, sessions, keys and links.
pub async fn user_delete(tx: &mut Tx, id: UserId) -> Result<()> {
    let sql = "DELETE FROM auth.users WHERE tenant_id = $1 AND id = $2";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(id.uuid()))
        .await
        .map(|_| ())
}

/// The role a member has now, if they may act at all.
pub async fn active_role(tx: &mut Tx, id: UserId) -> Result<Option<Role>> {
    Ok(user_fetch(tx, id)
        .await?
        .filter(|user| user.state == UserState::Active)
        .map(|user| user.role))
}
