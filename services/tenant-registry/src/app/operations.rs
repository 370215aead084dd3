//! Long-running operations as operators see them.

use crate::{
    app::{Page, Pager, Query},
    domain::{Operation, Step, operation},
    store::{self, Store},
};
use std::{sync::Arc, time::Duration};
use tenantry_crypto::{Purpose, Sealer, TenantKeys};
use tenantry_kernel::{Ctx, Error, OperationId, Result, Role, TenantId};
use tenantry_operations::wait;

/// See the module.
#[derive(Clone)]
pub struct OperationApp {
    store: Store,
    pager: Pager,
    keys: Arc<dyn TenantKeys>,
}

impl OperationApp {
    /// All parts.
    #[must_use]
    pub fn new(store: Store, pager: Pager, keys: Arc<dyn TenantKeys>) -> Self {
        Self { store, pager, keys }
    }

    /// One operation.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, ctx: &Ctx, id: OperationId) -> Result<Operation> {
        store::operation_fetch(&mut self.store.begin_system(ctx).await?, id).await
    }

    /// A page of operations, newest first.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `INVALID_PAGE_TOKEN`.
    pub async fn list(&self, ctx: &Ctx, method: &'static str, query: &Query) -> Result<Page<Operation>> {
        let slice = self.pager.open(ctx, method, &[], query).await?;
        let before = if slice.after.is_empty() {
            None
        } else {
            Some(slice.after.parse().map_err(Error::internal)?)
        };
        let rows = store::operation_list(&mut self.store.begin_system(ctx).await?, before, slice.limit()).await?;
        slice.page(rows, |operation| operation.id.to_string()).await
    }

    /// Waits until it is done or `timeout` has passed.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn wait(&self, ctx: &Ctx, id: OperationId, timeout: Duration) -> Result<Operation> {
        let is_over = |operation: &Operation| operation.saga.is_done();
        wait::until(ctx, timeout, || self.get(ctx, id), is_over).await
    }

    /// An onboarding that this very service has asked for, with its one-time invite token once it is over. Those of
    /// operators and of other services do not exist for it.
    ///
    /// # Errors
    /// `NOT_FOUND`; `UNAVAILABLE` while auth, which keeps the key, is away.
    pub async fn own_onboarding(&self, ctx: &Ctx, id: OperationId) -> Result<(Operation, Option<String>)> {
        let operation = self.get(ctx, id).await?;
        if !operation.is_onboarding_by(&ctx.principal().name()) {
            return Err(Error::not_found());
        }
        let invite = self.open_invite(&operation).await?;
        Ok((operation, invite))
    }

    /// The one-time invite token of a finished onboarding: for operators who could have asked for it, while it is sealed
    /// under a key that still exists.
    ///
    /// # Errors
    /// `UNAVAILABLE` while auth, which keeps the key, is away.
    pub async fn invite(&self, ctx: &Ctx, operation: &Operation) -> Result<Option<String>> {
        if ctx.principal().role < Some(Role::Admin) {
            return Ok(None);
        }
        self.open_invite(operation).await
    }

    async fn open_invite(&self, operation: &Operation) -> Result<Option<String>> {
        let Some(sealed) = operation.invite.as_deref().filter(|_| operation.saga.succeeded()) else {
            return Ok(None);
        };
        let version = Sealer::version_of(sealed).map_err(Error::internal)?;
        let sealer = self
            .keys
            .sealer(TenantId::PLATFORM, Purpose::Field, Some(version))
            .await?;
        let opened = sealer
            .open(&operation::invite_binding(operation.id), sealed)
            .map_err(Error::internal)?;
        String::from_utf8(opened).map(Some).map_err(Error::internal)
    }
}

/// Whether a step's answer carries an invite.
pub(crate) fn carries_invite(step: Step) -> bool {
    step == Step::CreateRealm
}
