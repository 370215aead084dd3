//! Long-running operations as callers see them.

use super::{
    Parts,
    once::{self, Once},
};
use crate::{
    domain::operation::{Operation, Restored},
    store::{self, SCHEMA},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::time::Duration;
use tenantry_crypto::{Purpose, Sealer};
use tenantry_kernel::{Ctx, Error, PrincipalKind, Result};
use tenantry_operations::{State, lease, wait};
use uuid::Uuid;

const LIST: &str = "tenantry.backup.v1.OperationService/ListOperations";

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
        let found = store::operation::fetch(&mut tx, id).await?;
        tx.commit().await?;
        found.ok_or_else(Error::not_found)
    }

    /// Operations, newest first.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`.
    pub async fn list(&self, ctx: &Ctx, page_size: i32, page_token: &str) -> Result<(Vec<Operation>, String)> {
        let limit = tenantry_kernel::page::size(page_size)?;
        let before = self.parts.open_page(ctx, LIST, page_token).await?;
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
        Ok((page, self.parts.seal_page(ctx, LIST, last.as_bytes()).await?))
    }

    /// The operation when it is done, or as it is after `timeout`.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn wait(&self, ctx: &Ctx, id: Uuid, timeout: Duration) -> Result<Operation> {
        let is_over = |operation: &Operation| operation.state != State::Running;
        wait::until(ctx, timeout, || self.get(ctx, id), is_over).await
    }

    /// The link in a finished restore, for the member who asked for it and nobody else.
    ///
    /// # Errors
    /// Where the key cannot be fetched.
    pub async fn invite(&self, ctx: &Ctx, operation: &Operation, restored: &Restored) -> Result<String> {
        let own = !operation.creator.is_empty() && operation.creator == super::creator(ctx);
        let session = matches!(ctx.principal().kind, PrincipalKind::User { .. });
        if restored.sealed_invite.is_empty() || !own || !session {
            return Ok(String::new());
        }
        let sealed = BASE64_STANDARD
            .decode(&restored.sealed_invite)
            .map_err(Error::internal)?;
        let version = Sealer::version_of(&sealed).map_err(Error::internal)?;
        let sealer = self
            .parts
            .keys
            .sealer(ctx.tenant()?, Purpose::Backup, Some(version))
            .await?;
        let link = sealer
            .open(&invite_aad(operation.id), &sealed)
            .map_err(Error::internal)?;
        String::from_utf8(link).map_err(Error::internal)
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

/// Seals the link with which the caller becomes the owner of the new tenant: operations are shown to viewers, too.
#[must_use]
pub fn seal_invite(sealer: &Sealer, operation: Uuid, link: &str) -> String {
    BASE64_STANDARD.encode(sealer.seal(&invite_aad(operation), link))
}

fn invite_aad(operation: Uuid) -> Vec<u8> {
    format!("backup invite v1|{operation}").into_bytes()
}
