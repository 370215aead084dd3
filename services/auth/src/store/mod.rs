//! SQL, and only SQL: rows in, domain out. Every statement of a tenant names the tenant beside row security, and runs
//! in a [`Tx`] that is bound by the signed context; the only system transactions are for platform keys, the revocation
//! feed and the janitor.

pub mod api_keys;
pub mod credentials;
pub mod events;
pub mod janitor;
pub mod keys;
pub mod links;
pub mod platform;
pub mod realms;
pub mod refresh_tokens;
pub mod revocations;
pub mod sessions;
pub mod throttles;
pub mod users;

use tenantry_db::{PgRow, Row, SystemDb, SystemTx, TenantDb, Tx, map_error};
use tenantry_kernel::{Ctx, Error, Result, Role};

/// Schema of all tables of this service.
pub const SCHEMA: &str = "auth";

/// The two ways in.
#[derive(Clone, Debug)]
pub struct Store {
    tenant: TenantDb,
    system: SystemDb,
}

impl Store {
    /// Over the service's two logins.
    #[must_use]
    pub fn new(tenant: TenantDb, system: SystemDb) -> Self {
        Self { tenant, system }
    }
    /// A transaction of the call's tenant.
    ///
    /// # Errors
    /// See [`TenantDb::begin`].
    pub async fn begin(&self, ctx: &Ctx) -> Result<Tx> {
        self.tenant.begin(ctx).await
    }
    /// A transaction on platform tables.
    ///
    /// # Errors
    /// See [`SystemDb::begin`].
    pub async fn begin_system(&self, job: &'static str) -> Result<SystemTx> {
        self.system.begin(job).await
    }
    /// The system login, for relay and feed.
    #[must_use]
    pub fn system(&self) -> &SystemDb {
        &self.system
    }
}

/// One column.
fn get<'r, T>(row: &'r PgRow, name: &str) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(name).map_err(map_error)
}

/// A column whose text has a fixed set of values.
fn parsed<T>(row: &PgRow, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    let text: String = get(row, name)?;
    parse(&text).ok_or_else(|| Error::internal(format!("column {name} holds an unknown value")))
}

fn role(row: &PgRow, name: &str) -> Result<Role> {
    parsed(row, name, Role::parse)
}
