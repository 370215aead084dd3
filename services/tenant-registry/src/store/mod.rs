//! SQL of the registry. Platform tables through the `_sys` login, tenant tables through the signed context; rows in,
//! domain out. Every statement is schema-qualified and names its tenant where it has one.

mod branding;
mod command;
mod custom_domain;
mod operation;
mod plan;
mod route;
mod tenant;

pub use branding::{
    Draft, branding_fetch, branding_put, draft_clear, draft_fetch, draft_put, revision_fetch, revision_insert,
    revision_list,
};
pub use command::{command_send, command_waits};
pub use custom_domain::{
    domain_count, domain_delete, domain_insert, domain_list, domain_list_of, domain_of_tenant, domain_verify,
};
pub use operation::{
    operation_claim_due, operation_fetch, operation_insert, operation_list, operation_lock, operation_running,
    operation_save,
};
pub use plan::{plan_fetch, plan_insert, plan_list, plan_lock, plan_update};
pub use route::{
    Cursor, route_by_domain, route_by_id, route_by_slug, route_list_after, route_tombstone_purge,
    route_tombstones_after, route_touch_own, route_touch_plan, route_touch_tenant,
};
pub use tenant::{
    ListFilter, tenant_due_purge, tenant_fetch, tenant_insert, tenant_list, tenant_lock, tenant_remove, tenant_update,
};

use sqlx::{Row, postgres::PgRow};
use tenantry_db::{SystemDb, SystemTx, TenantDb, Tx, map_error};
use tenantry_kernel::{Ctx, Error, Result};

/// Schema of everything here.
pub const SCHEMA: &str = "registry";

/// The two ways into the registry's schema. Only these make transactions.
#[derive(Clone, Debug)]
pub struct Store {
    system: SystemDb,
    tenant: TenantDb,
}

impl Store {
    /// Over both logins.
    #[must_use]
    pub fn new(system: SystemDb, tenant: TenantDb) -> Self {
        Self { system, tenant }
    }
    /// For an operator's request: platform tables.
    ///
    /// # Errors
    /// `UNAVAILABLE`, `OVERLOADED`, `DEADLINE_EXCEEDED`.
    pub async fn begin_system(&self, ctx: &Ctx) -> Result<SystemTx> {
        self.system.begin_for(ctx).await
    }
    /// For background work.
    ///
    /// # Errors
    /// `UNAVAILABLE`, `OVERLOADED`.
    pub async fn begin_job(&self, job: &'static str) -> Result<SystemTx> {
        self.system.begin(job).await
    }
    /// For a tenant's request: that tenant's rows.
    ///
    /// # Errors
    /// As [`TenantDb::begin`].
    pub async fn begin(&self, ctx: &Ctx) -> Result<Tx> {
        self.tenant.begin(ctx).await
    }
}

/// One column.
fn col<'r, T>(row: &'r PgRow, name: &str) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(name).map_err(map_error)
}

/// A column whose texts a CHECK constraint limits.
fn text_col<T>(row: &PgRow, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    let text: &str = col(row, name)?;
    parse(text).ok_or_else(|| Error::internal(format!("column {name} holds {text:?}")))
}

/// A counter that is stored wider than it is used.
fn u32_col(row: &PgRow, name: &str) -> Result<u32> {
    u32::try_from(col::<i64>(row, name)?).map_err(Error::internal)
}

/// Column texts of a placement.
fn placement_text(placement: tenantry_kernel::Placement) -> &'static str {
    use tenantry_kernel::Placement as P;
    match placement {
        P::Schema => "schema",
        P::Pooled => "pooled",
        P::Database => "database",
    }
}

fn placement_parse(text: &str) -> Option<tenantry_kernel::Placement> {
    use tenantry_kernel::Placement as P;
    [P::Schema, P::Pooled, P::Database]
        .into_iter()
        .find(|placement| placement_text(*placement) == text)
}
