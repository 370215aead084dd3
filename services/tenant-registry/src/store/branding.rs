//! `registry.branding`: one row a tenant, absent until it is first set.

use super::col;
use crate::domain::Branding;
use tenantry_db::{Tx, query};
use tenantry_kernel::{Brand, Error, Result};

/// The tenant's branding, the default where it has none. `lock` holds the row until the end of the transaction.
///
/// # Errors
/// As every statement.
pub async fn branding_fetch(tx: &mut Tx, lock: bool) -> Result<Branding> {
    let lock = if lock { "FOR UPDATE" } else { "" };
    let sql = format!(
        "SELECT display_name, primary_color, support_uri, version FROM registry.branding WHERE tenant_id = $1 {lock}"
    );
    let tenant = tx.tenant().uuid();
    let Some(row) = tx.fetch_optional(query(sql).bind(tenant)).await? else {
        return Ok(Branding::default());
    };
    let brand = Brand {
        display_name: col(&row, "display_name")?,
        primary_color: col(&row, "primary_color")?,
        support_uri: col(&row, "support_uri")?,
    };
    Ok(Branding {
        brand,
        version: col(&row, "version")?,
    })
}

/// Stores `brand` over the version that was read.
///
/// # Errors
/// `ETAG_MISMATCH` where somebody else stored one since.
pub async fn branding_put(tx: &mut Tx, brand: &Brand, read: i64) -> Result<Branding> {
    let sql = "INSERT INTO registry.branding AS b (tenant_id, display_name, primary_color, support_uri) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (tenant_id) DO UPDATE SET display_name = $2, primary_color = $3, support_uri = $4, \
               version = b.version + 1, update_time = pg_catalog.now() WHERE b.version = $5 RETURNING version";
    let tenant = tx.tenant().uuid();
    let put = query(sql)
        .bind(tenant)
        .bind(&brand.display_name)
        .bind(&brand.primary_color)
        .bind(&brand.support_uri)
        .bind(read);
    let row = tx.fetch_optional(put).await?.ok_or_else(Error::etag_mismatch)?;
    Ok(Branding {
        brand: brand.clone(),
        version: col(&row, "version")?,
    })
}
