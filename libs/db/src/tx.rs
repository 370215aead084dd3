//! The two kinds of transaction and what both can do. Dropped = rolled back.

use crate::{CopyOut, Query, conn::Conn};
use sqlx::postgres::PgRow;
use std::{fmt, future::Future};
use tenantry_kernel::{Error, Result, TenantId};

mod sealed {
    pub trait Sealed {
        fn conn(&mut self) -> &mut crate::conn::Conn;
    }
}

/// What [`Tx`] and [`SystemTx`] share, for code that serves both.
pub trait Statements: sealed::Sealed + Send {
    /// The tenant this transaction is bound to; `None` in a system transaction.
    fn tenant_opt(&self) -> Option<TenantId>;
    /// Runs a statement and returns the affected rows.
    ///
    /// # Errors
    /// See [`map_error`](crate::map_error).
    fn execute(&mut self, query: Query<'_>) -> impl Future<Output = Result<u64>> + Send {
        self.conn().execute(query)
    }
    /// Every row.
    ///
    /// # Errors
    /// See [`map_error`](crate::map_error).
    fn fetch_all(&mut self, query: Query<'_>) -> impl Future<Output = Result<Vec<PgRow>>> + Send {
        self.conn().fetch_all(query)
    }
    /// The first row, if any.
    ///
    /// # Errors
    /// See [`map_error`](crate::map_error).
    fn fetch_optional(&mut self, query: Query<'_>) -> impl Future<Output = Result<Option<PgRow>>> + Send {
        self.conn().fetch_optional(query)
    }
    /// The first row.
    ///
    /// # Errors
    /// `NOT_FOUND` without a row; else see [`map_error`](crate::map_error).
    fn fetch_one(&mut self, query: Query<'_>) -> impl Future<Output = Result<PgRow>> + Send {
        async { self.conn().fetch_optional(query).await?.ok_or_else(Error::not_found) }
    }
}

macro_rules! transaction {
    ($name:ident) => {
        impl $name {
            /// Runs a statement and returns the affected rows.
            ///
            /// # Errors
            /// See [`map_error`](crate::map_error).
            pub async fn execute(&mut self, query: Query<'_>) -> Result<u64> {
                self.conn.execute(query).await
            }
            /// Every row.
            ///
            /// # Errors
            /// See [`map_error`](crate::map_error).
            pub async fn fetch_all(&mut self, query: Query<'_>) -> Result<Vec<PgRow>> {
                self.conn.fetch_all(query).await
            }
            /// The first row, if any.
            ///
            /// # Errors
            /// See [`map_error`](crate::map_error).
            pub async fn fetch_optional(&mut self, query: Query<'_>) -> Result<Option<PgRow>> {
                self.conn.fetch_optional(query).await
            }
            /// The first row.
            ///
            /// # Errors
            /// `NOT_FOUND` without a row; else see [`map_error`](crate::map_error).
            pub async fn fetch_one(&mut self, query: Query<'_>) -> Result<PgRow> {
                self.conn
                    .fetch_optional(query)
                    .await?
                    .ok_or_else(Error::not_found)
            }
            /// Makes the effects durable.
            ///
            /// # Errors
            /// See [`map_error`](crate::map_error); deferred constraints fail here.
            pub async fn commit(self) -> Result<()> {
                self.conn.commit().await
            }
            /// Undoes everything now, instead of when dropped.
            ///
            /// # Errors
            /// Where the connection is gone (the effects are undone all the same).
            pub async fn rollback(self) -> Result<()> {
                self.conn.rollback().await
            }
        }
        impl sealed::Sealed for $name {
            fn conn(&mut self) -> &mut Conn {
                &mut self.conn
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

/// A transaction bound to one tenant by its signed context: row security shows nothing else.
pub struct Tx {
    pub(crate) conn: Conn,
    pub(crate) tenant: TenantId,
}
transaction!(Tx);

impl Tx {
    /// The tenant, to stand in every predicate beside row security.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }
    /// Starts `COPY (SELECT ..) TO STDOUT`. Row security holds for it. Identifiers in it come from checked names only.
    ///
    /// # Errors
    /// See [`map_error`](crate::map_error).
    pub async fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>> {
        self.conn.copy_out(sql).await
    }
}

impl Statements for Tx {
    fn tenant_opt(&self) -> Option<TenantId> {
        Some(self.tenant)
    }
}

/// A transaction on a service's own platform tables, or of DDL. It is bound to no tenant.
pub struct SystemTx {
    pub(crate) conn: Conn,
}
transaction!(SystemTx);

impl SystemTx {
    /// Runs several statements without parameters at once: DDL. Identifiers in it come from checked names only.
    ///
    /// # Errors
    /// See [`map_error`](crate::map_error).
    pub async fn execute_script(&mut self, sql: impl Into<String>) -> Result<()> {
        self.conn.script(sql.into()).await
    }
    /// Runs `COPY .. FROM STDIN` over `data` and answers how many rows it was. Identifiers as in
    /// [`SystemTx::execute_script`].
    ///
    /// # Errors
    /// See [`map_error`](crate::map_error).
    pub async fn copy_in(&mut self, sql: &str, data: &[u8]) -> Result<u64> {
        self.conn.copy_in(sql, data).await
    }
}

impl Statements for SystemTx {
    fn tenant_opt(&self) -> Option<TenantId> {
        None
    }
}
