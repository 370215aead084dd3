//! The composition root: the only file that sees every concrete type.

use crate::{
    MIGRATOR,
    app::{
        Contexts, Nudges, Parts,
        exports::Exports,
        imports::Imports,
        object_types::ObjectTypes,
        operations::Operations,
        provisioning::{Provisioning, ReplyTo},
        records::Records,
        restores::Restores,
        watch::Watch,
    },
    config::Config,
    jobs::{self, import_worker::Worker, saga::Saga},
    rpc::{
        self, data::DataRpc, import::ImportRpc, object_type::ObjectTypeRpc, operation::OperationRpc, record::RecordRpc,
    },
    store::{Bulk, SCHEMA, Store, cached::Cached},
};
use anyhow::Context;
use std::sync::Arc;
use tenantry_api::business::{
    data_service_server::DataServiceServer, import_service_server::ImportServiceServer,
    object_type_service_server::ObjectTypeServiceServer, operation_service_server::OperationServiceServer,
    record_service_server::RecordServiceServer,
};
use tenantry_cache::Cache;
use tenantry_config::Db;
use tenantry_db::{DdlDb, PoolSettings, RowMeter, SystemDb, TenantDb};
use tenantry_kernel::{BoxFuture, Clock, DbContext, Resolve, SystemClock, SystemIds, TenantId};
use tenantry_messaging::{Bus, Relay, Topology};
use tenantry_metering::{Meter, Reporter};
use tenantry_server::{Faults, Peers, Readiness, Server, Shutdown};
use tenantry_tenancy::{TenantRouter, TokenSource};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections of the system pool: claims, relay, janitor.
const SYSTEM_CONNECTIONS: u32 = 4;
/// Exports at once.
const EXPORTS: u32 = 4;
/// Sagas in work at once; each holds one of two DDL connections.
const SAGAS: u16 = 4;

/// Brings the data database up to this version: the context check first, then our own schema.
///
/// # Errors
/// Without `data.ddl_url`, or where a migration fails.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let url = config
        .data
        .ddl_url
        .as_ref()
        .context("configuration: data.ddl_url is needed to migrate")?;
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
/// Where the database does not fit this version or breaks the rules of isolation, or a port is taken.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    serve(config, &Shutdown::install(config.listen.shutdown_delay())).await
}

