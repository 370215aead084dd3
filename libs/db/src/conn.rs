//! One connection inside one transaction: the shared engine of [`Tx`](crate::Tx) and [`SystemTx`](crate::SystemTx).
//! A connection whose statement was abandoned half-way is closed, never reused.

use crate::{
    Query,
    error::{deadline_exceeded, map_error},
};
use sqlx::{PgConnection, Postgres, pool::PoolConnection, postgres::PgRow};
use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};
use tenantry_kernel::{Result, Tally};

/// The server cancels a statement at the deadline by itself; only where it does not, the connection is given up.
const GRACE: Duration = Duration::from_millis(250);

/// A connection with an open transaction.
pub struct Conn {
    conn: Option<PoolConnection<Postgres>>,
    deadline: Option<Instant>,
    tally: Arc<Tally>,
    in_flight: bool,
}

impl Conn {
    /// Takes over `conn`, in which BEGIN has run.
    pub(crate) fn new(conn: PoolConnection<Postgres>, deadline: Option<Instant>, tally: Arc<Tally>) -> Self {
        Self {
            conn: Some(conn),
            deadline,
            tally,
            in_flight: false,
        }
    }

    fn raw(&mut self) -> &mut PgConnection {
        self.conn
            .as_mut()
            .expect("taken only where the transaction is consumed")
    }

    pub(crate) async fn execute(&mut self, query: Query<'_>) -> Result<u64> {
        let (started, deadline) = self.start();
        let done = within(deadline, query.persistent(false).execute(self.raw()))
            .await
            .map(|done| done.rows_affected());
        self.finish(started, done, |rows| *rows)
    }

    pub(crate) async fn fetch_all(&mut self, query: Query<'_>) -> Result<Vec<PgRow>> {
        let (started, deadline) = self.start();
        let rows = within(deadline, query.persistent(false).fetch_all(self.raw())).await;
        self.finish(started, rows, |rows| rows.len() as u64)
    }

    pub(crate) async fn fetch_optional(&mut self, query: Query<'_>) -> Result<Option<PgRow>> {
        let (started, deadline) = self.start();
        let row = within(deadline, query.persistent(false).fetch_optional(self.raw())).await;
        self.finish(started, row, |row| u64::from(row.is_some()))
    }

    /// Several statements in one simple query, without parameters: for DDL only.
    pub(crate) async fn script(&mut self, sql: String) -> Result<()> {
        let (started, deadline) = self.start();
        let done = within(deadline, sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(self.raw()))
            .await
            .map(|_| ());
        self.finish(started, done, |()| 0)
    }

    /// A statement of our own plumbing: timed, but not counted for the caller.
    pub(crate) async fn plumbing(&mut self, query: Query<'_>) -> Result<()> {
        let (_, deadline) = self.start();
        let done = within(deadline, query.persistent(false).execute(self.raw())).await;
        self.land(done).map(|_| ())
    }

    pub(crate) async fn commit(mut self) -> Result<()> {
        let (_, deadline) = self.start();
        let done = within(deadline, sqlx::raw_sql("COMMIT").execute(self.raw())).await;
        self.land(done)?;
        self.conn = None; // back to the pool
        Ok(())
    }

    pub(crate) async fn rollback(mut self) -> Result<()> {
        let (_, deadline) = self.start();
        let done = within(deadline, sqlx::raw_sql("ROLLBACK").execute(self.raw())).await;
        self.land(done)?;
        self.conn = None;
        Ok(())
    }

    /// A dropped future leaves `in_flight` set, and with it a connection that [`Drop`] closes.
    fn start(&mut self) -> (Instant, Option<Instant>) {
        self.in_flight = true;
        (Instant::now(), self.deadline)
    }

    fn finish<T>(&mut self, started: Instant, outcome: Outcome<T>, rows: impl Fn(&T) -> u64) -> Result<T> {
        let count = outcome.as_ref().map(rows).unwrap_or(0);
        self.tally
            .query(count, u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
        self.land(outcome)
    }

    fn land<T>(&mut self, outcome: Outcome<T>) -> Result<T> {
        match outcome {
            Ok(value) => {
                self.in_flight = false;
                Ok(value)
            }
            Err(Failure::Deadline) => Err(deadline_exceeded()),
            Err(Failure::Sql(error)) => {
                // Only a complete error answer of the server leaves the protocol in a known state.
                self.in_flight = !matches!(error, sqlx::Error::Database(_) | sqlx::Error::RowNotFound);
                Err(map_error(error))
            }
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else { return };
        if self.in_flight {
            conn.close_on_drop();
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            conn.close_on_drop();
            return;
        };
        runtime.spawn(async move {
            let done = sqlx::raw_sql("ROLLBACK").execute(&mut *conn).await;
            if done.is_err() {
                conn.close_on_drop();
            }
        });
    }
}

enum Failure {
    Deadline,
    Sql(sqlx::Error),
}
type Outcome<T> = std::result::Result<T, Failure>;

async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = sqlx::Result<T>>) -> Outcome<T> {
    match deadline {
        None => work.await.map_err(Failure::Sql),
        Some(at) => match tokio::time::timeout_at((at + GRACE).into(), work).await {
            Ok(done) => done.map_err(Failure::Sql),
            Err(_) => Err(Failure::Deadline),
        },
    }
}
