//! A pool with the failure behaviour we want: starts while PostgreSQL is down, says UNAVAILABLE when it is away and
//! OVERLOADED when it is busy, and never hands out a connection that died while idle.

use crate::{
    PoolSettings,
    error::{deadline_exceeded, map_error, overloaded},
    trace::PoolMark,
};
use sqlx::{
    Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};
use std::time::{Duration, Instant};
use tenantry_kernel::{Error, Result, probe};

/// How long a caller queues for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// After this long without a connection it is worth asking whether the server is there at all.
const PROBE_AFTER: Duration = Duration::from_secs(1);
/// Opens a transaction on a connection that only ever ran our own statements.
pub(crate) const BEGIN: &str = "BEGIN";

#[derive(Clone)]
pub(crate) struct Pool {
    pool: PgPool,
    host: (String, u16),
    max: u32,
    begin: &'static str,
    pub(crate) mark: PoolMark,
}

impl Pool {
    /// `begin` opens a transaction, `adjust` adds hooks; no connection is made here.
    pub(crate) fn lazy(
        settings: &PoolSettings,
        max: u32,
        lifetime: Duration,
        begin: &'static str,
        adjust: impl FnOnce(PgPoolOptions) -> PgPoolOptions,
    ) -> Result<Self> {
        let options: PgConnectOptions = crate::settings::options(&settings.url)?;
        let host = (options.get_host().to_owned(), options.get_port());
        let max = max.max(1);
        let builder = PgPoolOptions::new()
            .max_connections(max)
            .acquire_timeout(ACQUIRE)
            .max_lifetime(lifetime)
            .idle_timeout(Duration::from_secs(300))
            // A ping would cost every request a round trip; BEGIN finds a dead connection just as well.
            .test_before_acquire(false);
        let login = options.get_username().to_owned();
        let database = options.get_database().unwrap_or(&login).to_owned();
        let pool = adjust(builder).connect_lazy_with(options);
        watch(&pool, &login, &database, max);
        Ok(Self {
            pool,
            host,
            max,
            begin,
            mark: PoolMark::new(&login, &database),
        })
    }

    /// A connection in which BEGIN has run.
    pub(crate) async fn begin(&self, deadline: Option<Instant>) -> Result<PoolConnection<Postgres>> {
        self.begin_with(deadline, self.begin).await
    }

    /// A connection in which `begin`, made of checked identifiers, has run.
    pub(crate) async fn begin_with(&self, deadline: Option<Instant>, begin: &str) -> Result<PoolConnection<Postgres>> {
        self.begin_any(deadline, begin)
            .await
            .inspect_err(|_| self.mark.refused())
    }

    async fn begin_any(&self, deadline: Option<Instant>, begin: &str) -> Result<PoolConnection<Postgres>> {
        let limit = Instant::now() + ACQUIRE;
        let until = deadline.map_or(limit, |deadline| deadline.min(limit));
        // After a restart of the server every idle connection is dead: each may fail once.
        let mut left = self.max + 1;
        loop {
            let mut opening = Opening(Some(self.acquire(until, deadline).await?));
            match tokio::time::timeout_at(until.into(), opening.run(begin)).await {
                Ok(Ok(conn)) => return Ok(conn),
                Ok(Err(error)) => {
                    left -= 1;
                    if left == 0 || error.kind() != tenantry_kernel::Kind::Unavailable {
                        return Err(error);
                    }
                }
                Err(_) => return Err(late(deadline)),
            }
        }
    }

    async fn acquire(&self, until: Instant, deadline: Option<Instant>) -> Result<PoolConnection<Postgres>> {
        let acquire = self.pool.acquire();
        tokio::pin!(acquire);
        if let Ok(done) = tokio::time::timeout_at(until.min(Instant::now() + PROBE_AFTER).into(), &mut acquire).await {
            return done.map_err(map_error);
        }
        if Instant::now() >= until {
            return Err(late(deadline));
        }
        // Silence is no answer: a slow look-up of the name must not keep a caller from a connection that is ready meanwhile.
        let (probe, mut silent) = (self.probe(), true);
        tokio::pin!(probe);
        let waiting = async {
            tokio::select! {
                biased;
                done = &mut acquire => return done.map_err(map_error),
                answer = &mut probe => {
                    answer?;
                    silent = false;
                }
            }
            acquire.await.map_err(map_error)
        };
        match tokio::time::timeout_at(until.into(), waiting).await {
            Ok(done) => done,
            Err(_) if silent && deadline.is_none_or(|at| Instant::now() < at) => {
                Err(Error::unavailable("no answer from the database host"))
            }
            Err(_) => Err(late(deadline)),
        }
    }

    /// The driver retries a refused connection until the caller's time is up; the caller should hear it at once.
    async fn probe(&self) -> Result<()> {
        let (host, port) = &self.host;
        if host.starts_with('/') {
            return Ok(());
        }
        let reached = tokio::net::TcpStream::connect((host.as_str(), *port)).await;
        reached.map(drop).map_err(Error::unavailable)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Open and idle connections, for metrics.
    pub(crate) fn usage(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }
}

/// A connection on which BEGIN may have run, or not: dropped (its caller has gone, BEGIN was refused), it is closed. Back in
/// the pool it would hold a transaction open that nobody ends.
struct Opening(Option<PoolConnection<Postgres>>);

impl Opening {
    async fn run(&mut self, begin: &str) -> Result<PoolConnection<Postgres>> {
        if let Some(conn) = &mut self.0 {
            let begin = sqlx::raw_sql(sqlx::AssertSqlSafe(begin.to_owned()));
            begin.execute(&mut **conn).await.map_err(map_error)?;
        }
        self.0
            .take()
            .ok_or_else(|| Error::internal("a connection was opened twice"))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(conn) = &mut self.0 {
            conn.close_on_drop();
        }
    }
}

/// Connections in metrics. The parts of one pool are added up; a pool that is closed is not there any more.
fn watch(pool: &PgPool, login: &str, database: &str, max: u32) {
    let read = |pool: &PgPool, what: fn(&PgPool) -> f64| {
        let pool = pool.clone();
        move || (!pool.is_closed()).then(|| what(&pool))
    };
    let help = "Open connections to PostgreSQL";
    for (state, what) in [
        (
            "used",
            (|pool| f64::from(pool.size()) - pool.num_idle() as f64) as fn(&PgPool) -> f64,
        ),
        ("idle", |pool| pool.num_idle() as f64),
    ] {
        let labels = [("pool", login), ("database", database), ("state", state)];
        probe::gauge("tenantry_db_connections", help, &labels, read(pool, what));
    }
    let labels = [("pool", login), ("database", database)];
    let pool = pool.clone();
    let help = "Connections the pool may open";
    probe::gauge("tenantry_db_connections_max", help, &labels, move || {
        (!pool.is_closed()).then(|| f64::from(max))
    });
}

fn late(deadline: Option<Instant>) -> Error {
    match deadline {
        Some(at) if Instant::now() >= at => deadline_exceeded(),
        _ => overloaded(),
    }
}
