//! Adding reports up: each once, whole, in one transaction, however often and in whatever order they arrive.

use super::{Routes, series::Series};
use crate::{
    domain::quota,
    store::{
        Store,
        ingest::{self, Table},
    },
};
use chrono::{Duration, DurationRound};
use std::sync::Arc;
use tenantry_kernel::{Clock, Error, Reason, Result, TenantId, probe};
use tenantry_metering::{Delta, Report};
use uuid::Uuid;

/// Who counts.
pub const PUBLISHERS: [&str; 2] = ["gateway", "business"];
/// An older report could have been forgotten, and would be added twice.
const OLDEST: Duration = Duration::days(31);
/// Clocks of two machines differ by less.
const AHEAD: Duration = Duration::hours(1);
/// Tenants of one report that the registry is asked for.
const MOST_ASKED: usize = 20;
/// Where counts of tenants go that nobody knows: totals stay right, and rows do not grow with made-up ids.
pub const NOBODY: TenantId = TenantId::from_uuid(Uuid::nil());

/// Reports that were added; publishers are the few of [`PUBLISHERS`].
fn reports(publisher: &str) -> probe::Counter {
    let help = "Usage reports that were added, by who counted";
    probe::counter("tenantry_metering_reports_total", help, &[("publisher", publisher)])
}

/// See the module.
#[derive(Clone)]
pub struct Ingest {
    store: Store,
    routes: Arc<dyn Routes>,
    series: Arc<Series>,
    clock: Arc<dyn Clock>,
}

impl Ingest {
    /// All parts.
    #[must_use]
    pub fn new(store: Store, routes: Arc<dyn Routes>, series: Arc<Series>, clock: Arc<dyn Clock>) -> Self {
        // Without its nought a rate would not see the first.
        drop(PUBLISHERS.map(reports));
        Self {
            store,
            routes,
            series,
            clock,
        }
    }

    /// Adds a report of `publisher`; `false` where it was added before.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for one that never can be; else as every statement.
    pub async fn take(&self, publisher: &str, report: &Report) -> Result<bool> {
        self.check(publisher, report)?;
        let deltas = self.attributed(&report.deltas).await?;
        let minute = report
            .end
            .duration_trunc(Duration::minutes(1))
            .map_err(Error::internal)?;
        let hour = report.end.duration_trunc(Duration::hours(1)).map_err(Error::internal)?;
        let mut tx = self.store.begin_job("ingest").await?;
        if !ingest::first_time(&mut tx, report).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        ingest::add(&mut tx, Table::Minute, minute, &report.service, &deltas).await?;
        ingest::add(&mut tx, Table::Hour, hour, &report.service, &deltas).await?;
        ingest::add_month(&mut tx, quota::month(report.end), &deltas).await?;
        tx.commit().await?;
        // By who exists: made-up ids must not push the busiest tenants out of the shown ones.
        self.series.add(&deltas);
        reports(publisher).one();
        Ok(true)
    }

    fn check(&self, publisher: &str, report: &Report) -> Result<()> {
        let never = |text: &'static str| Err(Error::new(Reason::InvalidArgument, text));
        if !PUBLISHERS.contains(&publisher) || report.service != publisher {
            return never("the report is of another service than its publisher");
        }
        let now = self.clock.now();
        if report.end < now - OLDEST {
            return never("the report is older than 31 days");
        }
        if report.end > now + AHEAD {
            return never("the report is of the future");
        }
        Ok(())
    }

    /// The counts by tenants that exist. A tenant made this second may not be known here yet: the registry is asked, but
    /// not without bound.
    async fn attributed(&self, deltas: &[Delta]) -> Result<Vec<Delta>> {
        let (mut known, mut nobody, mut asked) = (Vec::with_capacity(deltas.len()), None, 0);
        for delta in deltas {
            let exists = match self.routes.known(delta.tenant) {
                Some(_) => true,
                None if asked < MOST_ASKED => {
                    asked += 1;
                    self.routes.ask(delta.tenant).await?.is_some()
                }
                None => false,
            };
            if exists {
                known.push(delta.clone());
            } else {
                merge(&mut nobody, delta);
            }
        }
        if let Some(rest) = nobody {
            tracing::warn!(
                requests = rest.requests,
                "usage of unknown tenants is counted for nobody"
            );
            known.insert(0, rest); // the smallest id
        }
        Ok(known)
    }
}

fn merge(into: &mut Option<Delta>, delta: &Delta) {
    let Some(sum) = into else {
        *into = Some(Delta {
            tenant: NOBODY,
            ..delta.clone()
        });
        return;
    };
    sum.requests += delta.requests;
    sum.admitted += delta.admitted;
    sum.errors += delta.errors;
    sum.limited += delta.limited;
    sum.rows += delta.rows;
    sum.request_bytes += delta.request_bytes;
    sum.response_bytes += delta.response_bytes;
    for (count, more) in sum.latency.iter_mut().zip(delta.latency) {
        *count += more;
    }
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ingest(..)")
    }
}
