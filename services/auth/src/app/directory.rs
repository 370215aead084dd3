//! Who a member is, for services that act in the member's name later than the request.

use super::Core;
use crate::{
    domain::{User, UserState},
    store::users,
};
use std::sync::Arc;
use tenantry_kernel::{Ctx, Error, Result, TenantId, UserId};

/// See the module.
#[derive(Clone)]
pub struct Directory {
    core: Arc<Core>,
}

impl Directory {
    /// With its parts.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
    /// An active member.
    ///
    /// # Errors
    /// `NOT_FOUND` for anybody else.
    pub async fn contact(&self, ctx: &Ctx, tenant: TenantId, user: UserId) -> Result<User> {
        let own = self.core.minter.own_for(ctx, tenant)?;
        let mut tx = self.core.store.begin(&own).await?;
        let found = users::user_fetch(&mut tx, user).await?;
        tx.commit().await?;
        found
            .filter(|user| user.state == UserState::Active)
            .ok_or_else(Error::not_found)
    }
}
