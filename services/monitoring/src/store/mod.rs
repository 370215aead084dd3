//! SQL of this service: rows in, domain out. A tenant's own usage is read through a [`Tx`] bound to the call's tenant;
//! counting, operators and jobs go through [`SystemTx`].

pub mod alerts;
pub mod events;
pub mod fleet;
pub mod health;
pub mod ingest;
pub mod janitor;
pub mod quotas;
pub mod usage;

use sqlx::postgres::PgRow;
use tenantry_db::{Row, SystemDb, SystemTx, TenantDb, Tx};
use tenantry_kernel::{Ctx, Error, Result};
use tenantry_metering::BUCKETS;

/// The schema of this service's tables.
pub const SCHEMA: &str = "monitoring";

/// The two ways into the platform database.
#[derive(Clone, Debug)]
pub struct Store {
    tenant: TenantDb,
    system: SystemDb,
}

impl Store {
    /// Over pools of the two logins.
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
    /// A transaction of an operator's request.
    ///
    /// # Errors
    /// See [`SystemDb::begin_for`].
    pub async fn begin_system(&self, ctx: &Ctx) -> Result<SystemTx> {
        self.system.begin_for(ctx).await
    }
    /// A transaction of a job.
    ///
    /// # Errors
    /// See [`SystemDb::begin`].
    pub async fn begin_job(&self, job: &'static str) -> Result<SystemTx> {
        self.system.begin(job).await
    }
    /// Closes both pools.
    pub async fn close(&self) {
        self.tenant.close().await;
        self.system.close().await;
    }
}

fn col<'r, T>(row: &'r PgRow, name: &str) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(name).map_err(Error::internal)
}

/// Counts by bucket; a row of another format would have another number of them.
fn buckets(counts: &[i64]) -> Result<[u64; BUCKETS]> {
    let counts: Vec<u64> = counts.iter().map(|count| u64::try_from(*count).unwrap_or(0)).collect();
    counts
        .try_into()
        .map_err(|_| Error::internal("latency in the database has another number of buckets"))
}
