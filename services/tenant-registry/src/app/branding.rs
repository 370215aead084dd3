//! Branding of the caller's tenant; pages everywhere see a change through the route.

use crate::{
    app::{Idempotency, Sagas},
    domain::{Branding, branding, etag, tenant},
    store::{self, Store},
};
use std::sync::Arc;
use tenantry_kernel::{Ctx, Result};

/// A change of branding; `None` leaves a value.
#[derive(Clone, Debug, Default)]
pub struct BrandingChange {
    /// Name shown on pages.
    pub display_name: Option<String>,
    /// `#rrggbb`
    pub primary_color: Option<String>,
    /// https link or empty.
    pub support_uri: Option<String>,
    /// Etag that was read; empty = not checked.
    pub etag: String,
}

/// See the module.
#[derive(Clone)]
pub struct BrandingApp {
    store: Store,
    sagas: Arc<Sagas>,
}

impl BrandingApp {
    /// All parts.
    #[must_use]
    pub fn new(store: Store, sagas: Arc<Sagas>) -> Self {
        Self { store, sagas }
    }

    /// The values.
    ///
    /// # Errors
    /// As every statement.
    pub async fn get(&self, ctx: &Ctx) -> Result<Branding> {
        store::branding_fetch(&mut self.store.begin(ctx).await?, false).await
    }

    /// Changes values.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `ETAG_MISMATCH`.
    pub async fn update(&self, ctx: &Ctx, change: BrandingChange, once: &Idempotency) -> Result<Branding> {
        if let Some(name) = &change.display_name {
            tenant::check_display_name("branding.display_name", name)?;
        }
        if let Some(link) = &change.support_uri {
            branding::check_support_uri(link)?;
        }
        let color = change.primary_color.as_deref().map(branding::color).transpose()?;
        let mut tx = self.store.begin(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let read = store::branding_fetch(&mut tx, true).await?;
        etag::check(&change.etag, read.version)?;
        let mut brand = read.brand;
        brand.display_name = change.display_name.unwrap_or(brand.display_name);
        brand.primary_color = color.unwrap_or(brand.primary_color);
        brand.support_uri = change.support_uri.unwrap_or(brand.support_uri);
        let stored = store::branding_put(&mut tx, &brand, read.version).await?;
        store::route_touch_own(&mut tx).await?;
        once.remember(&mut tx, ctx, &stored).await?;
        tx.commit().await?;
        self.sagas.nudge();
        Ok(stored)
    }
}
