//! The composition root: the only file that sees every concrete type.

use crate::{
    Config, MIGRATOR,
    app::{
        Routes, alerts::AlertInbox, events::EventLog, fleet::FleetApp, ingest::Ingest, paging::Pager, quotas::Quotas,
        series::Series, usage::UsageApp,
    },
    jobs,
    rpc::{fleet::FleetRpc, quotas::QuotaRpc, usage::UsageRpc},
    store::{SCHEMA, Store},
};
use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;
use tenantry_api::monitoring::{
    fleet_service_server::FleetServiceServer, quota_service_server::QuotaServiceServer,
    usage_service_server::UsageServiceServer,
};
use tenantry_config::Db;
use tenantry_db::{PoolSettings, SystemDb, TenantDb};
use tenantry_kernel::{BoxFuture, Clock, Error, Kind, Reason, Resolve, Result, SystemClock, TenantId, TenantRoute};
use tenantry_messaging::{Bus, Topology};
use tenantry_server::{Faults, Hook, Peers, Readiness, Server, Shutdown};
use tenantry_tenancy::{TenantRouter, TokenSource};
use tokio::sync::oneshot;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Where Alertmanager's webhook points to, on the admin port.
const ALERTS: &str = "/alerts";

/// Brings the platform database up to this version.
///
/// # Errors
/// Without `db.ddl_url`, or where a migration fails.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let url = config
        .db
        .ddl_url
        .as_ref()
        .context("configuration: db.ddl_url is needed to migrate")?;
    for (schema, migrator) in [("tenancy", tenantry_db::tenancy_migrator()), (SCHEMA, &MIGRATOR)] {
        let report = tenantry_db::migrate(url.expose(), schema, migrator)
            .await
            .with_context(|| format!("schema {schema}"))?;
        tracing::info!(schema, applied = ?report.applied, total = report.total, "migrated");
    }
    Ok(())
}

/// Serves until SIGTERM.
///
/// # Errors
/// Where the database does not fit this version or a port is taken.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    serve(config, &Shutdown::install(config.listen.shutdown_delay())).await
}

/// Serves until `shutdown`.
///
/// # Errors
/// As [`run`].
pub async fn serve(config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let store = store(&config.db)?;
    let Some(checked) = shutdown.asked().run_until_cancelled(check(config, &store)).await else {
        return Ok(());
    };
    checked?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (readiness, stop) = (Readiness::until(shutdown), shutdown.token());
    let peers = Peers::connect(&config.auth.endpoint, &config.identity, Arc::clone(&clock))?;
    let router = TenantRouter::new(
        tenantry_server::channel(&config.registry.endpoint)?,
        registry_tokens(&peers),
    );
    let bus = Bus::connect(
        config.amqp.url.expose(),
        SCHEMA,
        Topology::service(SCHEMA).with_meters().with_events(),
    )?;
    let routes: Arc<dyn Routes> = Arc::new(Known(Arc::clone(&router)));
    let ingest = Ingest::new(
        store.clone(),
        Arc::clone(&routes),
        Series::register(),
        Arc::clone(&clock),
    );
    let quotas = Arc::new(Quotas::new(store.clone(), Arc::clone(&routes), Arc::clone(&clock)));
    let pager = Pager::new(peers.keys(), Arc::clone(&clock));
    let fleet = FleetApp::new(store.clone(), routes, pager, Arc::clone(&clock));
    let usage = UsageApp::new(store.clone(), Arc::clone(&clock));
    let token = config.alerts.token.as_ref().map(tenantry_config::Secret::expose);
    let alerts = AlertInbox::new(store.clone(), token, config.dev);

    peers.watch_revocations(readiness.latch("revocations"), stop.clone());
    let latch = readiness.latch("routes");
    let (loaded, routes_loaded) = oneshot::channel();
    router.watch(stop.clone(), move || {
        latch.release();
        // Nobody waits any more where the process is stopping.
        let _ = loaded.send(());
    });
    let work = TaskTracker::new();
    work.spawn(after_routes(
        routes_loaded,
        bus.clone(),
        ingest,
        Arc::clone(&quotas),
        stop.clone(),
    ));
    let log = EventLog::new(store.clone());
    work.spawn(jobs::events::run(bus.clone(), log, Arc::clone(&clock), stop.clone()));
    let poller = jobs::health::Poller::new(
        config.health.targets.clone(),
        readiness.clone(),
        store.clone(),
        Arc::clone(&clock),
    );
    work.spawn(poller.run(stop.clone()));
    work.spawn(jobs::janitor::run(store.clone(), clock, stop.clone()));
    work.close();

    let resolver: Arc<dyn Resolve> = router;
    let served = Server::new(SCHEMA, &config.listen)
        .authenticator(peers.authenticator(SCHEMA))
        .resolver(resolver)
        .revocations(peers.revocations())
        .readiness(readiness)
        .faults(Faults::new(config.dev))
        .on_post(ALERTS, hook(alerts))
        .add_service(UsageServiceServer::new(UsageRpc::new(usage)))
        .add_service(FleetServiceServer::new(FleetRpc::new(fleet)))
        .add_service(QuotaServiceServer::new(QuotaRpc::new(quotas, stop.clone())))
        .serve(shutdown)
        .await;
    stop.cancel();
    work.wait().await;
    bus.close().await;
    store.close().await;
    Ok(served?)
}

