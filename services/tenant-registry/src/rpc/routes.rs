//! RouteService: for our own services only.

use crate::app::{Change, PAGE, Routes, Watch};
use std::{sync::Arc, time::Duration};
use tenantry_api::registry::{
    LookupRouteRequest, LookupRouteResponse, Route, WatchRoutesRequest, WatchRoutesResponse, lookup_route_request::By,
    route_service_server::RouteService,
};
use tenantry_kernel::{Ctx, Error, Resolve};
use tenantry_server::{context, status, unary};
use tenantry_tenancy::route_to_proto;
use tokio::sync::{broadcast::error::RecvError, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, codegen::BoxStream};

const HEARTBEAT: Duration = Duration::from_secs(5);
/// Messages a watcher may leave unread before we wait for it.
const BUFFER: usize = 16;

/// See the module.
pub struct RouteRpc {
    routes: Arc<Routes>,
    stop: CancellationToken,
}

impl RouteRpc {
    /// Streams end when `stop` is cancelled, so that a draining process waits for nobody.
    #[must_use]
    pub fn new(routes: Arc<Routes>, stop: CancellationToken) -> Self {
        Self { routes, stop }
    }
}

type Sender = mpsc::Sender<Result<WatchRoutesResponse, Status>>;

#[tonic::async_trait]
impl RouteService for RouteRpc {
    async fn watch_routes(
        &self,
        request: Request<WatchRoutesRequest>,
    ) -> Result<Response<BoxStream<WatchRoutesResponse>>, Status> {
        let ctx = context(&request)?;
        let watch = self.routes.watch().map_err(|error| status(&ctx, error))?;
        let (sender, receiver) = mpsc::channel(BUFFER);
        let (routes, stop) = (Arc::clone(&self.routes), self.stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                // A watcher that has gone away ends it.
                _gone = push(watch, &routes, &sender) => {}
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn lookup_route(
        &self,
        request: Request<LookupRouteRequest>,
    ) -> Result<Response<LookupRouteResponse>, Status> {
        unary(request, async |_: Ctx, message: LookupRouteRequest| {
            let route = match message.by {
                Some(By::TenantId(id)) => {
                    let id = id
                        .parse()
                        .map_err(|_| Error::invalid_field("tenant_id", "must be a UUID"))?;
                    self.routes.by_id(id).await?
                }
                Some(By::Slug(slug)) => self.routes.by_slug(&slug).await?,
                Some(By::Domain(domain)) => self.routes.by_domain(&domain).await?,
                None => {
                    return Err(Error::invalid_field(
                        "by",
                        "one of tenant_id, slug and domain is required",
                    ));
                }
            };
            Ok(LookupRouteResponse {
                route: Some(route_to_proto(&route)),
            })
        })
        .await
    }
}

/// Snapshot, then changes, then heartbeats while nothing changes. Ends with the watcher or where it is too slow.
async fn push(
    watch: Watch,
    routes: &Routes,
    sender: &Sender,
) -> Result<(), mpsc::error::SendError<Result<WatchRoutesResponse, Status>>> {
    let Watch { snapshot, mut changes } = watch;
    for page in snapshot.chunks(PAGE) {
        let routes = page.iter().map(|route| route_to_proto(route)).collect();
        sender
            .send(Ok(WatchRoutesResponse {
                routes,
                snapshot_complete: false,
            }))
            .await?;
    }
    drop(snapshot);
    sender
        .send(Ok(WatchRoutesResponse {
            routes: Vec::new(),
            snapshot_complete: true,
        }))
        .await?;
    let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    loop {
        let message = tokio::select! {
            change = changes.recv() => match change {
                Ok(batch) => batch.iter().map(changed).collect(),
                Err(RecvError::Closed) => return Ok(()),
                Err(RecvError::Lagged(_)) => {
                    let slow = Status::unavailable("The watcher fell behind. Watch again: it starts with a snapshot.");
                    return sender.send(Err(slow)).await;
                }
            },
            _ = beat.tick() => {
                // A heartbeat says "you know everything"; while the table cannot be read nobody can say that.
                if !routes.is_fresh() {
                    continue;
                }
                Vec::new()
            }
            () = sender.closed() => return Ok(()),
        };
        beat.reset();
        sender
            .send(Ok(WatchRoutesResponse {
                routes: message,
                snapshot_complete: false,
            }))
            .await?;
    }
}

fn changed(change: &Change) -> Route {
    match change {
        Change::Put(route) => route_to_proto(route),
        Change::Removed { tenant, epoch } => Route {
            tenant_id: tenant.to_string(),
            epoch: *epoch,
            removed: true,
            ..Route::default()
        },
    }
}
