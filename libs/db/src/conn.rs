//! One connection inside one transaction: the shared engine of [`Tx`](crate::Tx) and [`SystemTx`](crate::SystemTx).
//! A connection whose statement was abandoned half-way is closed, never reused.

use crate::{
    CopyOut, Query,
    error::{deadline_exceeded, map_error},
    trace::{Mark, kind_of},
};
use sqlx::{PgConnection, Postgres, pool::PoolConnection, postgres::PgRow};
use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};
use tenantry_kernel::{Result, Tally, TenantId};
use tracing::{Instrument, Span};

/// The server cancels a statement at the deadline by itself; only where it does not, the connection is given up.
const GRACE: Duration = Duration::from_millis(250);

/// A connection with an open transaction.
pub struct Conn {
    conn: Option<PoolConnection<Postgres>>,
    deadline: Option<Instant>,
    tally: Arc<Tally>,
    mark: Mark,
    /// Who is told of this tenant's rows.
    meter: Option<(TenantId, RowMeter)>,
    in_flight: bool,
}

/// Told of the rows that statements of a tenant return or change.
pub type RowMeter = Arc<dyn Fn(TenantId, u64) + Send + Sync>;

impl Conn {
    /// Takes over `conn`, in which BEGIN has run. `mark` says in spans and metrics whose it is.
    pub(crate) fn new(
        conn: PoolConnection<Postgres>,
        deadline: Option<Instant>,
        tally: Arc<Tally>,
        mark: Mark,
    ) -> Self {
        Self {
            conn: Some(conn),
            deadline,
            tally,
            mark,
            meter: None,
            in_flight: false,
        }
    }

    /// Tells `meter` of every row from here on.
    pub(crate) fn metered(mut self, tenant: TenantId, meter: Option<RowMeter>) -> Self {
        self.meter = meter.map(|meter| (tenant, meter));
        self
    }

    fn raw(&mut self) -> &mut PgConnection {
        self.conn
            .as_mut()
            .expect("taken only where the transaction is consumed")
    }

    pub(crate) async fn execute(&mut self, query: Query<'_>) -> Result<u64> {
        let (span, query) = self.mark.statement(query)?;
        let (started, deadline) = self.start();
        let done = within(deadline, query.persistent(false).execute(self.raw()))
            .instrument(span.clone())
            .await
            .map(|done| done.rows_affected());
        self.finish(&span, started, done, |rows| *rows)
    }

    pub(crate) async fn fetch_all(&mut self, query: Query<'_>) -> Result<Vec<PgRow>> {
        let (span, query) = self.mark.statement(query)?;
        let (started, deadline) = self.start();
        let rows = within(deadline, query.persistent(false).fetch_all(self.raw()))
            .instrument(span.clone())
            .await;
        self.finish(&span, started, rows, |rows| rows.len() as u64)
    }

    pub(crate) async fn fetch_optional(&mut self, query: Query<'_>) -> Result<Option<PgRow>> {
        let (span, query) = self.mark.statement(query)?;
        let (started, deadline) = self.start();
        let row = within(deadline, query.persistent(false).fetch_optional(self.raw()))
            .instrument(span.clone())
            .await;
        self.finish(&span, started, row, |row| u64::from(row.is_some()))
    }

    /// Several statements in one simple query, without parameters: for DDL only.
    pub(crate) async fn script(&mut self, sql: String) -> Result<()> {
        let span = self.mark.span(kind_of(&sql));
        let (started, deadline) = self.start();
        let done = within(deadline, sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(self.raw()))
            .instrument(span.clone())
            .await
            .map(|_| ());
        self.finish(&span, started, done, |()| 0)
    }

    /// `COPY .. TO STDOUT`. Until its end the connection counts as busy.
    pub(crate) async fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>> {
        self.start();
        let Self { conn, in_flight, .. } = self;
        let conn = conn.as_mut().expect("taken only where the transaction is consumed");
        let stream = conn.copy_out_raw(sql).await.map_err(map_error)?;
        Ok(CopyOut::new(stream, in_flight))
    }

    /// `COPY .. FROM STDIN` with all of its data at hand; how many rows it was.
    pub(crate) async fn copy_in(&mut self, sql: &str, data: &[u8]) -> Result<u64> {
        let span = self.mark.span("COPY");
        let (started, deadline) = self.start();
        let raw = self.raw();
        let work = async {
            let mut copy = raw.copy_in_raw(sql).await?;
            copy.send(data).await?;
            copy.finish().await
        };
        let done = within(deadline, work).instrument(span.clone()).await;
        self.finish(&span, started, done, |rows| *rows)
    }

    /// A statement of our own plumbing: timed, but not counted for the caller.
    pub(crate) async fn plumbing(&mut self, query: Query<'_>) -> Result<()> {
        let (_, deadline) = self.start();
        let done = within(deadline, query.persistent(false).execute(self.raw())).await;
        self.land(done).map(|_| ())
    }

    pub(crate) async fn commit(mut self) -> Result<()> {
        let span = self.mark.span("COMMIT");
        let (_, deadline) = self.start();
        let done = within(deadline, sqlx::raw_sql("COMMIT").execute(self.raw()))
            .instrument(span)
            .await;
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

    fn finish<T>(&mut self, span: &Span, started: Instant, outcome: Outcome<T>, rows: impl Fn(&T) -> u64) -> Result<T> {
        let count = outcome.as_ref().map(rows).unwrap_or(0);
        if let (Some((tenant, meter)), 1..) = (&self.meter, count) {
            meter(*tenant, count);
        }
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.tally.query(count, micros);
        self.mark.count(span, micros, count, outcome.is_ok());
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
