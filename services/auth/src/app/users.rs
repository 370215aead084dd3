//! Members: inviting, changing, locking, removing. Rights that matter are read from the table in the transaction, not
//! from the caller's token; what takes rights away revokes in the same transaction.

use super::{
    Core, links, once,
    once::{Once, Running},
    pages::{self, Page},
};
use crate::{
    domain::{Email, LinkKind, Subject, User, UserState, user},
    store::{api_keys, links as link_store, realms, sessions, users},
};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use tenantry_db::Tx;
use tenantry_kernel::{Ctx, Error, Reason, Result, Role, UserId};

const CREATE: &str = "tenantry.auth.v1.UserService/CreateUser";
const LIST: &str = "tenantry.auth.v1.UserService/ListUsers";
const UPDATE: &str = "tenantry.auth.v1.UserService/UpdateUser";
const DISABLE: &str = "tenantry.auth.v1.UserService/DisableUser";
const ENABLE: &str = "tenantry.auth.v1.UserService/EnableUser";
const DELETE: &str = "tenantry.auth.v1.UserService/DeleteUser";
const RESET: &str = "tenantry.auth.v1.UserService/CreateResetLink";

/// A member to invite.
#[derive(Debug, Serialize)]
pub struct Invite {
    /// Address.
    pub email: Email,
    /// Name for people.
    pub display_name: String,
    /// Role.
    pub role: Role,
}

/// What to change of a member.
#[derive(Debug, Serialize)]
pub struct Change {
    /// Who.
    pub id: UserId,
    /// New name.
    pub display_name: Option<String>,
    /// New role.
    pub role: Option<Role>,
    /// Checked if not empty.
    pub etag: String,
}

/// See the module.
#[derive(Clone)]
pub struct Users {
    core: Arc<Core>,
}

