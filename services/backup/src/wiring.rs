//! The composition root: the only file that sees every concrete type.

use crate::{
    Config, MIGRATOR,
    app::{Parts, fleet::Fleet, operations::Operations, policies::Policies, snapshots::Snapshots},
    archive::{Archive, S3},
    jobs::{janitor, scheduler::Scheduler, worker::Worker},
    metrics::Metrics,
    peers::Clients,
    rpc::{fleet::FleetRpc, operation::OperationRpc, snapshot::SnapshotRpc},
    store::{SCHEMA, Store},
};
use anyhow::Context;
use std::{sync::Arc, time::Duration};
use tenantry_api::backup::{
    backup_fleet_service_server::BackupFleetServiceServer, operation_service_server::OperationServiceServer,
    snapshot_service_server::SnapshotServiceServer,
};
use tenantry_config::Secret;
use tenantry_crypto::{SigningKey, VerifyingKeys};
use tenantry_db::{PoolSettings, SystemDb, TenantDb};
use tenantry_kernel::{Clock, Resolve, SystemClock, SystemIds};
use tenantry_server::{Faults, Peers, Readiness, Server, Shutdown, channel};
use tenantry_tenancy::{TenantRouter, TokenSource};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections of the system pool: claims, schedule, retention.
const SYSTEM_CONNECTIONS: u32 = 4;

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
/// Where the database does not fit this version or breaks the rules of isolation, the store or the signing key cannot
/// be used, or a port is taken.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    serve(config, &Shutdown::install(config.listen.shutdown_delay())).await
}

/// Serves until `shutdown`.
///
/// # Errors
/// As [`run`].
pub async fn serve(config: &Config, shutdown: &Shutdown) -> anyhow::Result<()> {
    let store = Store::new(
        TenantDb::connect(
            PoolSettings::new(config.db.url.expose(), config.db.pool_size),
            config.db.shards as usize,
        )?,
        SystemDb::connect(PoolSettings::new(config.db.system_url.expose(), SYSTEM_CONNECTIONS))?,
    );
    let Some(checked) = shutdown.asked().run_until_cancelled(check(config, &store)).await else {
        return Ok(());
    };
    checked?;
    let (readiness, stop) = (Readiness::until(shutdown), shutdown.token());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let peers = Peers::connect(&config.auth.endpoint, &config.identity, Arc::clone(&clock))?;
    let router = TenantRouter::new(channel(&config.registry.endpoint)?, registry_tokens(&peers));
    let parts = parts(config, store.clone(), &peers, router.clone(), clock)?;

    peers.watch_revocations(readiness.latch("revocations"), stop.clone());
    let (routes, loaded) = (readiness.latch("routes"), CancellationToken::new());
    let known = loaded.clone();
    router.watch(stop.clone(), move || {
        routes.release();
        known.cancel();
    });
    let work = TaskTracker::new();
    work.spawn(Worker::new(parts.clone()).run(stop.clone()));
    work.spawn(Scheduler::new(parts.clone(), router.clone()).run(loaded, stop.clone()));
    let grace = Duration::from_secs(config.retention.gone_grace_seconds.into());
    work.spawn(janitor::run(parts.clone(), grace, stop.clone()));
    work.close();

    let snapshots = Snapshots::new(parts.clone());
    let served = Server::new(SCHEMA, &config.listen)
        .authenticator(peers.authenticator(SCHEMA))
        .resolver(router)
        .revocations(peers.revocations())
        .readiness(readiness)
        .faults(parts.faults.clone())
        .add_service(SnapshotServiceServer::new(SnapshotRpc::new(
            snapshots.clone(),
            Policies::new(parts.clone()),
        )))
        .add_service(OperationServiceServer::new(OperationRpc::new(
            Operations::new(parts.clone()),
            snapshots,
        )))
        .add_service(BackupFleetServiceServer::new(FleetRpc(Fleet::new(parts))))
        .serve(shutdown)
        .await;
    stop.cancel();
    work.wait().await;
    store.close().await;
    Ok(served?)
}

fn parts(
    config: &Config,
    store: Store,
    peers: &Peers,
    resolver: Arc<dyn Resolve>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Parts> {
    let signing = SigningKey::from_file(&config.signing.key_file).context("signing.key_file")?;
    let mut trusted = vec![signing.public()];
    trusted.extend(config.signing.trusted.iter().cloned());
    let clients = Clients::new(
        peers.clone(),
        channel(&config.business.endpoint)?,
        channel(&config.registry.endpoint)?,
        channel(&config.auth.endpoint)?,
        config.identity.clone(),
    );
    Ok(Parts {
        store,
        archive: archive(config)?,
        keys: peers.keys(),
        trusted: Arc::new(VerifyingKeys::new(trusted.iter().map(String::as_str)).context("signing.trusted")?),
        signing: Arc::new(signing),
        clients,
        resolver,
        clock,
        ids: Arc::new(SystemIds),
        faults: Faults::new(config.dev),
        metrics: Metrics::default(),
        work: Arc::new(Notify::new()),
        sweep: Arc::new(Notify::new()),
    })
}

fn archive(config: &Config) -> anyhow::Result<Archive> {
    // The client of the object store takes the process's TLS. A second start in one process (tests) finds it installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let text = |secret: &Option<Secret>| {
        secret
            .as_ref()
            .map_or_else(String::new, |secret| secret.expose().to_owned())
    };
    let s3 = S3 {
        endpoint: config.store.endpoint.clone(),
        region: config.store.region.clone(),
        access_key_id: text(&config.store.access_key_id),
        secret_access_key: text(&config.store.secret_access_key),
    };
    Archive::open(&config.store.url, &s3).context("store.url")
}

/// The database has this version's schema and keeps the rules that isolation rests on.
async fn check(config: &Config, store: &Store) -> anyhow::Result<()> {
    let url = config.db.system_url.expose();
    tenantry_db::wait_until_current(url, SCHEMA, &MIGRATOR).await?;
    let mut tx = store.begin_system("lint").await?;
    tenantry_db::ensure_clean(&mut tx, &[SCHEMA]).await?;
    Ok(tx.commit().await?)
}

fn registry_tokens(peers: &Peers) -> TokenSource {
    let peers = peers.clone();
    Arc::new(move || {
        let peers = peers.clone();
        Box::pin(async move { peers.service_token("registry", None).await })
    })
}
