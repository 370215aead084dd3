//! Branding of the caller's tenant: drafts, publications and the way back. Pages everywhere see what is published
//! through the route, and never a draft.

use crate::{
    app::{Idempotency, Page, Pager, Query, Sagas},
    domain::{Branding, BrandingRevision, branding, etag, tenant},
    store::{self, Draft, Store},
};
use std::sync::Arc;
use tenantry_db::Tx;
use tenantry_kernel::{Brand, Clock, Ctx, Error, Result, ThemeMode};

/// A change of branding; `None` leaves a value.
#[derive(Clone, Debug, Default)]
pub struct BrandingChange {
    /// Name shown on pages.
    pub display_name: Option<String>,
    /// `#rrggbb`
    pub primary_color: Option<String>,
    /// https link or empty.
    pub support_uri: Option<String>,
    /// Light or dark.
    pub theme_mode: Option<ThemeMode>,
    /// Etag that was read; empty = not checked.
    pub etag: String,
}

impl BrandingChange {
    /// Checks and applies it.
    fn apply(&self, brand: Brand) -> Result<Brand> {
        if let Some(name) = &self.display_name {
            tenant::check_display_name("branding.display_name", name)?;
        }
        if let Some(link) = &self.support_uri {
            branding::check_support_uri(link)?;
        }
        let color = self.primary_color.as_deref().map(branding::color).transpose()?;
        Ok(Brand {
            display_name: self.display_name.clone().unwrap_or(brand.display_name),
            primary_color: color.unwrap_or(brand.primary_color),
            support_uri: self.support_uri.clone().unwrap_or(brand.support_uri),
            theme_mode: self.theme_mode.unwrap_or(brand.theme_mode),
        })
    }
}

/// See the module.
#[derive(Clone)]
pub struct BrandingApp {
    store: Store,
    pager: Pager,
    sagas: Arc<Sagas>,
    clock: Arc<dyn Clock>,
}