/// Reports are added up, and quotas compared, when it is known which tenants there are.
async fn after_routes(
    loaded: oneshot::Receiver<()>,
    bus: Bus,
    ingest: Ingest,
    quotas: Arc<Quotas>,
    stop: CancellationToken,
) {
    tokio::select! {
        _ = loaded => {}
        () = stop.cancelled() => return,
    }
    tokio::join!(
        jobs::reports::run(bus, ingest, stop.clone()),
        jobs::quotas::run(quotas, stop)
    );
}

/// The database has this version's schema and keeps the rules that isolation rests on.
async fn check(config: &Config, store: &Store) -> anyhow::Result<()> {
    let url = config.db.system_url.expose();
    tenantry_db::wait_until_current(url, SCHEMA, &MIGRATOR).await?;
    let mut tx = store.begin_job("lint").await?;
    tenantry_db::ensure_clean(&mut tx, &[SCHEMA]).await?;
    Ok(tx.commit().await?)
}

fn store(db: &Db) -> anyhow::Result<Store> {
    Ok(Store::new(
        TenantDb::connect(PoolSettings::new(db.url.expose(), db.pool_size), db.shards as usize)?,
        SystemDb::connect(PoolSettings::new(db.system_url.expose(), db.pool_size))?,
    ))
}

/// The webhook: what came, as a status and a text.
fn hook(alerts: AlertInbox) -> Hook {
    Arc::new(move |headers: HeaderMap, body: Bytes| {
        let alerts = alerts.clone();
        Box::pin(async move {
            let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            match alerts.take(authorization, &body).await {
                Ok(count) => (StatusCode::OK, format!("{count} alerts\n")),
                Err(error) => (status(&error), format!("{}\n", error.public())),
            }
        })
    })
}

/// Alertmanager repeats what gets a 5xx and gives up what gets a 4xx.
fn status(error: &Error) -> StatusCode {
    match error.kind() {
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::InvalidArgument => StatusCode::BAD_REQUEST,
        _ => {
            tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(error), "alerts cannot be kept");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

fn registry_tokens(peers: &Peers) -> TokenSource {
    let peers = peers.clone();
    Arc::new(move || {
        let peers = peers.clone();
        Box::pin(async move { peers.service_token("registry", None).await })
    })
}

/// The pushed routes.
struct Known(Arc<TenantRouter>);

impl Routes for Known {
    fn known(&self, tenant: TenantId) -> Option<Arc<TenantRoute>> {
        self.0.known(tenant)
    }
    fn ask(&self, tenant: TenantId) -> BoxFuture<'_, Result<Option<Arc<TenantRoute>>>> {
        Box::pin(async move {
            match self.0.by_id(tenant).await {
                Ok(route) => Ok(Some(route)),
                Err(error) if matches!(error.reason(), Reason::TenantNotFound | Reason::NotFound) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }
}
