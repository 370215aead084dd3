//! The platform as operators see it.

use super::{
    Routes,
    paging::{Page, Pager, Query},
};
use crate::{
    domain::{
        alert::Alert,
        event::Event,
        health::Health,
        usage::{KEEP_MINUTES, Span, Step, Usage},
    },
    store::{self, Store, ingest::Table},
};
use chrono::{DateTime, Duration, Utc};
use std::sync::Arc;
use tenantry_kernel::{Clock, Ctx, Error, Reason, Result, TenantId, TenantRoute};

/// One tenant of a list.
#[derive(Clone, Debug)]
pub struct TenantUsage {
    /// The tenant.
    pub tenant: TenantId,
    /// Its route; `None` for one that is gone.
    pub route: Option<Arc<TenantRoute>>,
    /// What it used.
    pub usage: Usage,
}

/// See the module.
#[derive(Clone)]
pub struct FleetApp {
    store: Store,
    routes: Arc<dyn Routes>,
    pager: Pager,
    clock: Arc<dyn Clock>,
}

impl FleetApp {
    /// All parts.
    #[must_use]
    pub fn new(store: Store, routes: Arc<dyn Routes>, pager: Pager, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            routes,
            pager,
            clock,
        }
    }

    /// Tenants by requests, the busiest first. Later pages keep the span of the first.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `INVALID_PAGE_TOKEN`.
    pub async fn usage(
        &self,
        ctx: &Ctx,
        method: &'static str,
        query: &Query,
        start: Option<DateTime<Utc>>,
        end: Option<DateTime<Utc>>,
    ) -> Result<(Span, Page<TenantUsage>)> {
        let shape = format!("{start:?} {end:?}");
        let slice = self.pager.open(ctx, method, &[shape.as_bytes()], query).await?;
        let (span, after) = if slice.after.is_empty() {
            (self.span(start, end)?, None)
        } else {
            read_cursor(&slice.after)?
        };
        let table = self.table(span);
        let mut tx = self.store.begin_system(ctx).await?;
        let rows = store::fleet::busiest(&mut tx, table, span, after, slice.limit()).await?;
        drop(tx);
        let items: Vec<_> = rows
            .into_iter()
            .map(|(tenant, usage)| TenantUsage {
                tenant,
                route: self.routes.known(tenant),
                usage,
            })
            .collect();
        let cursor = |last: &TenantUsage| {
            let (start, end) = (span.start.timestamp(), span.end.timestamp());
            format!("{start} {end} {} {}", last.usage.requests, last.tenant)
        };
        Ok((span, slice.page(items, cursor).await?))
    }

    fn span(&self, start: Option<DateTime<Utc>>, end: Option<DateTime<Utc>>) -> Result<Span> {
        let now = self.clock.now();
        let from = start.or(end).unwrap_or(now);
        let step = if now - from < Duration::days(1) {
            Step::Minute
        } else {
            Step::Day
        };
        Span::of(start, end, now, Duration::hours(1), step)
    }

    fn table(&self, span: Span) -> Table {
        if self.clock.now() - span.start < KEEP_MINUTES - Duration::hours(1) {
            Table::Minute
        } else {
            Table::Hour
        }
    }

    /// Services by name.
    ///
    /// # Errors
    /// As every statement.
    pub async fn health(&self, ctx: &Ctx) -> Result<Vec<Health>> {
        let mut tx = self.store.begin_system(ctx).await?;
        store::health::list(&mut tx).await
    }

    /// Alerts, firing ones first.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`.
    pub async fn alerts(&self, ctx: &Ctx, method: &'static str, query: &Query) -> Result<Page<Alert>> {
        let slice = self.pager.open(ctx, method, &[], query).await?;
        let mut parts = slice.after.splitn(3, ' ');
        let after = match (parts.next(), parts.next(), parts.next()) {
            (Some(firing), Some(start), Some(fingerprint)) => Some(store::alerts::After {
                firing: firing == "1",
                start: micros(start).ok_or_else(bad_cursor)?,
                fingerprint: fingerprint.to_owned(),
            }),
            _ => None,
        };
        let mut tx = self.store.begin_system(ctx).await?;
        let rows = store::alerts::list(&mut tx, after.as_ref(), slice.limit()).await?;
        drop(tx);
        let cursor = |last: &Alert| {
            let firing = u8::from(last.end.is_none());
            format!("{firing} {} {}", last.start.timestamp_micros(), last.fingerprint)
        };
        slice.page(rows, cursor).await
    }

    /// Events, the newest first.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`.
    pub async fn events(
        &self,
        ctx: &Ctx,
        method: &'static str,
        query: &Query,
        tenant: Option<TenantId>,
    ) -> Result<Page<Event>> {
        let shape = tenant.map(|tenant| tenant.to_string()).unwrap_or_default();
        let slice = self.pager.open(ctx, method, &[shape.as_bytes()], query).await?;
        let after = match slice.after.split_once(' ') {
            Some((time, id)) => Some(store::events::After {
                time: micros(time).ok_or_else(bad_cursor)?,
                id: id.parse().map_err(Error::internal)?,
            }),
            None => None,
        };
        let mut tx = self.store.begin_system(ctx).await?;
        let rows = store::events::list(&mut tx, tenant, after, slice.limit()).await?;
        drop(tx);
        slice
            .page(rows, |last| format!("{} {}", last.time.timestamp_micros(), last.id))
            .await
    }
}

fn micros(text: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(text.parse().ok()?)
}

fn read_cursor(cursor: &str) -> Result<(Span, Option<store::fleet::After>)> {
    let parts: Vec<&str> = cursor.split(' ').collect();
    let [start, end, requests, tenant] = parts[..] else {
        return Err(bad_cursor());
    };
    let seconds = |text: &str| DateTime::from_timestamp(text.parse().ok()?, 0);
    let (Some(start), Some(end)) = (seconds(start), seconds(end)) else {
        return Err(bad_cursor());
    };
    let after = store::fleet::After {
        requests: requests.parse().map_err(|_| bad_cursor())?,
        tenant: tenant.parse().map_err(|_| bad_cursor())?,
    };
    Ok((Span { start, end }, Some(after)))
}

/// Tokens are sealed: only another version of this service can have made such a one.
fn bad_cursor() -> Error {
    Error::new(
        Reason::InvalidPageToken,
        "The page token is of another version. Start the list again.",
    )
}

impl std::fmt::Debug for FleetApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FleetApp(..)")
    }
}
