//! Routes: what everybody else must know of a tenant, joined from its row, plan, branding and verified domains.
//! Epochs commit in order (see migration 1), so "after this cursor" never misses a change.

use super::{col, placement_parse, plan, text_col};
use crate::domain::TenantState;
use sqlx::postgres::PgRow;
use tenantry_db::{SystemTx, Tx, query};
use tenantry_kernel::{Brand, Error, Result, TenantId, TenantRoute, ThemeMode};
use uuid::Uuid;

const SELECT: &str = "SELECT t.tenant_id, t.slug, t.display_name, t.state, t.epoch, t.placement, t.cell, t.plan_id, \
     p.requests_per_second, p.burst, p.users, p.object_types, p.records, p.api_keys, p.requests_per_month, p.features, \
     b.display_name AS brand_name, b.primary_color, b.support_uri, b.theme_mode, \
     ARRAY(SELECT d.domain FROM registry.domains d WHERE d.tenant_id = t.tenant_id AND d.state = 'verified' ORDER BY d.domain) AS domains \
     FROM registry.tenants t JOIN registry.plans p ON p.plan_id = t.plan_id \
     LEFT JOIN registry.branding b ON b.tenant_id = t.tenant_id";

/// How far a reader of changes has read. Many routes may share an epoch (a plan changed), so the id breaks the tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Last epoch read.
    pub epoch: i64,
    /// Last tenant read in it.
    pub tenant: Uuid,
}

impl Cursor {
    /// Before everything.
    pub const START: Self = Self {
        epoch: 0,
        tenant: Uuid::nil(),
    };
}

/// Up to `limit` routes after the cursor, in order of their change.
///
/// # Errors
/// As every statement.
pub async fn route_list_after(tx: &mut SystemTx, after: Cursor, limit: i64) -> Result<Vec<TenantRoute>> {
    let sql = format!("{SELECT} WHERE (t.epoch, t.tenant_id) > ($1, $2) ORDER BY t.epoch, t.tenant_id LIMIT $3");
    let rows = tx
        .fetch_all(query(sql).bind(after.epoch).bind(after.tenant).bind(limit))
        .await?;
    rows.iter().map(decode).collect()
}

/// Up to `limit` removals after the cursor.
///
/// # Errors
/// As every statement.
pub async fn route_tombstones_after(tx: &mut SystemTx, after: Cursor, limit: i64) -> Result<Vec<Cursor>> {
    let sql = "SELECT tenant_id, epoch FROM registry.removed_routes WHERE (epoch, tenant_id) > ($1, $2) ORDER BY epoch, tenant_id LIMIT $3";
    let rows = tx
        .fetch_all(query(sql).bind(after.epoch).bind(after.tenant).bind(limit))
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Cursor {
                epoch: col(row, "epoch")?,
                tenant: col(row, "tenant_id")?,
            })
        })
        .collect()
}

/// Forgets removals that every process has seen long ago (a new process starts from a snapshot).
///
/// # Errors
/// As every statement.
pub async fn route_tombstone_purge(tx: &mut SystemTx) -> Result<u64> {
    tx.execute(query(
        "DELETE FROM registry.removed_routes WHERE remove_time < pg_catalog.now() - interval '7 days'",
    ))
    .await
}

/// The route of a tenant, the platform's included.
///
/// # Errors
/// As every statement.
pub async fn route_by_id(tx: &mut SystemTx, tenant: TenantId) -> Result<Option<TenantRoute>> {
    one(
        tx,
        query(format!("{SELECT} WHERE t.tenant_id = $1")).bind(tenant.uuid()),
    )
    .await
}

/// The route of a slug.
///
/// # Errors
/// As every statement.
pub async fn route_by_slug(tx: &mut SystemTx, slug: &str) -> Result<Option<TenantRoute>> {
    one(tx, query(format!("{SELECT} WHERE t.slug = $1")).bind(slug)).await
}

