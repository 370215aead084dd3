//! SQL of this service: rows in, domain out. Requests and the steps of operations go through a [`Tx`] bound to one
//! tenant; what looks over all tenants (claims, schedule, retention) through [`SystemTx`] with its narrow grants.

pub mod fleet;
pub mod operation;
pub mod policy;
pub mod retention;
pub mod snapshot;

use tenantry_db::{SystemDb, SystemTx, TenantDb, Tx};
use tenantry_kernel::{Ctx, Error, Result};

/// The schema of this service's tables.
pub const SCHEMA: &str = "backup";

/// The two ways into the database.
#[derive(Clone, Debug)]
pub struct Store {
    tenant: TenantDb,
    system: SystemDb,
}

impl Store {
    /// Over the pools of both logins.
    #[must_use]
    pub fn new(tenant: TenantDb, system: SystemDb) -> Self {
        Self { tenant, system }
    }
    /// A transaction bound to the call's tenant.
    ///
    /// # Errors
    /// See [`TenantDb::begin`].
    pub async fn begin(&self, ctx: &Ctx) -> Result<Tx> {
        self.tenant.begin(ctx).await
    }
    /// A transaction over all tenants.
    ///
    /// # Errors
    /// See [`SystemDb::begin`].
    pub async fn begin_system(&self, job: &'static str) -> Result<SystemTx> {
        self.system.begin(job).await
    }
    /// A transaction over all tenants for an operator's request.
    ///
    /// # Errors
    /// See [`SystemDb::begin_for`].
    pub async fn begin_operator(&self, ctx: &Ctx) -> Result<SystemTx> {
        self.system.begin_for(ctx).await
    }
    /// Closes every pool.
    pub async fn close(&self) {
        self.tenant.close().await;
        self.system.close().await;
    }
}

fn corrupt(what: &'static str) -> Error {
    Error::internal(format!("{what} in the database does not parse"))
}

fn json(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(Error::internal)
}
