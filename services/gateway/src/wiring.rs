//! The composition root: one straight line from configuration to a served port. The only file that sees every concrete
//! type.

use crate::{
    Config,
    app::{credentials::Credentials, gate::Gate, limits::Limiters, quotas::Quotas},
    clients::{self, Auth, Tokens, Upstreams},
    config::Upstream,
    domain::{openapi, table::Table},
    edge::{Edge, grpc, listener, pages},
};
use std::{collections::BTreeMap, sync::Arc};
use tenantry_api::Methods;
use tenantry_kernel::{Clock, Error, Ids, Resolve, SystemClock, SystemIds, probe};
use tenantry_messaging::{Bus, Topology};
use tenantry_metering::{Meter, Reporter};
use tenantry_server::{Faults, Peers, Readiness, Shutdown, channel, serve_admin};
use tenantry_telemetry::RequestMetrics;
use tenantry_tenancy::{TenantRouter, TokenSource};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// What [`edge`] needs of the world outside.
pub struct World {
    /// Names to tenants.
    pub resolver: Arc<dyn Resolve>,
    /// Credentials to tokens.
    pub tokens: Arc<dyn Tokens>,
    /// Connections to the services.
    pub upstreams: Upstreams,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Request ids.
    pub ids: Arc<dyn Ids>,
    /// What each tenant uses.
    pub meter: Arc<Meter>,
    /// Who is over a quota.
    pub quotas: Arc<Quotas>,
}

/// The edge over a world.
///
/// # Errors
/// INTERNAL for descriptors that do not decode.
pub async fn edge(config: &Config, world: World) -> Result<Edge, Error> {
    let own = own_descriptors(config)?;
    let methods = own
        .iter()
        .try_fold(Methods::load(), |methods, encoded| methods.with_descriptors(encoded));
    let methods = methods.map_err(Error::internal)?;
    let table = Table::load(&methods, &pages::specs());
    let open_api = serde_json::to_vec(&openapi::document(&methods, &table)).map_err(Error::internal)?;
    Ok(Edge {
        gate: Gate {
            hosts: config.host_rules(),
            resolver: world.resolver,
            credentials: Arc::new(Credentials::new(world.tokens, Arc::clone(&world.clock))),
            limiters: Limiters::new(config.limit_settings()),
            quotas: world.quotas,
            upstreams: world.upstreams,
        },
        builtin: grpc::builtin(&methods, &own).await?,
        methods,
        table,
        open_api: open_api.into(),
        ids: world.ids,
        clock: world.clock,
        metrics: RequestMetrics::new(),
        meter: world.meter,
        trusted_proxies: config.trusted_proxies.clone(),
        in_flight: Semaphore::new(config.limits.in_flight),
    })
}

/// Serves until the process is asked to stop.
///
/// # Errors
/// INTERNAL where a port is taken.
pub async fn run(config: &Config) -> Result<(), Error> {
    // Ports first: a second gateway must fail before it does anything.
    let address = config.listen.public;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Error::internal(format!("public port {address}: {error}")))?;
    let shutdown = Shutdown::install(config.listen.shutdown_delay());
    let (readiness, stop) = (Readiness::until(&shutdown), shutdown.token());
    serve_admin(
        config.listen.admin,
        readiness.clone(),
        Faults::new(config.dev),
        Default::default(),
    )
    .await?;

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let peers = Peers::connect(&config.auth.endpoint, &config.identity, clock.clone())?;
    peers.watch_revocations(readiness.latch("revocations"), stop.clone());

    let upstreams = Upstreams {
        auth: channel(&config.auth.endpoint)?,
        registry: channel(&config.registry.endpoint)?,
        business: channel(&config.business.endpoint)?,
        backup: channel(&config.backup.endpoint)?,
        monitoring: channel(&config.monitoring.endpoint)?,
        own: own_upstreams(config)?,
    };
    let issuer = peers.clone();
    let token: TokenSource = Arc::new(move || {
        let issuer = issuer.clone();
        Box::pin(async move { issuer.service_token("registry", None).await })
    });
    let router = TenantRouter::new(upstreams.registry.clone(), token);
    let routes = readiness.latch("routes");
    router.watch(stop.clone(), move || routes.release());

    let meter = Arc::new(Meter::new(Arc::clone(&clock)));
    let quotas = Arc::new(Quotas::new(Arc::clone(&clock)));
    let tokens = Arc::new(Auth(peers.clone()));
    let edge = Arc::new(
        edge(
            config,
            World {
                resolver: router,
                tokens,
                upstreams: upstreams.clone(),
                clock: Arc::clone(&clock),
                ids: Arc::new(SystemIds),
                meter: Arc::clone(&meter),
                quotas: Arc::clone(&quotas),
            },
        )
        .await?,
    );
    in_flight(&edge, config.limits.in_flight);
    edge.gate.credentials.follow(&peers.revocations(), stop.clone());
    tracing::info!(service = "gateway", %address, admin = %config.listen.admin, "serving");
    let following = clients::quotas::follow(quotas, upstreams.monitoring, peers, stop.clone());
    let following = tokio::spawn(following);
    let bus = Bus::connect(config.amqp.url.expose(), "gateway", Topology::publisher("gateway"))?;
    // Reports end after the last request: what it used is still counted.
    let counted = CancellationToken::new();
    let reporter = Reporter::new("gateway", meter, &bus, Arc::new(SystemIds));
    let reporting = tokio::spawn(reporter.run(config.metering.interval(), counted.clone()));
    listener::serve(listener, edge, config.limits.connections, shutdown).await;
    counted.cancel();
    // A task that panicked has said so itself.
    let _ended = tokio::join!(reporting, following);
    bus.close().await;
    Ok(())
}

/// How full the house is.
fn in_flight(edge: &Arc<Edge>, max: usize) {
    let seen = Arc::downgrade(edge);
    probe::gauge("tenantry_in_flight", "Requests in work", &[], move || {
        let edge = seen.upgrade()?;
        Some(max.saturating_sub(edge.in_flight.available_permits()) as f64)
    });
    let help = "Requests in work before more are refused";
    probe::gauge("tenantry_in_flight_max", help, &[], move || Some(max as f64));
}

/// Descriptor sets of the installation's own services.
fn own_descriptors(config: &Config) -> Result<Vec<Vec<u8>>, Error> {
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path).map_err(|error| Error::internal(format!("{}: {error}", path.display())))
    };
    config
        .upstreams
        .values()
        .map(|upstream| read(&upstream.descriptors))
        .collect()
}

/// Connections to them. Names live as long as the process: they are the few of the configuration, given once.
fn own_upstreams(config: &Config) -> Result<Arc<BTreeMap<&'static str, Channel>>, Error> {
    let one = |(name, upstream): (&String, &Upstream)| Ok((&*name.clone().leak(), channel(&upstream.endpoint)?));
    config
        .upstreams
        .iter()
        .map(one)
        .collect::<Result<_, Error>>()
        .map(Arc::new)
}
