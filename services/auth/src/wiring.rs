//! The composition root: pools -> store -> app -> rpc -> jobs -> server. The only file that sees every concrete type.

use crate::{
    MIGRATOR,
    app::{
        Core, Urls,
        api_keys::ApiKeys,
        bootstrap,
        directory::Directory,
        exchange::Exchange,
        feed::{Feed, Reader},
        hasher::Hasher,
        keyring::Keyring,
        links::Links,
        login::Login,
        minter::Minter,
        refresh::Refresh,
        services::{Identities, Services},
        sessions::Sessions,
        users::Users,
    },
    config::Config,
    domain::Scopes,
    jobs,
    rpc::{ApiKeyRpc, DirectoryRpc, KeyRpc, LoginRpc, SessionRpc, TokenRpc, UserRpc, authenticate::Callers},
    store::{SCHEMA, Store},
};
use anyhow::Context;
use std::sync::Arc;
use tenantry_api::{
    Methods,
    auth::{
        api_key_service_server::ApiKeyServiceServer, directory_service_server::DirectoryServiceServer,
        key_service_server::KeyServiceServer, login_service_server::LoginServiceServer,
        session_service_server::SessionServiceServer, token_service_server::TokenServiceServer,
        user_service_server::UserServiceServer,
    },
};
use tenantry_config::Db;
use tenantry_crypto::RootKey;
use tenantry_db::{PoolSettings, SystemDb, TenantDb, tenancy_migrator};
use tenantry_kernel::{Clock, Ids, Role, SystemClock, SystemIds};
use tenantry_messaging::{Bus, Relay, Topology};
use tenantry_server::{Faults, Readiness, Revocations, Server, Shutdown};
use tenantry_tenancy::{TenantRouter, TokenSource};

/// Connections of the system login: feed, relay, janitor, keys.
const SYSTEM_CONNECTIONS: u32 = 4;

/// What `run`, `migrate` and tests share.
pub struct Parts {
    /// Tables.
    pub store: Store,
    /// Commands.
    pub core: Arc<Core>,
    /// Passwords.
    pub hasher: Arc<Hasher>,
    /// The root key.
    pub root: RootKey,
}

/// Pools, store and core. Nothing is connected yet.
///
/// # Errors
/// Where the root key cannot be read.
pub fn parts(config: &Config, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> anyhow::Result<Parts> {
    let root = RootKey::from_file(&config.keys.root_key_file)?;
    let tenant = TenantDb::connect(
        PoolSettings::new(config.db.url.expose(), config.db.pool_size),
        config.db.shards as usize,
    )?;
    let store = Store::new(tenant, system(&config.db)?);
    let minter = Minter::new(store.clone(), root.clone(), Arc::clone(&clock), Arc::clone(&ids));
    let minter = Arc::new(minter.with_services(config.services.secrets.keys()));
    let keyring = Keyring::new(store.clone(), root.clone(), Arc::clone(&minter), Arc::clone(&ids));
    let urls = Urls::new(
        &config.public.base_uri_template,
        config.public.audience_template.as_deref(),
    );
    let core = Arc::new(Core::new(
        store.clone(),
        minter,
        keyring,
        urls,
        config.sessions.clone(),
        clock,
        ids,
    ));
    let argon = &config.argon2;
    let hasher = Hasher::new(argon.cost(config.dev), argon.workers(), argon.queue)?;
    Ok(Parts {
        store,
        core,
        hasher,
        root,
    })
}

fn system(db: &Db) -> anyhow::Result<SystemDb> {
    Ok(SystemDb::connect(PoolSettings::new(
        db.system_url.expose(),
        SYSTEM_CONNECTIONS,
    ))?)
}

/// Migrations of both databases, then what every installation needs. Repeatable.
///
/// # Errors
/// The first step that fails.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let ddl = config.db.ddl_url.as_ref().context("migrate needs db.ddl_url")?;
    tenantry_db::migrate(ddl.expose(), "tenancy", tenancy_migrator())
        .await
        .context("schema tenancy of the platform database")?;
    if let Some(ddl) = config.data.as_ref().and_then(|data| data.ddl_url.as_ref()) {
        tenantry_db::migrate(ddl.expose(), "tenancy", tenancy_migrator())
            .await
            .context("schema tenancy of the data database")?;
    }
    let report = tenantry_db::migrate(ddl.expose(), SCHEMA, &MIGRATOR)
        .await
        .context("schema auth")?;
    tracing::info!(applied = ?report.applied, total = report.total, "schema auth is current");
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let parts = parts(config, Arc::new(SystemClock), Arc::clone(&ids))?;
    let mut databases = vec![system(&config.db)?];
    if let Some(data) = &config.data {
        databases.push(system(data)?);
    }
    bootstrap::keys(&parts.store, &parts.root, ids.as_ref(), &databases)
        .await
        .context("platform keys")?;
    parts.core.minter.load().await.context("platform keys")?;
    let first = &config.bootstrap;
    let login = match (&first.operator_email, &first.operator_password) {
        (Some(email), Some(password)) => Some((email.as_str(), zeroize::Zeroizing::new(password.expose().to_owned()))),
        _ => None,
    };
    bootstrap::operator(&parts.core, &parts.hasher, login)
        .await
        .context("platform tenant and operator")?;
    Ok(())
}

