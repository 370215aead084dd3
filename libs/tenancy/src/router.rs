//! The router: follows the registry's stream, answers from the map, asks once on a miss.

use crate::{RouteMap, route_from_proto};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tenantry_api::registry::{
    LookupRouteRequest, WatchRoutesRequest, WatchRoutesResponse, lookup_route_request::By,
    route_service_client::RouteServiceClient,
};
use tenantry_kernel::{BoxFuture, Error, Reason, Resolve, Result, TenantId, TenantRoute};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Streaming, transport::Channel};

/// Gives a transaction token for the registry that names this service.
pub type TokenSource = Arc<dyn Fn() -> BoxFuture<'static, Result<Arc<str>>> + Send + Sync>;

/// The registry sends a heartbeat every five seconds.
const SILENCE: Duration = Duration::from_secs(12);
const BACKOFF: Duration = Duration::from_millis(300);
const LOOKUP_DEADLINE: Duration = Duration::from_secs(2);
/// A name that was not found is not asked for again for this long: unknown hosts must not become load at the registry.
const ABSENT: Duration = Duration::from_secs(2);
const MOST_ABSENT: usize = 10_000;

/// Finds routes by id, slug or domain.
pub struct TenantRouter {
    map: RouteMap,
    client: RouteServiceClient<Channel>,
    token: TokenSource,
    absent: Mutex<HashMap<LookupKey, Instant>>,
}

/// A lookup key that can be hashed.
#[derive(Clone, PartialEq, Eq, Hash)]
enum LookupKey {
    Id(TenantId),
    Slug(String),
    Domain(String),
}

impl TenantRouter {
    /// A router that knows nothing yet.
    #[must_use]
    pub fn new(registry: Channel, token: TokenSource) -> Arc<Self> {
        Arc::new(Self {
            map: RouteMap::default(),
            client: RouteServiceClient::new(registry),
            token,
            absent: Mutex::default(),
        })
    }
    /// Follows the registry until `stop`; `ready` runs after the first whole snapshot.
    pub fn watch(self: &Arc<Self>, stop: CancellationToken, ready: impl FnOnce() + Send + 'static) {
        let router = self.clone();
        tokio::spawn(async move {
            let mut ready = Some(ready);
            while !stop.is_cancelled() {
                tokio::select! {
                    () = router.follow(&mut ready) => {}
                    () = stop.cancelled() => return,
                }
                tokio::select! {
                    () = tokio::time::sleep(BACKOFF) => {}
                    () = stop.cancelled() => return,
                }
            }
        });
    }

    /// Every route that is known here: all there are, once the first snapshot has come.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<TenantRoute>> {
        self.map.all()
    }
    /// The route, if it is known here: without asking anybody.
    #[must_use]
    pub fn known(&self, tenant: TenantId) -> Option<Arc<TenantRoute>> {
        self.map.by_id(tenant)
    }

    async fn follow(&self, ready: &mut Option<impl FnOnce()>) {
        match self.open().await {
            Ok(stream) => self.apply_all(stream, ready).await,
            Err(error) => tracing::debug!(%error, "routes cannot be watched yet"),
        }
    }

    async fn open(&self) -> Result<Streaming<WatchRoutesResponse>> {
        let token = (self.token)().await?;
        let request = authorized(WatchRoutesRequest {}, &token)?;
        let answer = self
            .client
            .clone()
            .watch_routes(request)
            .await
            .map_err(Error::unavailable)?;
        Ok(answer.into_inner())
    }

    async fn apply_all(&self, mut stream: Streaming<WatchRoutesResponse>, ready: &mut Option<impl FnOnce()>) {
        let mut snapshot = Some(HashSet::new());
        while let Ok(Ok(Some(message))) = tokio::time::timeout(SILENCE, stream.message()).await {
            if !message.routes.is_empty() {
                self.absent.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
            for route in message.routes {
                self.apply(route, snapshot.as_mut());
            }
            if message.snapshot_complete
                && let Some(seen) = snapshot.take()
            {
                self.map.keep_only(&seen);
                if let Some(ready) = ready.take() {
                    ready();
                }
            }
        }
    }

    fn apply(&self, route: tenantry_api::registry::Route, snapshot: Option<&mut HashSet<TenantId>>) {
        if route.removed {
            if let Ok(tenant) = route.tenant_id.parse() {
                self.map.remove(tenant);
            }
            return;
        }
        match route_from_proto(route) {
            Some(route) => {
                if let Some(seen) = snapshot {
                    seen.insert(route.tenant);
                }
                self.map.put(route);
            }
            None => tracing::warn!("the registry sent a route this version does not understand"),
        }
    }

    async fn lookup(&self, key: LookupKey) -> Result<Arc<TenantRoute>> {
        if self.recently_absent(&key) {
            return Err(not_found());
        }
        let by = match key.clone() {
            LookupKey::Id(tenant) => By::TenantId(tenant.to_string()),
            LookupKey::Slug(slug) => By::Slug(slug),
            LookupKey::Domain(domain) => By::Domain(domain),
        };
        let token = (self.token)().await?;
        let mut request = authorized(LookupRouteRequest { by: Some(by) }, &token)?;
        request.set_timeout(LOOKUP_DEADLINE);
        match self.client.clone().lookup_route(request).await {
            Ok(answer) => {
                let route = answer
                    .into_inner()
                    .route
                    .and_then(route_from_proto)
                    .ok_or_else(not_found)?;
                self.map.put(route.clone());
                Ok(Arc::new(route))
            }
            Err(status) if status.code() == Code::NotFound => {
                self.remember_absent(key);
                Err(not_found())
            }
            Err(status) => Err(Error::unavailable(status)),
        }
    }

    fn recently_absent(&self, key: &LookupKey) -> bool {
        let absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        absent.get(key).is_some_and(|at| at.elapsed() < ABSENT)
    }

    fn remember_absent(&self, key: LookupKey) {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        if absent.len() >= MOST_ABSENT {
            absent.clear();
        }
        absent.insert(key, Instant::now());
    }
}

impl Resolve for TenantRouter {
    fn by_id(&self, tenant: TenantId) -> BoxFuture<'_, Result<Arc<TenantRoute>>> {
        Box::pin(async move {
            match self.map.by_id(tenant) {
                Some(route) => Ok(route),
                None => self.lookup(LookupKey::Id(tenant)).await,
            }
        })
    }
    fn by_slug<'a>(&'a self, slug: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>> {
        Box::pin(async move {
            match self.map.by_slug(slug) {
                Some(route) => Ok(route),
                None => self.lookup(LookupKey::Slug(slug.to_owned())).await,
            }
        })
    }
    fn by_domain<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>> {
        Box::pin(async move {
            match self.map.by_domain(domain) {
                Some(route) => Ok(route),
                None => self.lookup(LookupKey::Domain(domain.to_owned())).await,
            }
        })
    }
}

fn authorized<T>(message: T, token: &str) -> Result<Request<T>> {
    let mut request = Request::new(message);
    let mut value: tonic::metadata::MetadataValue<_> = format!("Bearer {token}").parse().map_err(Error::internal)?;
    value.set_sensitive(true);
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}

fn not_found() -> Error {
    Error::new(Reason::TenantNotFound, Error::not_found().public().to_owned())
}