/// The route of a verified domain.
///
/// # Errors
/// As every statement.
pub async fn route_by_domain(tx: &mut SystemTx, domain: &str) -> Result<Option<TenantRoute>> {
    let sql = format!(
        "{SELECT} WHERE t.tenant_id = (SELECT v.tenant_id FROM registry.domains v WHERE v.domain = $1 AND v.state = 'verified')"
    );
    one(tx, query(sql).bind(domain)).await
}

/// Marks the route of the transaction's tenant as changed. Row first, clock second, as everywhere.
///
/// # Errors
/// `NOT_FOUND` where the tenant is gone.
pub async fn route_touch_own(tx: &mut Tx) -> Result<()> {
    let tenant = tx.tenant().uuid();
    tx.fetch_one(query("SELECT epoch FROM registry.tenants WHERE tenant_id = $1 FOR UPDATE").bind(tenant))
        .await?;
    let touch = "UPDATE registry.tenants SET epoch = registry.next_epoch() WHERE tenant_id = $1";
    tx.execute(query(touch).bind(tenant)).await.map(|_| ())
}

/// Marks a locked tenant's route as changed.
///
/// # Errors
/// As every statement.
pub async fn route_touch_tenant(tx: &mut SystemTx, tenant: TenantId) -> Result<()> {
    let touch = "UPDATE registry.tenants SET epoch = registry.next_epoch() WHERE tenant_id = $1";
    tx.execute(query(touch).bind(tenant.uuid())).await.map(|_| ())
}

/// Marks the routes of a plan's tenants as changed, all under one epoch.
///
/// # Errors
/// As every statement.
pub async fn route_touch_plan(tx: &mut SystemTx, plan: &str) -> Result<u64> {
    let lock = "SELECT pg_catalog.count(*) FROM (SELECT 1 FROM registry.tenants WHERE plan_id = $1 ORDER BY tenant_id FOR UPDATE) locked";
    tx.fetch_one(query(lock).bind(plan)).await?;
    let epoch: i64 = col(
        &tx.fetch_one(query("SELECT registry.next_epoch() AS epoch")).await?,
        "epoch",
    )?;
    // A statement of its own: it sees the tenants that committed while we waited for the clock.
    tx.execute(
        query("UPDATE registry.tenants SET epoch = $2 WHERE plan_id = $1")
            .bind(plan)
            .bind(epoch),
    )
    .await
}

async fn one(tx: &mut SystemTx, sql: tenantry_db::Query<'_>) -> Result<Option<TenantRoute>> {
    tx.fetch_optional(sql).await?.as_ref().map(decode).transpose()
}

fn decode(row: &PgRow) -> Result<TenantRoute> {
    let display_name: String = col(row, "display_name")?;
    let fallback = Brand {
        display_name: display_name.clone(),
        ..Brand::default()
    };
    let brand_name: String = col::<Option<String>>(row, "brand_name")?.unwrap_or_default();
    Ok(TenantRoute {
        tenant: TenantId::from_uuid(col::<Uuid>(row, "tenant_id")?),
        slug: col(row, "slug")?,
        domains: col(row, "domains")?,
        status: text_col(row, "state", TenantState::parse)?.status(),
        epoch: u64::try_from(col::<i64>(row, "epoch")?).map_err(Error::internal)?,
        placement: text_col(row, "placement", placement_parse)?,
        cell: col(row, "cell")?,
        plan: col(row, "plan_id")?,
        limits: plan::limits(row)?,
        features: plan::features(row)?,
        brand: Brand {
            display_name: if brand_name.is_empty() {
                fallback.display_name
            } else {
                brand_name
            },
            primary_color: col::<Option<String>>(row, "primary_color")?.unwrap_or(fallback.primary_color),
            support_uri: col::<Option<String>>(row, "support_uri")?.unwrap_or_default(),
            theme_mode: col::<Option<String>>(row, "theme_mode")?
                .and_then(|mode| ThemeMode::parse(&mode))
                .unwrap_or_default(),
        },
        display_name,
    })
}
