//! Who is over a quota: months in the database compared with the plans of the routes, by every replica for itself.

use super::Routes;
use crate::{
    domain::quota::{self, Exceeded},
    store::{self, Store},
};
use chrono::{DateTime, Duration, NaiveDate, Utc};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};
use tenantry_kernel::{Clock, Error, Result, TenantId};
use tokio::sync::{Mutex, watch};

/// Tenants that are over, by id.
pub type Over = Arc<BTreeMap<TenantId, Exceeded>>;

/// A transaction may commit this long after the time it gave its rows.
const OVERLAP: Duration = Duration::seconds(60);
/// A comparison older than this is not claimed to be current.
const FRESH: std::time::Duration = std::time::Duration::from_secs(5);

#[derive(Default)]
struct Known {
    month: NaiveDate,
    used: HashMap<TenantId, i64>,
    seen: Option<DateTime<Utc>>,
}

/// See the module.
pub struct Quotas {
    store: Store,
    routes: Arc<dyn Routes>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    over: watch::Sender<Option<Over>>,
    compared: RwLock<Option<Instant>>,
}

impl Quotas {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(store: Store, routes: Arc<dyn Routes>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            routes,
            clock,
            known: Mutex::default(),
            over: watch::channel(None).0,
            compared: RwLock::default(),
        }
    }

    /// Reads what changed and compares all with the plans of this moment.
    ///
    /// # Errors
    /// As every statement; what was known stays.
    pub async fn refresh(&self) -> Result<()> {
        let started = Instant::now();
        let mut known = self.known.lock().await;
        let month = quota::month(self.clock.now());
        if known.month != month {
            *known = Known {
                month,
                ..Known::default()
            };
        }
        let since = known.seen.map_or(DateTime::UNIX_EPOCH, |seen| seen - OVERLAP);
        let mut tx = self.store.begin_job("quotas").await?;
        let changed = store::quotas::changed(&mut tx, month, since).await?;
        tx.commit().await?;
        for row in changed {
            known.used.insert(row.tenant, row.admitted);
            known.seen = known.seen.max(Some(row.update_time));
        }
        let over = known.used.iter().filter_map(|(tenant, used)| {
            let route = self.routes.known(*tenant)?;
            Some((*tenant, quota::exceeded(&route, *used, month)?))
        });
        let over: Over = Arc::new(over.collect());
        self.over.send_if_modified(|last| {
            let changed = last.as_ref() != Some(&over);
            if changed {
                *last = Some(over);
            }
            changed
        });
        *self.compared.write().unwrap_or_else(PoisonError::into_inner) = Some(started);
        Ok(())
    }

    /// Who is over now and whenever it changes.
    ///
    /// # Errors
    /// `UNAVAILABLE` before the first comparison: an empty snapshot would let everybody through.
    pub fn watch(&self) -> Result<watch::Receiver<Option<Over>>> {
        let receiver = self.over.subscribe();
        if receiver.borrow().is_none() {
            return Err(Error::unavailable("quotas are not compared yet"));
        }
        Ok(receiver)
    }

    /// Whether the last comparison is recent enough to be vouched for.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let compared = self.compared.read().unwrap_or_else(PoisonError::into_inner);
        compared.is_some_and(|at| at.elapsed() < FRESH)
    }
}

impl std::fmt::Debug for Quotas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quotas(..)")
    }
}
