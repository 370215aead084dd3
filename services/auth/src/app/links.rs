//! One-time links: making them, and using one to set a password.

use super::{Core, hasher::Hasher};
use crate::{
    domain::{Link, LinkKind, Subject, User, UserState, link, password},
    store::{credentials, links, sessions, throttles, users},
};
use serde_json::json;
use std::sync::Arc;
use tenantry_crypto::{OpaqueToken, Prefix};
use tenantry_db::Tx;
use tenantry_kernel::{Ctx, Result, UserId};
use zeroize::Zeroizing;

/// Makes a link in the transaction of its reason; a newer link ends older ones. The token is in the result only.
///
/// # Errors
/// As every statement.
pub async fn make(core: &Core, tx: &mut Tx, user: UserId, kind: LinkKind) -> Result<String> {
    let now = core.now();
    links::link_use_all(tx, user, now).await?;
    let id = core.id();
    let (token, hash) = OpaqueToken::generate(Prefix::Link, tx.tenant(), id);
    let link = Link {
        id,
        user,
        kind,
        token_hash: hash.to_vec(),
        expire_time: now + kind.lifetime(),
        use_time: None,
    };
    links::link_insert(tx, &link, now).await?;
    Ok(token)
}

/// Uses links.
#[derive(Clone)]
pub struct Links {
    core: Arc<Core>,
    hasher: Arc<Hasher>,
}

impl Links {
    /// With its parts.
    #[must_use]
    pub fn new(core: Arc<Core>, hasher: Arc<Hasher>) -> Self {
        Self { core, hasher }
    }
    /// Sets the password of the member the link is for and ends their other sessions.
    ///
    /// # Errors
    /// `LINK_INVALID` for a link that is used, expired, foreign or invented; `PASSWORD_REJECTED`.
    pub async fn accept(&self, ctx: &Ctx, token: &str, new_password: Zeroizing<String>) -> Result<User> {
        let tenant = ctx.tenant()?;
        let parsed =
            OpaqueToken::parse(token).filter(|parsed| parsed.prefix == Prefix::Link && parsed.tenant == tenant);
        let parsed = parsed.ok_or_else(link::invalid)?;
        // First without a lock: an invented link costs no hash, and hashing holds no lock.
        let mut tx = self.core.store.begin(ctx).await?;
        let found = links::link_fetch(&mut tx, parsed.id, false)
            .await?
            .filter(|link| parsed.matches(&link.token_hash));
        let member = match &found {
            Some(link) => users::user_fetch(&mut tx, link.user)
                .await?
                .filter(|user| link.is_usable(user.state, self.core.now())),
            None => None,
        };
        tx.commit().await?;
        let member = member.ok_or_else(link::invalid)?;
        password::accept(&new_password, member.email.as_str())?;
        let phc = self
            .hasher
            .turn(tenant, ctx.deadline())
            .await?
            .hash(new_password)
            .await?;
        self.apply(ctx, parsed.id, member.id, &phc).await
    }

    async fn apply(&self, ctx: &Ctx, link_id: uuid::Uuid, member: UserId, phc: &str) -> Result<User> {
        let (core, now) = (&self.core, self.core.now());
        let mut tx = core.store.begin(ctx).await?;
        // Member before link, as everywhere else.
        let mut user = users::user_lock(&mut tx, member).await.map_err(|_| link::invalid())?;
        let link = links::link_fetch(&mut tx, link_id, true)
            .await?
            .filter(|link| link.is_usable(user.state, now));
        let link = link.ok_or_else(link::invalid)?;
        links::link_use_all(&mut tx, user.id, now).await?;
        credentials::password_put(&mut tx, core.id(), user.id, phc, now).await?;
        if link.kind == LinkKind::Invite {
            user.state = UserState::Active;
            users::user_update(&mut tx, &mut user, now).await?;
        }
        sessions::session_revoke_all(&mut tx, user.id, None, now).await?;
        core.revoke(&mut tx, &[Subject::User(user.id.uuid())]).await?;
        throttles::throttle_clear(&mut tx, &super::login::account(&user.email)).await?;
        let detail = json!({ "kind": link.kind.as_str() });
        core.event(
            &mut tx,
            ctx,
            "auth.link.accept.v1",
            &format!("user:{}", user.id),
            detail,
        )
        .await?;
        tx.commit().await?;
        Ok(user)
    }
}
