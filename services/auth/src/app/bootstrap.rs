//! What `migrate` makes after the tables: platform key, context key in both databases, the platform tenant's realm and
//! the first operator. Repeatable: what is there stays as it is.

use super::{Core, hasher::Hasher, rotation};
use crate::{
    domain::{Email, User, UserState, password},
    store::{Store, credentials, platform, realms, users},
};
use serde_json::json;
use std::sync::Arc;
use tenantry_crypto::RootKey;
use tenantry_db::SystemDb;
use tenantry_kernel::{Ids, Result, Role, TenantId, UserId};
use zeroize::Zeroizing;

/// Slug of the platform tenant.
const OPERATOR: &str = "operator";

/// Makes the keys and installs the context key in every database given.
///
/// # Errors
/// As every statement.
pub async fn keys(store: &Store, root: &RootKey, ids: &dyn Ids, databases: &[SystemDb]) -> Result<()> {
    rotation::rotate(store, root, ids).await?;
    let (kid, key) = rotation::context_key(store, root).await?;
    for database in databases {
        platform::context_key_install(database, kid, key.expose()).await?;
    }
    Ok(())
}

/// Makes the platform tenant's realm and, if an address is given and unknown, the operator.
///
/// # Errors
/// `PASSWORD_REJECTED`, `INVALID_ARGUMENT` for the address; as every statement.
pub async fn operator(core: &Core, hasher: &Arc<Hasher>, login: Option<(&str, Zeroizing<String>)>) -> Result<()> {
    let ctx = core.minter.own(TenantId::PLATFORM)?;
    let mut tx = core.store.begin(&ctx).await?;
    realms::realm_insert(&mut tx, OPERATOR).await?;
    core.keyring.create_kek(&mut tx).await?;
    tx.commit().await?;
    let Some((email, password)) = login else { return Ok(()) };
    let email = Email::parse("bootstrap.operator_email", email)?;
    let mut tx = core.store.begin(&ctx).await?;
    let known = users::user_by_email(&mut tx, &email).await?;
    tx.commit().await?;
    if known.is_some() {
        return Ok(());
    }
    password::accept(&password, email.as_str())?;
    let phc = hasher.turn(TenantId::PLATFORM, None).await?.hash(password).await?;
    let now = core.now();
    let user = User {
        id: UserId::from_uuid(core.id()),
        email,
        display_name: "Operator".to_owned(),
        role: Role::Owner,
        state: UserState::Active,
        version: 1,
        create_time: now,
        update_time: now,
    };
    let mut tx = core.store.begin(&ctx).await?;
    users::user_insert(&mut tx, &user).await?;
    credentials::password_put(&mut tx, core.id(), user.id, &phc, now).await?;
    core.event(
        &mut tx,
        &ctx,
        "auth.operator.create.v1",
        &format!("user:{}", user.id),
        json!({}),
    )
    .await?;
    tx.commit().await
}
