//! The composition root: the only file that sees every concrete type.

use crate::{
    MIGRATOR,
    app::{
        BrandingApp, DomainApp, OperationApp, Outbox, Pager, PlanApp, Routes, SagaSettings, Sagas, TenantApp,
        TenantSettings,
    },
    config::Config,
    jobs,
    rpc::{BrandingRpc, CloneRpc, DomainRpc, Links, OperationRpc, PlanRpc, RouteRpc, TenantRpc},
    store::{SCHEMA, Store},
};
use anyhow::Context;
use std::sync::Arc;
use tenantry_api::registry::{
    branding_service_server::BrandingServiceServer, clone_service_server::CloneServiceServer,
    domain_service_server::DomainServiceServer, operation_service_server::OperationServiceServer,
    plan_service_server::PlanServiceServer, route_service_server::RouteServiceServer,
    tenant_service_server::TenantServiceServer,
};
use tenantry_config::Db;
use tenantry_db::{PoolSettings, SystemDb, TenantDb};
use tenantry_kernel::{Clock, Ids, SystemClock, SystemIds};
use tenantry_messaging::{Bus, Relay, Topology};
use tenantry_server::{Faults, Peers, Readiness, Server, Shutdown};

/// Brings the platform database up to this version: the context check first, then our own schema.
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
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let faults = Faults::new(config.dev);
    let readiness = Readiness::until(shutdown);
    let stop = shutdown.token();
    let bus = Bus::connect(
        config.amqp.url.expose(),
        "registry",
        Topology::service("registry").with_replies(),
    )?;
    let peers = Peers::connect(&config.auth.endpoint, &config.identity, Arc::clone(&clock))?;
    let relay = Relay::new(Outbox::new(store.clone()), bus.publisher());

    let routes = Arc::new(Routes::new(store.clone()));
    let settings = SagaSettings {
        commands_exchange: bus.topology().commands_exchange(),
    };
    let sagas = Arc::new(Sagas::new(
        store.clone(),
        Arc::clone(&routes),
        peers.keys(),
        faults.clone(),
        Arc::clone(&clock),
        Arc::clone(&ids),
        settings,
        relay.nudge(),
    ));
    let pager = Pager::new(peers.keys(), Arc::clone(&clock));
    let settings = TenantSettings {
        retention: chrono::Duration::days(i64::from(config.tenants.retention_days)),
        cell: config.tenants.cell.clone(),
        default_plan: config.tenants.default_plan.clone(),
    };
    let tenants = TenantApp::new(
        store.clone(),
        Arc::clone(&sagas),
        pager.clone(),
        Arc::clone(&clock),
        ids,
        settings,
    );
    let plans = PlanApp::new(store.clone(), pager.clone(), Arc::clone(&sagas));
    let domains = DomainApp::new(store.clone(), pager.clone(), Arc::clone(&sagas), Arc::clone(&clock));
    let branding = BrandingApp::new(store.clone(), pager.clone(), Arc::clone(&sagas), clock);
    let operations = OperationApp::new(store, pager, peers.keys());
    let links = Links {
        base_uri_template: config.public.base_uri_template.clone(),
    };

    peers.watch_revocations(readiness.latch("revocations"), stop.clone());
    let work = tokio_util::task::TaskTracker::new();
    work.spawn(jobs::routes::run(
        Arc::clone(&routes),
        readiness.latch("routes"),
        stop.clone(),
    ));
    work.spawn(jobs::driver::run(Arc::clone(&sagas), stop.clone()));
    work.spawn(jobs::replies::run(bus.clone(), sagas, stop.clone()));
    work.spawn(jobs::janitor::run(tenants.clone(), stop.clone()));
    work.spawn(relay.run(stop.clone()));
    work.close();

    let served = Server::new("registry", &config.listen)
        .authenticator(peers.authenticator("registry"))
        .resolver(Arc::clone(&routes) as _)
        .revocations(peers.revocations())
        .readiness(readiness)
        .faults(faults)
        .add_service(CloneServiceServer::new(CloneRpc::new(
            tenants.clone(),
            operations.clone(),
            links.clone(),
        )))
        .add_service(TenantServiceServer::new(TenantRpc::new(tenants, links.clone())))
        .add_service(PlanServiceServer::new(PlanRpc::new(plans)))
        .add_service(DomainServiceServer::new(DomainRpc::new(domains)))
        .add_service(BrandingServiceServer::new(BrandingRpc::new(branding)))
        .add_service(OperationServiceServer::new(OperationRpc::new(operations, links)))
        .add_service(RouteServiceServer::new(RouteRpc::new(routes, stop.clone())))
        .serve(shutdown)
        .await;
    stop.cancel();
    work.wait().await;
    bus.close().await;
    Ok(served?)
}

/// Both logins. The system login does the routes, the sagas, the relay and every operator request.
fn store(db: &Db) -> anyhow::Result<Store> {
    let system = SystemDb::connect(PoolSettings::new(db.system_url.expose(), db.pool_size))?;
    let tenant = TenantDb::connect(PoolSettings::new(db.url.expose(), db.pool_size), db.shards as usize)?;
    Ok(Store::new(system, tenant))
}

/// The database has this version's schema and keeps the rules that isolation rests on.
async fn check(config: &Config, store: &Store) -> anyhow::Result<()> {
    tenantry_db::wait_until_current(config.db.system_url.expose(), SCHEMA, &MIGRATOR).await?;
    let mut tx = store.begin_job("lint").await?;
    tenantry_db::ensure_clean(&mut tx, &[SCHEMA]).await?;
    Ok(tx.commit().await?)
}