/// Serves until `shutdown`.
///
/// # Errors
/// As [`run`].
pub async fn serve(config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let meter = Arc::new(Meter::new(Arc::clone(&clock)));
    let store = store(&config.data, &meter)?;
    let Some(checked) = shutdown.asked().run_until_cancelled(check(config, &store)).await else {
        return Ok(());
    };
    checked?;

    let (faults, readiness, stop) = (Faults::new(config.dev), Readiness::until(shutdown), shutdown.token());
    let peers = Peers::connect(&config.auth.endpoint, &config.identity, Arc::clone(&clock))?;
    let router = TenantRouter::new(
        tenantry_server::channel(&config.registry.endpoint)?,
        registry_tokens(&peers),
    );
    let resolver: Arc<dyn Resolve> = router.clone();
    let contexts: Arc<dyn Contexts> = Arc::new(PeerContexts(peers.clone()));
    let bus = Bus::connect(config.amqp.url.expose(), "business", Topology::service("business"))?;
    let relay = Relay::new(jobs::relay::Outbox(store.clone()), bus.publisher());
    let (counted, ids) = (CancellationToken::new(), Arc::new(SystemIds));
    let reporter = Reporter::new("business", meter, &bus, ids);
    let reporting = tokio::spawn(reporter.run(config.metering.interval(), counted.clone()));

    let parts = Parts {
        store: store.clone(),
        cached: Cached::new(Cache::connect(
            Some(config.redis.url.expose()),
            "business",
            peers.keys(),
        )),
        keys: peers.keys(),
        clock,
        ids: Arc::new(SystemIds),
        nudges: Nudges::default(),
    };
    let types = ObjectTypes::new(parts.clone());
    let records = Records::new(parts.clone(), types.clone());
    let watch = Watch::new(
        parts.clone(),
        Arc::clone(&contexts),
        Arc::clone(&resolver),
        stop.clone(),
    );
    let wake = Arc::new(Notify::new());
    let imports = Imports::new(parts.clone(), types.clone(), Arc::clone(&wake));
    let operations = Operations::new(parts.clone());
    let reply_to = ReplyTo {
        exchange: bus.topology().replies_exchange(),
        kind: jobs::saga::REPLY,
    };
    let saga = Arc::new(Saga::new(
        Provisioning::new(parts.clone(), reply_to),
        faults.clone(),
        relay.nudge(),
    ));
    let data = DataRpc::new(
        Exports::new(parts.clone(), Arc::clone(&contexts)),
        Restores::new(parts.clone(), Arc::clone(&resolver), faults.clone()),
    );
    let data = DataServiceServer::new(data).max_decoding_message_size(rpc::data::MAX_MESSAGE);
    let worker = Worker::new(parts, contexts, Arc::clone(&resolver), faults.clone(), wake);

    peers.watch_revocations(readiness.latch("revocations"), stop.clone());
    let routes = readiness.latch("routes");
    router.watch(stop.clone(), move || routes.release());
    let work = TaskTracker::new();
    work.spawn(jobs::janitor::run(store.clone(), stop.clone()));
    work.spawn(relay.run(stop.clone()));
    work.spawn(worker.run(stop.clone()));
    let consumer = bus
        .consumer(bus.topology().commands_queue(), SAGAS)
        .allow(&["registry"]);
    work.spawn(consumer.run(stop.clone(), move |delivery| {
        let saga = Arc::clone(&saga);
        async move { saga.handle(delivery).await }
    }));
    work.close();

    let served = Server::new("business", &config.listen)
        .authenticator(peers.authenticator("business"))
        .resolver(resolver)
        .revocations(peers.revocations())
        .readiness(readiness)
        .faults(faults)
        .add_service(ObjectTypeServiceServer::new(ObjectTypeRpc::new(types)))
        .add_service(RecordServiceServer::new(RecordRpc::new(
            records,
            watch,
            peers.revocations(),
        )))
        .add_service(ImportServiceServer::new(ImportRpc::new(imports)))
        .add_service(OperationServiceServer::new(OperationRpc::new(operations)))
        .add_service(data)
        .serve(shutdown)
        .await;
    stop.cancel();
    work.wait().await;
    // Reports end after the last statement: what it returned is still counted.
    counted.cancel();
    // A task that panicked has said so itself.
    let _ended = reporting.await;
    bus.close().await;
    store.close().await;
    Ok(served?)
}

/// The database has this version's schema and keeps the rules that isolation rests on.
async fn check(config: &Config, store: &Store) -> anyhow::Result<()> {
    let url = config.data.system_url.expose();
    tenantry_db::wait_until_current(url, SCHEMA, &MIGRATOR).await?;
    let mut tx = store.begin_system("lint").await?;
    tenantry_db::ensure_clean(&mut tx, &[SCHEMA, "t\\_%"]).await?;
    Ok(tx.commit().await?)
}

/// The three logins.
fn store(db: &Db, meter: &Arc<Meter>) -> anyhow::Result<Store> {
    let meter = Arc::clone(meter);
    let rows: RowMeter = Arc::new(move |tenant, rows| meter.rows(tenant, rows));
    let ddl = db.ddl_url.as_ref().context("configuration: data.ddl_url is needed")?;
    Ok(Store::new(
        TenantDb::connect(PoolSettings::new(db.url.expose(), db.pool_size), db.shards as usize)?
            .metered(Arc::clone(&rows)),
        SystemDb::connect(PoolSettings::new(db.system_url.expose(), SYSTEM_CONNECTIONS))?,
        DdlDb::connect(PoolSettings::new(ddl.expose(), 2))?,
        Bulk {
            exports: TenantDb::connect(PoolSettings::new(db.url.expose(), EXPORTS), 1)?.metered(rows),
            restores: DdlDb::connect(PoolSettings::new(ddl.expose(), 2))?,
        },
    ))
}

fn registry_tokens(peers: &Peers) -> TokenSource {
    let peers = peers.clone();
    Arc::new(move || {
        let peers = peers.clone();
        Box::pin(async move { peers.service_token("registry", None).await })
    })
}

/// Database contexts from auth.
struct PeerContexts(Peers);

impl Contexts for PeerContexts {
    fn database_context(
        &self,
        tenant: TenantId,
        purpose: &'static str,
    ) -> BoxFuture<'_, tenantry_kernel::Result<DbContext>> {
        Box::pin(self.0.database_context(tenant, purpose))
    }
}
