//! Access without a tenant: a service's own platform tables, its relay and janitors ([`SystemDb`]), and DDL ([`DdlDb`]).

use crate::{
    PoolSettings, SystemTx,
    conn::Conn,
    pool::{BEGIN, Pool},
    trace::Mark,
};
use sqlx::postgres::PgPoolOptions;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tenantry_kernel::{Ctx, Result, Tally};

const LIFETIME: Duration = Duration::from_secs(600);
/// DDL touches every tenant's tables, and a backend never forgets one: each connection serves about 200 transactions.
const DDL_USES: u64 = 200;
const DDL_CONNECTIONS: u32 = 2;

/// Access of a service's `_sys` login.
#[derive(Clone)]
pub struct SystemDb {
    pool: Pool,
}

impl SystemDb {
    /// Connects when first used.
    ///
    /// # Errors
    /// Where the URL cannot be parsed.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the caller has no use for a password after this"
    )]
    pub fn connect(settings: PoolSettings) -> Result<Self> {
        Ok(Self {
            pool: Pool::lazy(&settings, settings.max_connections, LIFETIME, BEGIN, |options| options)?,
        })
    }
    /// Opens a transaction for background work; `job` names it in traces.
    ///
    /// # Errors
    /// `UNAVAILABLE`, `OVERLOADED`.
    pub async fn begin(&self, job: &'static str) -> Result<SystemTx> {
        open(&self.pool, None, Arc::new(Tally::default()), job, self.pool.mark.job()).await
    }
    /// Opens a transaction for a request on platform tables, counted in its tally and bound to its deadline.
    ///
    /// # Errors
    /// `UNAVAILABLE`, `OVERLOADED`, `DEADLINE_EXCEEDED`.
    pub async fn begin_for(&self, ctx: &Ctx) -> Result<SystemTx> {
        open(
            &self.pool,
            ctx.deadline(),
            Arc::clone(ctx.tally()),
            "request",
            self.pool.mark.request(ctx),
        )
        .await
    }
    /// Open and idle connections, for metrics.
    #[must_use]
    pub fn usage(&self) -> (u32, usize) {
        self.pool.usage()
    }
    /// Closes the pool; waits for transactions that are still open.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl fmt::Debug for SystemDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemDb(..)")
    }
}

/// DDL as `tenantry_owner`, through the login `tenantry_ddl`: migrations, provisioning, extension. Never for requests.
#[derive(Clone)]
pub struct DdlDb {
    pool: Pool,
}

impl DdlDb {
    /// Connects when first used; at most two connections whatever the settings say.
    ///
    /// # Errors
    /// Where the URL cannot be parsed.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the caller has no use for a password after this"
    )]
    pub fn connect(settings: PoolSettings) -> Result<Self> {
        let uses = Arc::new(AtomicU64::new(0));
        let hooks = |options: PgPoolOptions| {
            options
                .after_connect(|conn, _| {
                    Box::pin(async move {
                        // An empty search_path makes an unqualified name an error instead of an accident.
                        sqlx::raw_sql("SET ROLE tenantry_owner; SET search_path = ''")
                            .execute(conn)
                            .await?;
                        Ok(())
                    })
                })
                .after_release(move |_, _| {
                    let count = uses.fetch_add(1, Ordering::Relaxed) + 1;
                    Box::pin(async move { Ok(!count.is_multiple_of(DDL_USES)) })
                })
        };
        let max = settings.max_connections.clamp(1, DDL_CONNECTIONS);
        Ok(Self {
            pool: Pool::lazy(&settings, max, LIFETIME, BEGIN, hooks)?,
        })
    }
    /// Opens a transaction as the owner; `job` names it in traces.
    ///
    /// # Errors
    /// `UNAVAILABLE`, `OVERLOADED`.
    pub async fn begin(&self, job: &'static str) -> Result<SystemTx> {
        open(&self.pool, None, Arc::new(Tally::default()), job, self.pool.mark.job()).await
    }
    /// Closes the pool; waits for transactions that are still open.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl fmt::Debug for DdlDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DdlDb(..)")
    }
}

async fn open(
    pool: &Pool,
    deadline: Option<Instant>,
    tally: Arc<Tally>,
    job: &'static str,
    mark: Mark,
) -> Result<SystemTx> {
    let conn = pool
        .begin(deadline)
        .await
        .inspect_err(|error| tracing::debug!(job, reason = %error.reason(), "no transaction"))?;
    Ok(SystemTx {
        conn: Conn::new(conn, deadline, tally, mark),
    })
}
