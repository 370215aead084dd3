//! One connection inside one transaction: the shared engine of [`Tx`](crate::Tx) and [`SystemTx`](crate::SystemTx).
//! A connection whose statement was abandoned half-way is closed, never reused.

use crate::{
    Query,
    error::{deadline_exceeded, map_error},
};
use sqlx::{Executor, PgConnection, Postgres, pool::PoolConnection, postgres::PgRow};
use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};
use tenantry_kernel::{Result, Tally};

/// The server cancels a statement at the deadline by itself; only where it does not, the connection is given up.
const GRACE: Duration = Duration::from_millis(250);

/// A connection with an open transaction.
pub(crate) struct Conn {
    conn: Option<PoolConnection<Postgres>>,
    deadline: Option<Instant>,
    tally: Arc<Tally>,
    in_flight: bool,
}

impl Conn {
    /// Takes over `conn`, in which BEGIN has run.
    pub(crate) fn new(conn: PoolConnection<Postgres>, deadline: Option<Instant>, tally: Arc<Tally>) -> Self {
        Self { conn: Some(conn), deadline, tally, in_flight: false }
    }

    pub(crate) fn raw(&mut self) -> &mut PgConnection {
        self.conn.as_mut().expect("taken only by finish and drop, which consume the transaction")
    }

    pub(crate) async fn execute(&mut self, query: Query<'_>) -> Result<u64> {
        let done = self.timed(async |conn| query.persistent(false).execute(conn).await, |_| 0).await?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn fetch_all(&mut self, query: Query<'_>) -> Result<Vec<PgRow>> {
        self.timed(async |conn| query.persistent(false).fetch_all(conn).await, |rows| rows.len() as u64).await
    }

    pub(crate) async fn fetch_optional(&mut self, query: Query<'_>) -> Result<Option<PgRow>> {
        self.timed(async |conn| query.persistent(false).fetch_optional(conn).await, |row| u64::from(row.is_some())).await
    }
}