/// Serves until SIGTERM.
///
/// # Errors
/// A schema that does not fit, a port that is taken.
pub async fn run(config: &Config) -> anyhow::Result<()> {
    let shutdown = Shutdown::install(config.listen.shutdown_delay());
    let stop = shutdown.token();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let current = tenantry_db::wait_until_current(config.db.url.expose(), SCHEMA, &MIGRATOR);
    let Some(current) = shutdown.asked().run_until_cancelled(current).await else {
        return Ok(());
    };
    current?;
    let parts = parts(config, Arc::clone(&clock), Arc::clone(&ids))?;
    let Parts {
        store,
        core,
        hasher,
        root,
    } = parts;
    keep_the_rules(&store).await?;
    let (readiness, faults) = (Readiness::until(&shutdown), Faults::new(config.dev));

    let minter = Arc::clone(&core.minter);
    tokio::spawn(jobs::keys::run(
        store.clone(),
        Arc::clone(&minter),
        root,
        ids,
        readiness.latch("keys"),
        stop.clone(),
    ));
    let revocations = Arc::new(Revocations::default());
    let feed = Arc::new(Feed::new(Arc::clone(&revocations)));
    let latch = readiness.latch("revocations");
    tokio::spawn(jobs::revocations::run(
        Reader::new(store.clone()),
        Arc::clone(&feed),
        Arc::clone(&clock),
        latch,
        stop.clone(),
    ));
    tokio::spawn(jobs::janitor::run(store.clone(), stop.clone()));

    let topology = Topology::service("auth");
    let bus = Bus::connect(config.amqp.url.expose(), "auth", topology.clone())?;
    let relay = Relay::new(jobs::outbox::Outbox::new(store), bus.publisher());
    let saga = Arc::new(jobs::saga::Saga::new(
        Arc::clone(&core),
        faults.clone(),
        &topology,
        relay.nudge(),
    ));
    tokio::spawn(relay.run(stop.clone()));
    let consumer = bus.consumer(topology.commands_queue(), 8).allow(&["registry"]);
    tokio::spawn(consumer.run(stop.clone(), move |delivery| {
        let saga = Arc::clone(&saga);
        async move { saga.handle(delivery).await }
    }));

    let services = Services::new(Arc::clone(&core));
    let router = TenantRouter::new(
        tenantry_server::channel(&config.registry.endpoint)?,
        registry_token(services.clone()),
    );
    // Not a latch: the registry needs auth to answer first, and tokens for our own services need no route.
    router.watch(stop.clone(), || tracing::info!("routes are known"));

    let tokens = TokenRpc {
        exchange: Exchange::new(Arc::clone(&core)),
        services: services.clone(),
        minter,
        feed,
        stop,
    };
    let login = LoginRpc {
        login: Login::new(Arc::clone(&core), Arc::clone(&hasher)),
        refresh: Refresh::new(Arc::clone(&core)),
        links: Links::new(Arc::clone(&core), hasher),
    };
    let identities = Identities::new(&config.services.secrets);
    let server = Server::new("auth", &config.listen)
        .authenticator(Arc::new(Callers::new(identities, Arc::clone(&core.minter), clock)))
        .resolver(router)
        .revocations(revocations)
        .readiness(readiness)
        .faults(faults)
        .add_service(TokenServiceServer::new(tokens))
        .add_service(KeyServiceServer::new(KeyRpc(services)))
        .add_service(DirectoryServiceServer::new(DirectoryRpc(Directory::new(Arc::clone(
            &core,
        )))))
        .add_service(LoginServiceServer::new(login))
        .add_service(SessionServiceServer::new(SessionRpc(Sessions::new(Arc::clone(&core)))))
        .add_service(UserServiceServer::new(UserRpc(Users::new(Arc::clone(&core)))))
        .add_service(ApiKeyServiceServer::new(ApiKeyRpc(ApiKeys::new(
            core,
            Arc::new(scopes()),
        ))));
    server.serve(&shutdown).await?;
    bus.close().await;
    Ok(())
}

/// Nothing is served from a database in which isolation does not hold.
async fn keep_the_rules(store: &Store) -> anyhow::Result<()> {
    let mut tx = store.begin_system("lint").await?;
    tenantry_db::ensure_clean(&mut tx, &[SCHEMA]).await?;
    Ok(tx.commit().await?)
}

/// Auth makes its own token for the registry.
fn registry_token(services: Services) -> TokenSource {
    Arc::new(move || {
        let token = services
            .token_of("auth", "registry", None)
            .map(|(token, _)| Arc::from(token));
        Box::pin(async move { token })
    })
}

/// Every scope of every method of every service.
#[must_use]
pub fn scopes() -> Scopes {
    let role = |rank| match rank {
        ..=1 => Role::Viewer,
        2 => Role::Member,
        3 => Role::Admin,
        _ => Role::Owner,
    };
    let methods = Methods::load();
    Scopes::new(
        methods
            .iter()
            .map(|method| (method.scope.clone(), role(method.least_role))),
    )
}
