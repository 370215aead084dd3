//! `registry.tenants`, as the platform sees it.

use super::{col, placement_parse, placement_text, text_col};
use crate::domain::{Tenant, TenantName, TenantState};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use tenantry_db::{SystemTx, query};
use tenantry_kernel::{Error, Reason, Result, TenantId};
use uuid::Uuid;

const COLUMNS: &str = "tenant_id, slug, display_name, plan_id, state, suspend_reason, placement, cell, epoch, version, \
     create_time, update_time, delete_time, purge_time";
/// Word for word the predicate of the index `tenants_listed`.
const LISTED: &str =
    "state IN ('creating', 'active', 'suspended') AND tenant_id <> '00000000-0000-7000-8000-000000000001'";
/// Customers only: the platform tenant is not managed through this API.
const CUSTOMER: &str = "tenant_id <> '00000000-0000-7000-8000-000000000001'";

/// Which tenants a list names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Also deleted and purging ones.
    pub show_deleted: bool,
    /// Only slugs that start with this.
    pub prefix: String,
    /// Only where the slug or the display name contains this, in any case.
    pub text: String,
    /// Only slugs after this one.
    pub after: String,
}

/// Adds a tenant and moves the route clock.
///
/// # Errors
/// `ALREADY_EXISTS` where the slug is taken.
pub async fn tenant_insert(tx: &mut SystemTx, tenant: &Tenant) -> Result<i64> {
    let sql = "INSERT INTO registry.tenants (tenant_id, slug, display_name, plan_id, state, placement, cell, epoch, version, create_time, update_time) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, registry.next_epoch(), 1, $8, $8) RETURNING epoch";
    let insert = query(sql)
        .bind(tenant.id.uuid())
        .bind(&tenant.slug)
        .bind(&tenant.display_name)
        .bind(&tenant.plan)
        .bind(tenant.state.as_str())
        .bind(placement_text(tenant.placement))
        .bind(&tenant.cell)
        .bind(tenant.create_time);
    let row = tx.fetch_one(insert).await.map_err(|error| match error.reason() {
        Reason::UniqueViolation => Error::new(Reason::AlreadyExists, "The slug is taken. Choose another one.")
            .field("tenant.slug", "is taken")
            .because(error),
        _ => error,
    })?;
    col(&row, "epoch")
}

/// One customer.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn tenant_fetch(tx: &mut SystemTx, name: &TenantName) -> Result<Tenant> {
    fetch(tx, name, "").await
}

/// One customer, locked until the end of the transaction: whoever changes a tenant does this first (the lock order is
/// idempotency key, tenant, operation, route clock).
///
/// # Errors
/// `NOT_FOUND`.
pub async fn tenant_lock(tx: &mut SystemTx, name: &TenantName) -> Result<Tenant> {
    fetch(tx, name, "FOR UPDATE").await
}

async fn fetch(tx: &mut SystemTx, name: &TenantName, lock: &str) -> Result<Tenant> {
    let key = match name {
        TenantName::Id(_) => "tenant_id",
        TenantName::Slug(_) => "slug",
    };
    let sql = query(format!(
        "SELECT {COLUMNS} FROM registry.tenants WHERE {key} = $1 AND {CUSTOMER} {lock}"
    ));
    let sql = match name {
        TenantName::Id(id) => sql.bind(id.uuid()),
        TenantName::Slug(slug) => sql.bind(slug),
    };
    decode(&tx.fetch_one(sql).await?)
}

