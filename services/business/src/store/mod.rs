//! SQL of this service: rows in, domain out. Tenant rows are reached through a [`Tx`] bound to the call's tenant, type
//! changes and provisioning through [`SystemTx`] as the owner; `tenant_id` stands in every predicate beside row security.
//! Identifiers in SQL text come from `domain::ident` only, values are bound.

pub mod bind;
pub mod cached;
pub mod change;
pub mod ddl;
pub mod export;
pub mod hold;
pub mod import;
pub mod janitor;
pub mod list;
pub mod object_type;
pub mod operation;
pub mod provision;
pub mod record;
pub mod restore;
pub mod usage;

use std::time::Duration;
use tenantry_db::{DdlDb, SystemDb, SystemTx, TenantDb, Tx};
use tenantry_kernel::{Ctx, Error, Result, TenantId};

/// The schema of this service's own tables.
pub const SCHEMA: &str = "business";

/// The three ways into the data database.
#[derive(Clone, Debug)]
pub struct Store {
    tenant: TenantDb,
    system: SystemDb,
    ddl: DdlDb,
    bulk: Bulk,
}

/// Connections of their own for what takes long, so that requests and provisioning never wait for a backup.
#[derive(Clone, Debug)]
pub struct Bulk {
    /// Exports.
    pub exports: TenantDb,
    /// Restores.
    pub restores: DdlDb,
}

impl Store {
    /// Over pools of the three logins.
    #[must_use]
    pub fn new(tenant: TenantDb, system: SystemDb, ddl: DdlDb, bulk: Bulk) -> Self {
        Self {
            tenant,
            system,
            ddl,
            bulk,
        }
    }
    /// A read-only transaction that shows one moment of the call's tenant.
    ///
    /// # Errors
    /// See [`TenantDb::begin_snapshot`].
    pub async fn begin_snapshot(&self, ctx: &Ctx, relations: &[String], limit: Duration) -> Result<Tx> {
        self.bulk.exports.begin_snapshot(ctx, relations, limit).await
    }
    /// A transaction of the owner on a connection for restores. Text forms of values are those of a snapshot.
    ///
    /// # Errors
    /// See [`DdlDb::begin`].
    pub async fn begin_restore(&self, job: &'static str) -> Result<SystemTx> {
        let mut tx = self.bulk.restores.begin(job).await?;
        tx.execute_script(
            "SET LOCAL lock_timeout = '2s'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL TimeZone = 'UTC'",
        )
        .await?;
        Ok(tx)
    }
    /// A transaction bound to the call's tenant.
    ///
    /// # Errors
    /// See [`TenantDb::begin`].
    pub async fn begin(&self, ctx: &Ctx) -> Result<Tx> {
        self.tenant.begin(ctx).await
    }
    /// A transaction over all tenants: claims, relay, janitor.
    ///
    /// # Errors
    /// See [`SystemDb::begin`].
    pub async fn begin_system(&self, job: &'static str) -> Result<SystemTx> {
        self.system.begin(job).await
    }
    /// A transaction of the owner that gives up a lock after two seconds instead of queueing everybody behind it.
    ///
    /// # Errors
    /// See [`DdlDb::begin`].
    pub async fn begin_ddl(&self, job: &'static str) -> Result<SystemTx> {
        let mut tx = self.ddl.begin(job).await?;
        tx.execute_script("SET LOCAL lock_timeout = '2s'").await?;
        Ok(tx)
    }
    /// The system pool, for the outbox relay.
    #[must_use]
    pub fn system(&self) -> &SystemDb {
        &self.system
    }
    /// Closes every pool.
    pub async fn close(&self) {
        self.tenant.close().await;
        self.system.close().await;
        self.ddl.close().await;
        self.bulk.exports.close().await;
        self.bulk.restores.close().await;
    }
}

/// `t_<32 hex>.o_<type>`
#[must_use]
pub fn relation(tenant: TenantId, type_id: &str) -> String {
    relation_in(&tenant.schema(), type_id)
}

/// `<schema>.o_<type>`
fn relation_in(schema: &str, type_id: &str) -> String {
    format!("{schema}.{}", crate::domain::ident::table(type_id))
}

/// The SQLSTATE behind an error of the database.
fn database_error(error: &Error) -> Option<&dyn sqlx::error::DatabaseError> {
    match std::error::Error::source(error)?.downcast_ref::<sqlx::Error>()? {
        sqlx::Error::Database(db) => Some(db.as_ref()),
        _ => None,
    }
}

/// Whether a table or column that the statement names is gone: the definition it was made from is outdated.
#[must_use]
pub fn is_outdated(error: &Error) -> bool {
    database_error(error)
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| matches!(code.as_ref(), "42P01" | "42703" | "3F000"))
}

/// Whether the service's login has no right to what the statement does: the tenant is held, or there is a bug.
#[must_use]
pub fn is_denied(error: &Error) -> bool {
    database_error(error)
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "42501")
}

/// Whether what was sent cannot be stored: it breaks a type, a constraint or the format.
#[must_use]
pub fn is_bad_data(error: &Error) -> bool {
    database_error(error)
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| ["22", "23"].iter().any(|class| code.starts_with(class)))
}

/// Two transactions that change one catalog row fail with an internal error of PostgreSQL; repeating helps.
fn contended(error: Error) -> Error {
    let concurrent = database_error(&error)
        .is_some_and(|db| db.code().as_deref() == Some("XX000") && db.message().contains("concurrently"));
    if concurrent {
        Error::new(
            tenantry_kernel::Reason::Conflict,
            "A concurrent change won. Repeat the call.",
        )
        .because(error)
    } else {
        error
    }
}

/// The type whose table a constraint violation is about.
#[must_use]
pub fn type_of_violation(error: &Error) -> Option<String> {
    database_error(error)?
        .table()?
        .strip_prefix("o_")
        .map(ToOwned::to_owned)
}

/// The constraint that was violated.
#[must_use]
pub fn constraint_of_violation(error: &Error) -> Option<String> {
    database_error(error)?.constraint().map(ToOwned::to_owned)
}

fn corrupt(what: &'static str) -> Error {
    Error::internal(format!("{what} in the database does not parse"))
}