impl BrandingApp {
    /// All parts.
    #[must_use]
    pub fn new(store: Store, pager: Pager, sagas: Arc<Sagas>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            pager,
            sagas,
            clock,
        }
    }

    /// The values that pages show.
    ///
    /// # Errors
    /// As every statement.
    pub async fn get(&self, ctx: &Ctx) -> Result<Branding> {
        store::branding_fetch(&mut self.store.begin(ctx).await?, false).await
    }

    /// Changes the published values at once; a draft stays as it is.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `ETAG_MISMATCH`.
    pub async fn update(&self, ctx: &Ctx, change: BrandingChange, once: &Idempotency) -> Result<Branding> {
        change.apply(Brand::default())?;
        let mut tx = self.store.begin(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let read = store::branding_fetch(&mut tx, true).await?;
        etag::check(&change.etag, read.version)?;
        let brand = change.apply(read.brand)?;
        self.publish_values(tx, ctx, &brand, read.version, once).await
    }

    /// The draft; without one, the published values.
    ///
    /// # Errors
    /// As every statement.
    pub async fn draft(&self, ctx: &Ctx) -> Result<Branding> {
        let mut tx = self.store.begin(ctx).await?;
        let draft = store::draft_fetch(&mut tx, false).await?;
        let published = store::branding_fetch(&mut tx, false).await?;
        Ok(seen(&draft, published))
    }

    /// Changes the draft, which starts as a copy of the published values.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `ETAG_MISMATCH`.
    pub async fn update_draft(&self, ctx: &Ctx, change: BrandingChange, once: &Idempotency) -> Result<Branding> {
        change.apply(Brand::default())?;
        let mut tx = self.store.begin(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let draft = store::draft_fetch(&mut tx, true).await?;
        let published = store::branding_fetch(&mut tx, false).await?;
        let read = seen(&draft, published.clone());
        etag::check(&change.etag, read.version)?;
        let brand = change.apply(read.brand)?;
        let version = store::draft_put(&mut tx, &brand, draft.version).await?;
        let pending = Draft {
            pending: Some(brand),
            version,
        };
        let stored = seen(&pending, published);
        once.remember(&mut tx, ctx, &stored).await?;
        tx.commit().await?;
        Ok(stored)
    }

    /// Makes the draft the published branding. Without a draft nothing changes.
    ///
    /// # Errors
    /// `ETAG_MISMATCH` where the draft, or what it was made from, has changed.
    pub async fn publish(&self, ctx: &Ctx, etag: &str, once: &Idempotency) -> Result<Branding> {
        let mut tx = self.store.begin(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let draft = store::draft_fetch(&mut tx, true).await?;
        let published = store::branding_fetch(&mut tx, true).await?;
        etag::check(etag, seen(&draft, published.clone()).version)?;
        let Some(brand) = draft.pending else {
            once.remember(&mut tx, ctx, &published).await?;
            tx.commit().await?;
            return Ok(published);
        };
        store::draft_clear(&mut tx).await?;
        self.publish_values(tx, ctx, &brand, published.version, once).await
    }

    /// Throws the draft away; what is published stays. Without a draft nothing changes.
    ///
    /// # Errors
    /// `ETAG_MISMATCH` where the draft, or what it was made from, has changed.
    pub async fn discard(&self, ctx: &Ctx, etag: &str, once: &Idempotency) -> Result<Branding> {
        let mut tx = self.store.begin(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let draft = store::draft_fetch(&mut tx, true).await?;
        let published = store::branding_fetch(&mut tx, false).await?;
        etag::check(etag, seen(&draft, published.clone()).version)?;
        let mut left = draft;
        // Only what was locked: a draft that somebody begins at this moment is not the one that is thrown away.
        if left.pending.is_some() {
            store::draft_clear(&mut tx).await?;
            left = store::draft_fetch(&mut tx, false).await?;
        }
        let shown = seen(&left, published);
        once.remember(&mut tx, ctx, &shown).await?;
        tx.commit().await?;
        Ok(shown)
    }

    /// What was published, newest first.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `INVALID_PAGE_TOKEN`.
    pub async fn revisions(&self, ctx: &Ctx, method: &'static str, query: &Query) -> Result<Page<BrandingRevision>> {
        let slice = self.pager.open(ctx, method, &[], query).await?;
        let before = if slice.after.is_empty() {
            None
        } else {
            Some(slice.after.parse().map_err(Error::internal)?)
        };
        let rows = store::revision_list(&mut self.store.begin(ctx).await?, before, slice.limit()).await?;
        slice.page(rows, |one| one.revision.to_string()).await
    }

    /// Publishes an earlier revision again, as a new one; a draft stays as it is.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn rollback(&self, ctx: &Ctx, revision: i64, once: &Idempotency) -> Result<Branding> {
        let mut tx = self.store.begin(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let published = store::branding_fetch(&mut tx, true).await?;
        let wanted = store::revision_fetch(&mut tx, revision).await?;
        self.publish_values(tx, ctx, &wanted.brand, published.version, once)
            .await
    }

    /// Stores, remembers and pushes; the row of the branding orders those who publish at the same time.
    async fn publish_values(
        &self,
        mut tx: Tx,
        ctx: &Ctx,
        brand: &Brand,
        read: i64,
        once: &Idempotency,
    ) -> Result<Branding> {
        let stored = store::branding_put(&mut tx, brand, read).await?;
        let publisher = branding::publisher(ctx.principal());
        store::revision_insert(&mut tx, &stored, &publisher, super::now(&*self.clock)).await?;
        store::route_touch_own(&mut tx).await?;
        once.remember(&mut tx, ctx, &stored).await?;
        tx.commit().await?;
        self.sagas.nudge();
        Ok(stored)
    }
}

/// What the editor sees. Both versions only grow, so their sum changes whenever one of them does: a draft is not
/// published over something that its author has not seen.
fn seen(draft: &Draft, published: Branding) -> Branding {
    Branding {
        brand: draft.pending.clone().unwrap_or(published.brand),
        version: draft.version + published.version,
    }
}
