//! All tenants' backups, for operators.

use super::Parts;
use crate::store::{
    self,
    fleet::{Cursor, TenantBackup},
};
use tenantry_kernel::{Ctx, Error, Result};

const LIST: &str = "tenantry.backup.v1.BackupFleetService/ListTenantBackups";

/// See the module.
#[derive(Clone, Debug)]
pub struct Fleet {
    parts: Parts,
}

impl Fleet {
    /// Over shared parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
    /// Those without a ready snapshot first, then the oldest; each with its slug.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`.
    pub async fn list(
        &self,
        ctx: &Ctx,
        page_size: i32,
        page_token: &str,
    ) -> Result<(Vec<(TenantBackup, String)>, String)> {
        let limit = tenantry_kernel::page::size(page_size)?;
        let after: Option<Cursor> = match self.parts.open_page(ctx, LIST, page_token).await? {
            Some(bytes) => Some(serde_json::from_slice(&bytes).map_err(Error::internal)?),
            None => None,
        };
        let mut tx = self.parts.store.begin_operator(ctx).await?;
        let mut page = store::fleet::list(&mut tx, after, limit + 1).await?;
        tx.commit().await?;
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = page.len() > size;
        page.truncate(size);
        let mut next = String::new();
        if let (true, Some(last)) = (more, page.last()) {
            let cursor = Cursor {
                last: last.last_snapshot_time,
                tenant: last.tenant,
            };
            let bytes = serde_json::to_vec(&cursor).map_err(Error::internal)?;
            next = self.parts.seal_page(ctx, LIST, &bytes).await?;
        }
        let mut named = Vec::with_capacity(page.len());
        for backup in page {
            // A tenant that has just gone has no name any more.
            let route = self.parts.resolver.by_id(backup.tenant).await;
            named.push((backup, route.map(|route| route.slug.clone()).unwrap_or_default()));
        }
        Ok((named, next))
    }
}
