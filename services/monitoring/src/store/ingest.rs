//! Adding a report up: once.

use chrono::{DateTime, NaiveDate, Utc};
use tenantry_db::{Query, SystemTx, query};
use tenantry_kernel::Result;
use tenantry_metering::{BUCKETS, Delta, Report};
use uuid::Uuid;

/// Remembers a report; `false` where it was added up before. Two consumers of one report meet here: the second waits for
/// the first, and adds nothing unless the first gave up.
///
/// # Errors
/// As every statement.
pub async fn first_time(tx: &mut SystemTx, report: &Report) -> Result<bool> {
    let sql = "INSERT INTO monitoring.reports (instance, sequence) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let insert = query(sql).bind(report.instance).bind(number(report.sequence));
    Ok(tx.execute(insert).await? == 1)
}

/// Adds to the rows of a minute or an hour. Rows are locked in the order of tenants, so that two reports cannot wait for
/// each other.
///
/// # Errors
/// As every statement.
pub async fn add(tx: &mut SystemTx, table: Table, start: DateTime<Utc>, service: &str, deltas: &[Delta]) -> Result<()> {
    let table = table.name();
    let sql = format!(
        "INSERT INTO monitoring.{table} AS t (tenant_id, start_time, service, requests, admitted, errors, limited, row_count, request_bytes, response_bytes, latency) \
         SELECT d.tenant_id, $1, $2, d.requests, d.admitted, d.errors, d.limited, d.row_count, d.request_bytes, d.response_bytes, \
                ($11::bigint[])[(d.n - 1) * {BUCKETS} + 1 : d.n * {BUCKETS}] \
           FROM ROWS FROM (pg_catalog.unnest($3::pg_catalog.uuid[]), pg_catalog.unnest($4::bigint[]), pg_catalog.unnest($5::bigint[]), \
                pg_catalog.unnest($6::bigint[]), pg_catalog.unnest($7::bigint[]), pg_catalog.unnest($8::bigint[]), \
                pg_catalog.unnest($9::bigint[]), pg_catalog.unnest($10::bigint[])) WITH ORDINALITY \
                AS d (tenant_id, requests, admitted, errors, limited, row_count, request_bytes, response_bytes, n) \
          ORDER BY d.tenant_id \
         ON CONFLICT (tenant_id, start_time, service) DO UPDATE SET \
                requests = t.requests + excluded.requests, admitted = t.admitted + excluded.admitted, \
                errors = t.errors + excluded.errors, limited = t.limited + excluded.limited, row_count = t.row_count + excluded.row_count, \
                request_bytes = t.request_bytes + excluded.request_bytes, response_bytes = t.response_bytes + excluded.response_bytes, \
                latency = ARRAY(SELECT l.a + l.b FROM ROWS FROM (pg_catalog.unnest(t.latency), pg_catalog.unnest(excluded.latency)) \
                                WITH ORDINALITY AS l (a, b, n) ORDER BY l.n)"
    );
    let latency: Vec<i64> = deltas.iter().flat_map(|delta| delta.latency).map(number).collect();
    let insert = query(sql).bind(start).bind(service).bind(tenants(deltas));
    let insert = counts(insert, deltas).bind(latency);
    tx.execute(insert).await.map(|_| ())
}

/// Adds to the months that quotas are compared with.
///
/// # Errors
/// As every statement.
pub async fn add_month(tx: &mut SystemTx, month: NaiveDate, deltas: &[Delta]) -> Result<()> {
    let sql = "INSERT INTO monitoring.tenant_month AS t (tenant_id, month, requests, admitted) \
         SELECT d.tenant_id, $1, d.requests, d.admitted \
           FROM ROWS FROM (pg_catalog.unnest($2::pg_catalog.uuid[]), pg_catalog.unnest($3::bigint[]), pg_catalog.unnest($4::bigint[])) \
                AS d (tenant_id, requests, admitted) WHERE d.requests > 0 ORDER BY d.tenant_id \
         ON CONFLICT (tenant_id, month) DO UPDATE SET requests = t.requests + excluded.requests, \
                admitted = t.admitted + excluded.admitted, update_time = pg_catalog.now()";
    let insert = query(sql)
        .bind(month)
        .bind(tenants(deltas))
        .bind(column(deltas, |delta| delta.requests))
        .bind(column(deltas, |delta| delta.admitted));
    tx.execute(insert).await.map(|_| ())
}

/// Which rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// By minute.
    Minute,
    /// By hour.
    Hour,
}

impl Table {
    /// Its name within the schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "tenant_minute",
            Self::Hour => "tenant_hour",
        }
    }
}

fn counts<'q>(insert: Query<'q>, deltas: &[Delta]) -> Query<'q> {
    insert
        .bind(column(deltas, |delta| delta.requests))
        .bind(column(deltas, |delta| delta.admitted))
        .bind(column(deltas, |delta| delta.errors))
        .bind(column(deltas, |delta| delta.limited))
        .bind(column(deltas, |delta| delta.rows))
        .bind(column(deltas, |delta| delta.request_bytes))
        .bind(column(deltas, |delta| delta.response_bytes))
}

fn tenants(deltas: &[Delta]) -> Vec<Uuid> {
    deltas.iter().map(|delta| delta.tenant.uuid()).collect()
}

fn column(deltas: &[Delta], of: impl Fn(&Delta) -> u64) -> Vec<i64> {
    deltas.iter().map(|delta| number(of(delta))).collect()
}

/// Counts of a checked report are far below this bound.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
