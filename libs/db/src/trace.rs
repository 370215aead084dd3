//! What a transaction is called in spans and metrics: the pool, and whose request it serves.
//!
//! A statement's span has its first word and the database's name, never its text or a value. Without a collector, or
//! outside of a trace (a relay that polls), there is no span and no cost beyond one load.

use crate::{Query, error::map_error};
use sqlx::Execute;
use std::sync::Arc;
use tenantry_kernel::{
    Ctx, RequestId, Result, TenantId,
    probe::{self, Counter},
};
use tracing::{Span, field::Empty};

/// One pool in metrics, shared by its parts.
#[derive(Clone, Debug)]
pub(crate) struct PoolMark(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: String,
    statements: Counter,
    failures: Counter,
    seconds: Counter,
    refused: Counter,
}

impl PoolMark {
    /// `login` and `database` come from the configuration: as many as there are pools.
    pub(crate) fn new(login: &str, database: &str) -> Self {
        let labels = [("pool", login), ("database", database)];
        let count = |name, help| probe::counter(name, help, &labels);
        Self(Arc::new(Inner {
            database: database.to_owned(),
            statements: count("tenantry_db_statements_total", "SQL statements"),
            failures: count(
                "tenantry_db_failures_total",
                "SQL statements that failed, refusals of the schema included",
            ),
            seconds: probe::seconds("tenantry_db_seconds_total", "Time spent in SQL statements", &labels),
            refused: count(
                "tenantry_db_refused_total",
                "Transactions that got no connection in time",
            ),
        }))
    }
    /// A transaction got no connection.
    pub(crate) fn refused(&self) {
        self.0.refused.one();
    }
    /// For background work.
    pub(crate) fn job(&self) -> Mark {
        self.mark(None, None)
    }
    /// For a request.
    pub(crate) fn request(&self, ctx: &Ctx) -> Mark {
        self.mark(ctx.tenant_opt(), Some(ctx.request_id()))
    }
    fn mark(&self, tenant: Option<TenantId>, request: Option<&RequestId>) -> Mark {
        let traced = probe::recording() && !Span::current().is_disabled();
        Mark {
            pool: self.clone(),
            whose: traced.then(|| (tenant, request.cloned())),
        }
    }
}

/// One transaction.
#[derive(Debug)]
pub(crate) struct Mark {
    pool: PoolMark,
    /// Nothing where no spans are made.
    whose: Option<(Option<TenantId>, Option<RequestId>)>,
}

impl Mark {
    /// The span of `query`, and the query again: asking for its text takes it apart.
    ///
    /// # Errors
    /// Where a value cannot be encoded: what running the query would have said.
    pub(crate) fn statement<'q>(&self, mut query: Query<'q>) -> Result<(Span, Query<'q>)> {
        if self.whose.is_none() {
            return Ok((Span::none(), query));
        }
        let arguments = query.take_arguments();
        let arguments = arguments.map_err(|error| map_error(sqlx::Error::Encode(error)))?;
        let text = query.sql();
        let span = self.span(kind_of(text.as_str()));
        Ok((span, sqlx::query_with(text, arguments.unwrap_or_default())))
    }

    pub(crate) fn span(&self, operation: &str) -> Span {
        let Some((tenant, request)) = &self.whose else {
            return Span::none();
        };
        let database = &self.pool.0.database;
        let span = tracing::info_span!(
            "sql",
            otel.name = format!("{operation} {database}"),
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = "postgresql",
            db.namespace = database,
            db.operation.name = operation,
            db.response.returned_rows = Empty,
            tenant.id = Empty,
            request.id = Empty,
        );
        if let Some(tenant) = tenant {
            span.record("tenant.id", tracing::field::display(tenant));
        }
        if let Some(request) = request {
            span.record("request.id", request.as_str());
        }
        span
    }

    pub(crate) fn count(&self, span: &Span, micros: u64, rows: u64, ok: bool) {
        let pool = &self.pool.0;
        pool.statements.one();
        pool.seconds.add(micros);
        if ok {
            span.record("db.response.returned_rows", rows);
        } else {
            pool.failures.one();
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// The first word of a statement, from a fixed set.
pub(crate) fn kind_of(sql: &str) -> &'static str {
    const KINDS: [&str; 14] = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "COPY", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "SET",
        "LOCK", "TRUNCATE",
    ];
    let word = sql.split_whitespace().next().unwrap_or_default();
    KINDS
        .iter()
        .find(|kind| kind.eq_ignore_ascii_case(word))
        .copied()
        .unwrap_or("OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_leave_a_statement() {
        assert_eq!(kind_of("  select 'secret'"), "SELECT");
        assert_eq!(kind_of("'secret'"), "OTHER");
        assert_eq!(kind_of(""), "OTHER");
    }
}
