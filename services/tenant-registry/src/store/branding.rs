//! `registry.branding`: one row a tenant, absent until it is first set; its draft and its history.

use super::{col, text_col};
use crate::domain::{Branding, BrandingRevision, branding::REVISIONS_KEPT};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use tenantry_db::{Tx, query};
use tenantry_kernel::{Brand, Error, Result, ThemeMode};

/// The tenant's branding, the default where it has none. `lock` holds the row until the end of the transaction.
///
/// # Errors
/// As every statement.
pub async fn branding_fetch(tx: &mut Tx, lock: bool) -> Result<Branding> {
    let lock = if lock { "FOR UPDATE" } else { "" };
    let sql = format!(
        "SELECT display_name, primary_color, support_uri, theme_mode, version FROM registry.branding WHERE tenant_id = $1 {lock}"
    );
    let tenant = tx.tenant().uuid();
    let Some(row) = tx.fetch_optional(query(sql).bind(tenant)).await? else {
        return Ok(Branding::default());
    };
    Ok(Branding {
        brand: brand(&row)?,
        version: col(&row, "version")?,
    })
}

/// Stores `brand` over the version that was read.
///
/// # Errors
/// `ETAG_MISMATCH` where somebody else stored one since.
pub async fn branding_put(tx: &mut Tx, brand: &Brand, read: i64) -> Result<Branding> {
    let sql = "INSERT INTO registry.branding AS b (tenant_id, display_name, primary_color, support_uri, theme_mode) VALUES ($1, $2, $3, $4, $6) \
               ON CONFLICT (tenant_id) DO UPDATE SET display_name = $2, primary_color = $3, support_uri = $4, theme_mode = $6, \
               version = b.version + 1, update_time = pg_catalog.now() WHERE b.version = $5 RETURNING version";
    let tenant = tx.tenant().uuid();
    let put = query(sql)
        .bind(tenant)
        .bind(&brand.display_name)
        .bind(&brand.primary_color)
        .bind(&brand.support_uri)
        .bind(read)
        .bind(brand.theme_mode.as_str());
    let row = tx.fetch_optional(put).await?.ok_or_else(Error::etag_mismatch)?;
    Ok(Branding {
        brand: brand.clone(),
        version: col(&row, "version")?,
    })
}

/// The row of a tenant's draft.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The values, where there is a draft.
    pub pending: Option<Brand>,
    /// Version of the row; 0 while it has none.
    pub version: i64,
}

/// The tenant's draft. `lock` holds the row until the end of the transaction.
///
/// # Errors
/// As every statement.
pub async fn draft_fetch(tx: &mut Tx, lock: bool) -> Result<Draft> {
    let lock = if lock { "FOR UPDATE" } else { "" };
    let sql = format!(
        "SELECT pending, display_name, primary_color, support_uri, theme_mode, version FROM registry.branding_drafts WHERE tenant_id = $1 {lock}"
    );
    let tenant = tx.tenant().uuid();
    let Some(row) = tx.fetch_optional(query(sql).bind(tenant)).await? else {
        return Ok(Draft::default());
    };
    let pending: bool = col(&row, "pending")?;
    Ok(Draft {
        pending: pending.then(|| brand(&row)).transpose()?,
        version: col(&row, "version")?,
    })
}

/// Stores a draft over the version that was read; returns its new version.
///
/// # Errors
/// `ETAG_MISMATCH` where somebody else stored one since.
pub async fn draft_put(tx: &mut Tx, brand: &Brand, read: i64) -> Result<i64> {
    let sql = "INSERT INTO registry.branding_drafts AS d (tenant_id, pending, display_name, primary_color, support_uri, theme_mode) \
               VALUES ($1, true, $2, $3, $4, $6) ON CONFLICT (tenant_id) DO UPDATE SET pending = true, display_name = $2, primary_color = $3, \
               support_uri = $4, theme_mode = $6, version = d.version + 1, update_time = pg_catalog.now() WHERE d.version = $5 RETURNING version";
    let tenant = tx.tenant().uuid();
    let put = query(sql)
        .bind(tenant)
        .bind(&brand.display_name)
        .bind(&brand.primary_color)
        .bind(&brand.support_uri)
        .bind(read)
        .bind(brand.theme_mode.as_str());
    let row = tx.fetch_optional(put).await?.ok_or_else(Error::etag_mismatch)?;
    col(&row, "version")
}

/// There is no draft any more; its version goes on.
///
/// # Errors
/// As every statement.
pub async fn draft_clear(tx: &mut Tx) -> Result<()> {
    let sql = "UPDATE registry.branding_drafts SET pending = false, version = version + 1, update_time = pg_catalog.now() \
               WHERE tenant_id = $1 AND pending";
    let tenant = tx.tenant().uuid();
    tx.execute(query(sql).bind(tenant)).await.map(|_| ())
}

/// Adds what was just published to the history and forgets its far end.
///
/// # Errors
/// As every statement.
pub async fn revision_insert(tx: &mut Tx, published: &Branding, publisher: &str, now: DateTime<Utc>) -> Result<()> {
    let sql = "INSERT INTO registry.branding_revisions (tenant_id, revision, display_name, primary_color, support_uri, theme_mode, publisher, publish_time) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let (tenant, brand) = (tx.tenant().uuid(), &published.brand);
    let insert = query(sql)
        .bind(tenant)
        .bind(published.version)
        .bind(&brand.display_name)
        .bind(&brand.primary_color)
        .bind(&brand.support_uri)
        .bind(brand.theme_mode.as_str())
        .bind(publisher)
        .bind(now);
    tx.execute(insert).await?;
    let forget = "DELETE FROM registry.branding_revisions WHERE tenant_id = $1 AND revision <= $2";
    tx.execute(query(forget).bind(tenant).bind(published.version - REVISIONS_KEPT))
        .await
        .map(|_| ())
}

/// One publication.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn revision_fetch(tx: &mut Tx, revision: i64) -> Result<BrandingRevision> {
    let sql = format!("SELECT {REVISION} FROM registry.branding_revisions WHERE tenant_id = $1 AND revision = $2");
    let tenant = tx.tenant().uuid();
    decode_revision(&tx.fetch_one(query(sql).bind(tenant).bind(revision)).await?)
}

/// Up to `limit` publications before one, newest first.
///
/// # Errors
/// As every statement.
pub async fn revision_list(tx: &mut Tx, before: Option<i64>, limit: i64) -> Result<Vec<BrandingRevision>> {
    let sql = format!(
        "SELECT {REVISION} FROM registry.branding_revisions WHERE tenant_id = $1 AND revision < $2 ORDER BY revision DESC LIMIT $3"
    );
    let tenant = tx.tenant().uuid();
    let list = query(sql).bind(tenant).bind(before.unwrap_or(i64::MAX)).bind(limit);
    tx.fetch_all(list).await?.iter().map(decode_revision).collect()
}

const REVISION: &str = "revision, display_name, primary_color, support_uri, theme_mode, publisher, publish_time";

fn decode_revision(row: &PgRow) -> Result<BrandingRevision> {
    Ok(BrandingRevision {
        revision: col(row, "revision")?,
        brand: brand(row)?,
        publish_time: col(row, "publish_time")?,
        publisher: col(row, "publisher")?,
    })
}

fn brand(row: &PgRow) -> Result<Brand> {
    Ok(Brand {
        display_name: col(row, "display_name")?,
        primary_color: col(row, "primary_color")?,
        support_uri: col(row, "support_uri")?,
        theme_mode: text_col(row, "theme_mode", ThemeMode::parse)?,
    })
}
