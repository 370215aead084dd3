//! Routes in this process: a copy of the table that follows it by its epochs, answers lookups and feeds the streams of
//! other services. Every replica has its own; none depends on another (decision 21).

use crate::store::{self, Cursor, Store};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tenantry_kernel::{BoxFuture, Error, Reason, Resolve, Result, TenantId, TenantRoute};
use tenantry_tenancy::RouteMap;
use tokio::sync::{Mutex, Notify, broadcast};

/// Rows read at once, and routes sent in one message.
pub const PAGE: usize = 500;
/// Batches a slow watcher may be behind before it is cut off and starts anew.
const FEED: usize = 256;
/// A copy that has not been compared with the table for this long does not claim to be current.
const FRESH: Duration = Duration::from_secs(5);

/// What happened to a route.
#[derive(Clone, Debug)]
pub enum Change {
    /// New or changed.
    Put(Arc<TenantRoute>),
    /// Gone.
    Removed {
        /// The tenant.
        tenant: TenantId,
        /// When, in epochs.
        epoch: i64,
    },
}

/// A watcher's view: everything known, then what changes.
pub struct Watch {
    /// The snapshot.
    pub snapshot: Vec<Arc<TenantRoute>>,
    /// What changes from then on; a change may repeat what the snapshot knows.
    pub changes: broadcast::Receiver<Arc<[Change]>>,
}

/// How far the copy has read.
struct Progress {
    routes: Cursor,
    removed: Cursor,
}

/// See the module.
pub struct Routes {
    store: Store,
    map: RouteMap,
    all: RwLock<BTreeMap<TenantId, Arc<TenantRoute>>>,
    feed: broadcast::Sender<Arc<[Change]>>,
    progress: Mutex<Progress>,
    compared: RwLock<Option<Instant>>,
    nudge: Notify,
}

impl Routes {
    /// An empty copy.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            map: RouteMap::default(),
            all: RwLock::default(),
            feed: broadcast::channel(FEED).0,
            progress: Mutex::new(Progress {
                routes: Cursor::START,
                removed: Cursor::START,
            }),
            compared: RwLock::default(),
            nudge: Notify::new(),
        }
    }
    /// Compare with the table now.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }
    /// Waits for a nudge.
    pub async fn nudged(&self) {
        self.nudge.notified().await;
    }
    /// Whether the copy was compared with the table lately.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.compared
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|at| at.elapsed() < FRESH)
    }

    /// Reads what changed since the last time and passes it on; returns how many changes there were.
    ///
    /// # Errors
    /// As every statement; what was read before it is applied.
    pub async fn follow(&self) -> Result<usize> {
        let mut progress = self.progress.lock().await;
        let mut count = 0;
        loop {
            let started = Instant::now();
            let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
            let mut tx = self.store.begin_job("routes").await?;
            let routes = store::route_list_after(&mut tx, progress.routes, limit).await?;
            let removed = store::route_tombstones_after(&mut tx, progress.removed, limit).await?;
            tx.rollback().await?;
            let more = routes.len() == PAGE || removed.len() == PAGE;
            if let Some(last) = routes.last() {
                progress.routes = Cursor {
                    epoch: i64::try_from(last.epoch).unwrap_or(i64::MAX),
                    tenant: last.tenant.uuid(),
                };
            }
            if let Some(last) = removed.last() {
                progress.removed = *last;
            }
            count += routes.len() + removed.len();
            self.apply(routes, &removed);
            if !more {
                *self.compared.write().unwrap_or_else(PoisonError::into_inner) = Some(started);
                return Ok(count);
            }
        }
    }

    /// Starts watching. Subscribed first, copied second: nothing falls between.
    ///
    /// # Errors
    /// `UNAVAILABLE` before the first comparison: an empty snapshot would make the watcher forget every tenant.
    pub fn watch(&self) -> Result<Watch> {
        if self.compared.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(Error::unavailable("routes are not loaded yet"));
        }
        let changes = self.feed.subscribe();
        let snapshot = self
            .all
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect();
        Ok(Watch { snapshot, changes })
    }

    fn apply(&self, routes: Vec<TenantRoute>, removed: &[Cursor]) {
        if routes.is_empty() && removed.is_empty() {
            return;
        }
        let mut batch = Vec::with_capacity(routes.len() + removed.len());
        {
            let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
            for gone in removed {
                let tenant = TenantId::from_uuid(gone.tenant);
                all.remove(&tenant);
                self.map.remove(tenant);
                batch.push(Change::Removed {
                    tenant,
                    epoch: gone.epoch,
                });
            }
            for route in routes {
                let shared = Arc::new(route.clone());
                all.insert(route.tenant, Arc::clone(&shared));
                self.map.put(route);
                batch.push(Change::Put(shared));
            }
        }
        // Nobody watching is fine.
        drop(self.feed.send(batch.into()));
    }

    /// Asks the table on a miss, because the copy may be half a second behind.
    async fn look(&self, known: Option<Arc<TenantRoute>>, key: Key<'_>) -> Result<Arc<TenantRoute>> {
        if let Some(route) = known {
            return Ok(route);
        }
        let mut tx = self.store.begin_job("route lookup").await?;
        let found = match key {
            Key::Id(tenant) => store::route_by_id(&mut tx, tenant).await?,
            Key::Slug(slug) => store::route_by_slug(&mut tx, slug).await?,
            Key::Domain(domain) => store::route_by_domain(&mut tx, domain).await?,
        };
        found
            .map(Arc::new)
            .ok_or_else(|| Error::new(Reason::TenantNotFound, Error::not_found().public().to_owned()))
    }
}

enum Key<'a> {
    Id(TenantId),
    Slug(&'a str),
    Domain(&'a str),
}

impl Resolve for Routes {
    fn by_id(&self, tenant: TenantId) -> BoxFuture<'_, Result<Arc<TenantRoute>>> {
        Box::pin(self.look(self.map.by_id(tenant), Key::Id(tenant)))
    }
    fn by_slug<'a>(&'a self, slug: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>> {
        Box::pin(self.look(self.map.by_slug(slug), Key::Slug(slug)))
    }
    fn by_domain<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>> {
        Box::pin(self.look(self.map.by_domain(domain), Key::Domain(domain)))
    }
}
