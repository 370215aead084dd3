//! The only crate that makes PostgreSQL pools. Tenant data is reached through [`TenantDb`] and a [`Ctx`], platform
//! tables through [`SystemDb`], DDL through [`DdlDb`]; there is no fourth way in.
//!
//! It must never inline a value into SQL, keep a named server-side statement on a tenant connection (decision 32),
//! log a bound parameter, or hand out a connection without a transaction around it.
//!
//! [`Ctx`]: tenantry_kernel::Ctx

pub mod context;
pub mod idempotency;
pub mod inbox;
pub mod lint;
pub mod migrate;
pub mod once;
pub mod outbox;

mod conn;
mod copy;
mod error;
mod pool;
mod retry;
mod settings;
mod system;
mod tenant;
mod trace;
mod tx;

pub use conn::RowMeter;
pub use copy::CopyOut;
pub use error::{map_error, sqlstate};
pub use lint::{Finding, ensure_clean, lint};
pub use migrate::{Pending, Report, ensure_current, migrate, pending, tenancy_migrator, wait_until_current};
pub use retry::{RetryPolicy, retry};
pub use settings::PoolSettings;
pub use sqlx::{Row, migrate::Migrator, postgres::PgRow};
pub use system::{DdlDb, SystemDb};
pub use tenant::TenantDb;
pub use tx::{Statements, SystemTx, Tx};

/// A statement with its bound parameters.
pub type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Makes a statement. `sql` is fixed text or text built from checked identifiers (schema and table names of a
/// `Relation`); every value is bound with `.bind(..)`, never formatted into it.
pub fn query(sql: impl Into<String>) -> Query<'static> {
    sqlx::query(sqlx::AssertSqlSafe(sql.into())).persistent(false)
}
