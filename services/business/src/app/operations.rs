//! Long-running operations as callers see them.

use super::{
    Parts,
    once::{self, Once},
};
use crate::{
    domain::operation::Operation,
    store::{self, SCHEMA},
};
use std::time::Duration;
use tenantry_kernel::{Ctx, Error, Result};
use tenantry_operations::{State, lease, wait};
use uuid::Uuid;

const LIST: &str = "tenantry.business.v1.OperationService/ListOperations";

/// The tenant's operations.
#[derive(Clone, Debug)]
pub struct Operations {
    parts: Parts,
}

impl Operations {
    /// Over shared parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// One operation.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, ctx: &Ctx, id: Uuid) -> Result<Operation> {
        let mut tx = self.parts.store.begin(ctx).await?;
        let found = store::operation::fetch(&mut tx, ctx.tenant()?, id).await?;
        tx.commit().await?;
        found.ok_or_else(Error::not_found)
    }

    /// Operations, newest first.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`.
    pub async fn list(&self, ctx: &Ctx, page_size: i32, page_token: &str) -> Result<(Vec<Operation>, String)> {
        let limit = tenantry_kernel::page::size(page_size)?;
        let before = self.parts.open_page(ctx, LIST, [0; 32], page_token).await?;
        let before = before
            .map(|bytes| Uuid::from_slice(&bytes))
            .transpose()
            .map_err(Error::internal)?;
        let mut tx = self.parts.store.begin(ctx).await?;
        let mut page = store::operation::list(&mut tx, before, limit + 1).await?;
        tx.commit().await?;
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        if page.len() <= size {
            return Ok((page, String::new()));
        }
        page.truncate(size);
        let last = page.last().map(|operation| operation.id).unwrap_or_default();
        Ok((page, self.parts.seal_page(ctx, LIST, [0; 32], last.as_bytes()).await?))
    }

    /// The operation when it is done, or as it is after `timeout`.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn wait(&self, ctx: &Ctx, id: Uuid, timeout: Duration) -> Result<Operation> {
        let is_over = |operation: &Operation| operation.state != State::Running;
        wait::until(ctx, timeout, || self.get(ctx, id), is_over).await
    }

    /// Asks a running operation to stop; a finished one stays as it is.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn cancel(&self, ctx: &Ctx, id: Uuid, once: Option<&Once>) -> Result<()> {
        let mut tx = self.parts.store.begin(ctx).await?;
        if once::replay::<()>(once, &mut tx, ctx).await?.is_some() {
            return Ok(());
        }
        if !lease::request_cancel(&mut tx, SCHEMA, id).await? {
            return Err(Error::not_found());
        }
        once::finish(once, &mut tx, ctx, &()).await?;
        tx.commit().await
    }
}