impl Users {
    /// With its parts.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Invites a member: the member and their one-time link.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for an owner by an admin, `ALREADY_EXISTS`, `QUOTA_EXCEEDED`.
    pub async fn create(&self, ctx: &Ctx, invite: Invite, key: &str) -> Result<(User, String)> {
        user::check_display_name("user.display_name", &invite.display_name)?;
        let slug = self.slug(ctx)?;
        let mut run = match once::begin(&self.core, ctx, CREATE, key, &invite).await? {
            Once::Replay(answer) => return Ok(answer),
            Once::Run(run) => run,
        };
        user::may_manage(actor_role(&mut run.tx, ctx).await?, invite.role)?;
        realms::realm_lock(&mut run.tx).await?;
        check_quota(
            "members",
            users::user_count(&mut run.tx).await?,
            ctx.route()?.limits.users,
            &ctx.route()?.plan,
        )?;
        let now = self.core.now();
        let member = User {
            id: UserId::from_uuid(self.core.id()),
            email: invite.email,
            display_name: invite.display_name,
            role: invite.role,
            state: UserState::Invited,
            version: 1,
            create_time: now,
            update_time: now,
        };
        users::user_insert(&mut run.tx, &member).await?;
        let token = links::make(&self.core, &mut run.tx, member.id, LinkKind::Invite).await?;
        self.event(
            &mut run,
            ctx,
            "auth.user.invite.v1",
            member.id,
            json!({ "role": member.role }),
        )
        .await?;
        run.commit((member, self.core.urls.accept(&slug, &token))).await
    }
    /// One member.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, ctx: &Ctx, id: UserId) -> Result<User> {
        let mut tx = self.core.store.begin(ctx).await?;
        let found = users::user_fetch(&mut tx, id).await?;
        tx.commit().await?;
        found.ok_or_else(Error::not_found)
    }
    /// Members by address.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`.
    pub async fn list(&self, ctx: &Ctx, size: i32, token: &str) -> Result<Page<User>> {
        let request = pages::request(&self.core, ctx, LIST, size, token).await?;
        let mut tx = self.core.store.begin(ctx).await?;
        let items = users::user_list(&mut tx, request.after().as_deref(), request.limit()).await?;
        tx.commit().await?;
        request
            .page(&self.core, ctx, items, |user| user.email.as_str().to_owned())
            .await
    }
    /// Changes name or role.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, `LAST_OWNER`, `ETAG_MISMATCH`, `NOT_FOUND`.
    pub async fn update(&self, ctx: &Ctx, change: Change, key: &str) -> Result<User> {
        if let Some(name) = &change.display_name {
            user::check_display_name("user.display_name", name)?;
        }
        let mut run = match once::begin(&self.core, ctx, UPDATE, key, &change).await? {
            Once::Replay(user) => return Ok(user),
            Once::Run(run) => run,
        };
        let mut target = self.lock(&mut run.tx, ctx, change.id).await?;
        target.user.check_etag(&change.etag)?;
        let role = change.role.unwrap_or(target.user.role);
        user::may_manage(target.actor, role)?;
        let demoted = target.user.role == Role::Owner && role != Role::Owner;
        if demoted {
            user::may_leave(target.user.state, &target.other_owners)?;
        }
        let before = std::mem::replace(&mut target.user.role, role);
        if let Some(name) = change.display_name {
            target.user.display_name = name;
        }
        users::user_update(&mut run.tx, &mut target.user, self.core.now()).await?;
        if before != role {
            // Also for a larger role: it should work at once, not when a cached token ends.
            self.core
                .revoke(&mut run.tx, &[Subject::User(change.id.uuid())])
                .await?;
            self.event(
                &mut run,
                ctx,
                "auth.user.change_role.v1",
                change.id,
                json!({ "from": before, "to": role }),
            )
            .await?;
        }
        run.commit(target.user).await
    }
    /// Locks a member.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, `LAST_OWNER`, `NOT_FOUND`.
    pub async fn disable(&self, ctx: &Ctx, id: UserId, key: &str) -> Result<User> {
        let mut run = match once::begin(&self.core, ctx, DISABLE, key, &id).await? {
            Once::Replay(user) => return Ok(user),
            Once::Run(run) => run,
        };
        let mut target = self.lock(&mut run.tx, ctx, id).await?;
        if target.user.state == UserState::Disabled {
            return run.commit(target.user).await;
        }
        if target.user.role == Role::Owner {
            user::may_leave(target.user.state, &target.other_owners)?;
        }
        target.user.state = UserState::Disabled;
        let now = self.core.now();
        users::user_update(&mut run.tx, &mut target.user, now).await?;
        sessions::session_revoke_all(&mut run.tx, id, None, now).await?;
        link_store::link_use_all(&mut run.tx, id, now).await?;
        self.core.revoke(&mut run.tx, &[Subject::User(id.uuid())]).await?;
        self.event(&mut run, ctx, "auth.user.disable.v1", id, json!({})).await?;
        run.commit(target.user).await
    }
    /// Unlocks a member. Their keys work again, their sessions do not.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, `NOT_FOUND`.
    pub async fn enable(&self, ctx: &Ctx, id: UserId, key: &str) -> Result<User> {
        let mut run = match once::begin(&self.core, ctx, ENABLE, key, &id).await? {
            Once::Replay(user) => return Ok(user),
            Once::Run(run) => run,
        };
        let mut target = self.lock(&mut run.tx, ctx, id).await?;
        if target.user.state != UserState::Disabled {
            return run.commit(target.user).await;
        }
        let has_password = users::user_with_password(&mut run.tx, &target.user.email)
            .await?
            .is_some_and(|(_, secret)| secret.is_some());
        target.user.state = if has_password {
            UserState::Active
        } else {
            UserState::Invited
        };
        users::user_update(&mut run.tx, &mut target.user, self.core.now()).await?;
        self.event(&mut run, ctx, "auth.user.enable.v1", id, json!({})).await?;
        run.commit(target.user).await
    }
    /// Removes a member, and with them sessions and keys.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, `LAST_OWNER`, `ETAG_MISMATCH`, `NOT_FOUND`.
    pub async fn delete(&self, ctx: &Ctx, id: UserId, etag: &str, key: &str) -> Result<()> {
        let mut run = match once::begin(&self.core, ctx, DELETE, key, &(id, etag)).await? {
            Once::Replay(()) => return Ok(()),
            Once::Run(run) => run,
        };
        let target = self.lock(&mut run.tx, ctx, id).await?;
        target.user.check_etag(etag)?;
        if target.user.role == Role::Owner {
            user::may_leave(target.user.state, &target.other_owners)?;
        }
        let mut subjects = vec![Subject::User(id.uuid())];
        subjects.extend(
            api_keys::api_key_ids_of(&mut run.tx, id)
                .await?
                .into_iter()
                .map(Subject::ApiKey),
        );
        self.core.revoke(&mut run.tx, &subjects).await?;
        users::user_delete(&mut run.tx, id).await?;
        self.event(&mut run, ctx, "auth.user.delete.v1", id, json!({})).await?;
        run.commit(()).await
    }
    /// A one-time link: to reset the password, or, for a member who never accepted, a new invitation.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for an owner by an admin (it would be a takeover), `FAILED_PRECONDITION` for a locked member.
    pub async fn create_reset_link(&self, ctx: &Ctx, id: UserId, key: &str) -> Result<String> {
        let slug = self.slug(ctx)?;
        let mut run = match once::begin(&self.core, ctx, RESET, key, &id).await? {
            Once::Replay(uri) => return Ok(uri),
            Once::Run(run) => run,
        };
        let actor = actor_role(&mut run.tx, ctx).await?;
        let target = users::user_lock(&mut run.tx, id).await?;
        user::may_manage(actor, target.role)?;
        let kind = match target.state {
            UserState::Active => LinkKind::Reset,
            UserState::Invited => LinkKind::Invite,
            UserState::Disabled => {
                return Err(Error::new(
                    Reason::FailedPrecondition,
                    "The member is locked. Enable them first.",
                ));
            }
        };
        let token = links::make(&self.core, &mut run.tx, id, kind).await?;
        self.event(
            &mut run,
            ctx,
            "auth.link.create.v1",
            id,
            json!({ "kind": kind.as_str() }),
        )
        .await?;
        run.commit(self.core.urls.accept(&slug, &token)).await
    }

    /// Locks all owners, then the member, always in this order; and asks whether the caller may touch them at all.
    async fn lock(&self, tx: &mut Tx, ctx: &Ctx, id: UserId) -> Result<Target> {
        let actor = actor_role(tx, ctx).await?;
        let owners = users::owner_lock_all(tx).await?;
        let user = users::user_lock(tx, id).await?;
        user::may_manage(actor, user.role)?;
        let other_owners = owners
            .into_iter()
            .filter(|owner| owner.id != id)
            .map(|owner| owner.state)
            .collect();
        Ok(Target {
            actor,
            user,
            other_owners,
        })
    }

    async fn event(
        &self,
        run: &mut Running,
        ctx: &Ctx,
        kind: &str,
        id: UserId,
        detail: serde_json::Value,
    ) -> Result<()> {
        self.core
            .event(&mut run.tx, ctx, kind, &format!("user:{id}"), detail)
            .await
    }

    fn slug(&self, ctx: &Ctx) -> Result<String> {
        Ok(ctx.route()?.slug.clone())
    }
}

struct Target {
    actor: Role,
    user: User,
    other_owners: Vec<UserState>,
}

/// The caller's role as the table has it now, but never more than the token says.
async fn actor_role(tx: &mut Tx, ctx: &Ctx) -> Result<Role> {
    let denied = || {
        Error::new(
            Reason::PermissionDenied,
            "Your account has no right to this any more. Ask an admin of your organisation.",
        )
    };
    let user = ctx.principal().user().ok_or_else(denied)?;
    let stored = users::active_role(tx, user).await?.ok_or_else(denied)?;
    Ok(ctx.principal().role.ok_or_else(denied)?.min(stored))
}

/// Refuses one more than the plan allows.
pub(super) fn check_quota(what: &str, count: i64, limit: u32, plan: &str) -> Result<()> {
    if count < i64::from(limit) {
        return Ok(());
    }
    let text = format!("The plan {plan} allows {limit} {what}. Remove one or change the plan.");
    Err(Error::new(Reason::QuotaExceeded, text)
        .meta("limit", limit.to_string())
        .meta("plan", plan))
}
