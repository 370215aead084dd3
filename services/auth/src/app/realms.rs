//! Effects of saga commands: the realm of a new tenant, its end, and the end of all its sessions. Each runs in the
//! transaction that also holds the inbox entry and the reply (see `jobs/saga.rs`).

use super::{Core, links};
use crate::{
    domain::{Email, LinkKind, Subject, User, UserState, user},
    store::{realms, sessions, users},
};
use serde_json::json;
use std::sync::Arc;
use tenantry_db::Tx;
use tenantry_kernel::{Ctx, Error, Reason, Result, Role, TenantId, UserId};

/// A realm to make.
#[derive(Debug)]
pub struct NewRealm {
    /// For issuer and links.
    pub slug: String,
    /// First owner.
    pub admin_email: String,
    /// First owner's name.
    pub admin_display_name: String,
}

/// See the module.
#[derive(Clone)]
pub struct Realms {
    core: Arc<Core>,
}

impl Realms {
    /// With its parts.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
    /// Makes realm, KEK and first owner, whom [`Realms::invite`] then gives a link. Where the realm exists (the command
    /// came again, or under another id) nothing changes.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an address that is none: permanent.
    pub async fn create(&self, ctx: &Ctx, tx: &mut Tx, new: NewRealm) -> Result<UserId> {
        let email = Email::parse("admin_email", &new.admin_email)?;
        user::check_display_name("admin_display_name", &new.admin_display_name)?;
        if tx.tenant() == TenantId::PLATFORM {
            return Err(Error::invalid_field("tenant_id", "is the platform's own"));
        }
        realms::realm_insert(tx, &new.slug).await?;
        self.core.keyring.create_kek(tx).await?;
        let owner = match users::user_by_email(tx, &email).await? {
            Some(owner) => owner,
            None => self.first_owner(tx, email, new.admin_display_name).await?,
        };
        if owner.state != UserState::Invited {
            return Err(Error::new(
                Reason::FailedPrecondition,
                "The realm exists and its owner has accepted already.",
            ));
        }
        self.core
            .event(
                tx,
                ctx,
                "auth.realm.create.v1",
                &format!("user:{}", owner.id),
                json!({ "slug": new.slug }),
            )
            .await?;
        Ok(owner.id)
    }
    /// The first owner's one-time token; an earlier one ends. Belongs into the transaction of the inbox entry: of two
    /// deliveries of one command, the one that loses must not take the winner's link with it.
    ///
    /// # Errors
    /// As every statement.
    pub async fn invite(&self, tx: &mut Tx, owner: UserId) -> Result<String> {
        links::make(&self.core, tx, owner, LinkKind::Invite).await
    }

    async fn first_owner(&self, tx: &mut Tx, email: Email, display_name: String) -> Result<User> {
        let now = self.core.now();
        let owner = User {
            id: UserId::from_uuid(self.core.id()),
            email,
            display_name,
            role: Role::Owner,
            state: UserState::Invited,
            version: 1,
            create_time: now,
            update_time: now,
        };
        users::user_insert(tx, &owner).await?;
        Ok(owner)
    }
    /// Destroys the tenant's keys, in a transaction of its own, before anything else of it is touched. Repeatable.
    ///
    /// # Errors
    /// As every statement.
    pub async fn shred(&self, ctx: &Ctx) -> Result<()> {
        let mut tx = self.core.store.begin(ctx).await?;
        if tx.tenant() == TenantId::PLATFORM {
            return Err(Error::invalid_field("tenant_id", "is the platform's own"));
        }
        realms::realm_shred(&mut tx).await?;
        tx.commit().await?;
        self.core.keyring.forget(ctx.tenant()?).await;
        Ok(())
    }
    /// Removes everything else of the tenant. Repeatable.
    ///
    /// # Errors
    /// As every statement.
    pub async fn delete(&self, tx: &mut Tx) -> Result<()> {
        self.core.revoke(tx, &[Subject::Tenant]).await?;
        realms::realm_delete(tx).await
    }
    /// Ends every session of the tenant and refuses every token that is out.
    ///
    /// # Errors
    /// As every statement.
    pub async fn revoke(&self, ctx: &Ctx, tx: &mut Tx) -> Result<()> {
        let count = sessions::session_revoke_tenant(tx, self.core.now()).await?;
        self.core.revoke(tx, &[Subject::Tenant]).await?;
        self.core
            .event(
                tx,
                ctx,
                "auth.tenant.revoke.v1",
                &format!("tenant:{}", tx.tenant()),
                json!({ "sessions": count }),
            )
            .await
    }
}