/// Up to `limit` customers in order of their slug.
///
/// # Errors
/// As every statement.
pub async fn tenant_list(tx: &mut SystemTx, filter: &ListFilter, limit: i64) -> Result<Vec<Tenant>> {
    let which = if filter.show_deleted { CUSTOMER } else { LISTED };
    // A range instead of LIKE: it uses the index whatever the planner knows about the parameter. A text is looked for in
    // every name on the way: some milliseconds among ten thousand.
    let sql = format!(
        "SELECT {COLUMNS} FROM registry.tenants WHERE {which} AND slug > $1 AND slug >= $2 AND ($3 = '' OR slug < $3) \
         AND ($5 = '' OR pg_catalog.strpos(slug, pg_catalog.lower($5)) > 0 \
                      OR pg_catalog.strpos(pg_catalog.lower(display_name), pg_catalog.lower($5)) > 0) ORDER BY slug LIMIT $4"
    );
    // '~' sorts after every character a slug can have.
    let end = if filter.prefix.is_empty() {
        String::new()
    } else {
        format!("{}~", filter.prefix)
    };
    let rows = tx
        .fetch_all(
            query(sql)
                .bind(&filter.after)
                .bind(&filter.prefix)
                .bind(end)
                .bind(limit)
                .bind(&filter.text),
        )
        .await?;
    rows.iter().map(decode).collect()
}

/// Writes everything that can change and moves the route clock; the row is locked. Returns the stored tenant.
///
/// # Errors
/// `NOT_FOUND`; as every statement.
pub async fn tenant_update(tx: &mut SystemTx, tenant: &Tenant, now: DateTime<Utc>) -> Result<Tenant> {
    let sql = format!(
        "UPDATE registry.tenants SET display_name = $2, plan_id = $3, state = $4, delete_time = $5, purge_time = $6, update_time = $7, \
         suspend_reason = $8, version = version + 1, epoch = registry.next_epoch() \
         WHERE tenant_id = $1 RETURNING {COLUMNS}"
    );
    let update = query(sql)
        .bind(tenant.id.uuid())
        .bind(&tenant.display_name)
        .bind(&tenant.plan)
        .bind(tenant.state.as_str())
        .bind(tenant.delete_time)
        .bind(tenant.purge_time)
        .bind(now)
        .bind(&tenant.suspend_reason);
    decode(&tx.fetch_one(update).await?)
}

/// Removes a tenant with its domains and branding, frees the slug and leaves a tombstone for the watchers of routes.
/// Removing it twice is harmless.
///
/// # Errors
/// As every statement.
pub async fn tenant_remove(tx: &mut SystemTx, tenant: TenantId, slug: &str) -> Result<()> {
    let delete = format!("DELETE FROM registry.tenants WHERE tenant_id = $1 AND {CUSTOMER}");
    if tx.execute(query(delete).bind(tenant.uuid())).await? == 0 {
        return Ok(());
    }
    let tombstone = "INSERT INTO registry.removed_routes (tenant_id, slug, epoch) VALUES ($1, $2, registry.next_epoch()) ON CONFLICT DO NOTHING";
    tx.execute(query(tombstone).bind(tenant.uuid()).bind(slug))
        .await
        .map(|_| ())
}

/// A deleted tenant whose time has come and that nobody else is working on, locked.
///
/// # Errors
/// As every statement.
pub async fn tenant_due_purge(tx: &mut SystemTx, now: DateTime<Utc>) -> Result<Option<Tenant>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM registry.tenants t WHERE state = 'deleted' AND purge_time <= $1 AND {CUSTOMER} \
         AND NOT EXISTS (SELECT FROM registry.operations o WHERE o.tenant_id = t.tenant_id AND o.phase <> 'done') \
         ORDER BY purge_time LIMIT 1 FOR UPDATE OF t SKIP LOCKED"
    );
    tx.fetch_optional(query(sql).bind(now))
        .await?
        .as_ref()
        .map(decode)
        .transpose()
}

fn decode(row: &PgRow) -> Result<Tenant> {
    Ok(Tenant {
        id: TenantId::from_uuid(col::<Uuid>(row, "tenant_id")?),
        slug: col(row, "slug")?,
        display_name: col(row, "display_name")?,
        plan: col(row, "plan_id")?,
        state: text_col(row, "state", TenantState::parse)?,
        suspend_reason: col(row, "suspend_reason")?,
        placement: text_col(row, "placement", placement_parse)?,
        cell: col(row, "cell")?,
        epoch: col(row, "epoch")?,
        version: col(row, "version")?,
        create_time: col(row, "create_time")?,
        update_time: col(row, "update_time")?,
        delete_time: col(row, "delete_time")?,
        purge_time: col(row, "purge_time")?,
    })
}
