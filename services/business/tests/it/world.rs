//! A database of its own for each test, on the servers that `TENANTRY_WORLD` names.

#![expect(clippy::disallowed_methods, reason = "tests may use the real clock and random ids")]

use chrono::{TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::sync::{Arc, Mutex};
use tenantry_business::{
    MIGRATOR,
    app::{
        Contexts, Nudges, Parts,
        exports::Exports,
        imports::Imports,
        object_types::ObjectTypes,
        operations::Operations,
        provisioning::{Command, Provisioning, ReplyTo},
        records::Records,
        restores::Restores,
        watch::{Revoked, Watch},
    },
    domain::{Field, FieldType, object_type::Definition},
    jobs::import_worker::Worker,
    store::{Bulk, Store, cached::Cached},
};
use tenantry_cache::Cache;
use tenantry_crypto::{DataKey, Purpose, Sealer, TenantKeys, token::sha256};
use tenantry_db::{DdlDb, PoolSettings, SystemDb, TenantDb, context, migrate, tenancy_migrator};
use tenantry_kernel::{
    BoxFuture, Brand, Clock, Ctx, DbContext, Error, Limits, Placement, Principal, PrincipalKind, RequestId, Resolve,
    Result, Role, SessionId, SystemClock, SystemIds, TenantId, TenantRoute, TenantStatus, UserId,
};
use tenantry_server::Faults;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const HARDEN: &str = include_str!("../../../../deploy/dev/harden.sql");

pub(crate) struct World {
    servers: tenantry_testkit::World,
    database: String,
    pub(crate) parts: Parts,
    pub(crate) types: ObjectTypes,
    pub(crate) records: Records,
    pub(crate) operations: Operations,
    pub(crate) imports: Imports,
    pub(crate) worker: Worker,
    pub(crate) watch: Watch,
    pub(crate) provisioning: Provisioning,
    pub(crate) exports: Exports,
    pub(crate) restores: Restores,
    pub(crate) faults: Faults,
    pub(crate) stop: CancellationToken,
    routes: Arc<Routes>,
}

/// Keys made from the tenant's id.
struct Keys;

impl TenantKeys for Keys {
    fn sealer(&self, tenant: TenantId, purpose: Purpose, version: Option<u32>) -> BoxFuture<'_, Result<Arc<Sealer>>> {
        let sealer = match version {
            None | Some(1) => Ok(Arc::new(Sealer::new(
                DataKey::new(sha256(format!("{tenant}{}", purpose.as_str()).as_bytes())),
                1,
            ))),
            Some(_) => Err(Error::not_found()),
        };
        Box::pin(async move { sealer })
    }
}

/// Contexts minted with the test's key.
struct Minted;

impl Contexts for Minted {
    fn database_context(&self, tenant: TenantId, _purpose: &'static str) -> BoxFuture<'_, Result<DbContext>> {
        Box::pin(async move { Ok(token(tenant)) })
    }
}

/// Routes that a test can change.
#[derive(Default)]
pub(crate) struct Routes(Mutex<(Option<TenantStatus>, Option<u64>)>);

impl Resolve for Routes {
    fn by_id(&self, tenant: TenantId) -> BoxFuture<'_, Result<Arc<TenantRoute>>> {
        let (status, records) = *self.0.lock().expect("no panic while held");
        let mut found = route(tenant, records.unwrap_or(1_000_000));
        if let Some(status) = status {
            found.status = status;
        }
        Box::pin(async move { Ok(Arc::new(found)) })
    }
    fn by_slug<'a>(&'a self, _slug: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>> {
        Box::pin(async { Err(Error::not_found()) })
    }
    fn by_domain<'a>(&'a self, _domain: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>> {
        Box::pin(async { Err(Error::not_found()) })
    }
}

/// Nothing is revoked.
pub(crate) struct Never;

impl Revoked for Never {
    fn check(&mut self) -> Result<()> {
        Ok(())
    }
}

impl World {
    /// A hardened, migrated database with two provisioned tenants, 1 and 2.
    pub(crate) async fn new() -> Self {
        Self::with_cache(true).await
    }

    pub(crate) async fn with_cache(cache: bool) -> Self {
        let servers = tenantry_testkit::World::load();
        let database = format!("it_business_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect(&servers.db.superuser["postgres"])
            .await
            .expect("superuser");
        run(
            &mut admin,
            &format!("CREATE DATABASE {database} OWNER tenantry_owner TEMPLATE template0 ENCODING 'UTF8'"),
        )
        .await;
        let roles = servers.db.roles.keys().cloned().collect::<Vec<_>>().join(", ");
        run(
            &mut admin,
            &format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO {roles}"),
        )
        .await;
        let url = |role: &str| moved(&servers.db.roles[role]["tenantry"], &database);
        run(
            &mut PgConnection::connect(&moved(&servers.db.superuser["tenantry"], &database))
                .await
                .expect("superuser"),
            HARDEN,
        )
        .await;
        migrate(&url("tenantry_ddl"), "tenancy", tenancy_migrator())
            .await
            .expect("tenancy migrates");
        migrate(&url("tenantry_ddl"), "business", &MIGRATOR)
            .await
            .expect("business migrates");
        let key = KEY.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut auth = PgConnection::connect(&url("tenantry_auth_sys")).await.expect("auth");
        run(
            &mut auth,
            &format!("SELECT tenancy.install_context_key(1, '\\x{key}'::bytea)"),
        )
        .await;
        let store = Store::new(
            TenantDb::connect(PoolSettings::new(url("tenantry_business"), 8), 2).expect("url"),
            SystemDb::connect(PoolSettings::new(url("tenantry_business_sys"), 2)).expect("url"),
            DdlDb::connect(PoolSettings::new(url("tenantry_ddl"), 2)).expect("url"),
            Bulk {
                exports: TenantDb::connect(PoolSettings::new(url("tenantry_business"), 2), 1).expect("url"),
                restores: DdlDb::connect(PoolSettings::new(url("tenantry_ddl"), 2)).expect("url"),
            },
        );
        let keys: Arc<dyn TenantKeys> = Arc::new(Keys);
        let redis = servers.redis["business"].clone();
        // A busy machine must not turn a hit into a miss.
        let cache = Cache::connect_within(
            cache.then_some(redis.as_str()),
            "business",
            keys.clone(),
            std::time::Duration::from_secs(5),
        );
        let parts = Parts {
            store,
            cached: Cached::new(cache),
            keys,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            nudges: Nudges::default(),
        };
        let world = Self::over(servers, database, parts);
        for n in [1, 2] {
            world
                .provisioning
                .provision(
                    &Command {
                        id: Uuid::now_v7(),
                        tenant: world.tenant(n),
                        traceparent: None,
                    },
                    b"done",
                )
                .await
                .expect("provisioned");
        }
        world
    }

    fn over(servers: tenantry_testkit::World, database: String, parts: Parts) -> Self {
        let (stop, faults, wake, routes) = (
            CancellationToken::new(),
            Faults::new(true),
            Arc::new(Notify::new()),
            Arc::new(Routes::default()),
        );
        let contexts: Arc<dyn Contexts> = Arc::new(Minted);
        let types = ObjectTypes::new(parts.clone());
        Self {
            servers,
            database,
            types: types.clone(),
            records: Records::new(parts.clone(), types.clone()),
            operations: Operations::new(parts.clone()),
            imports: Imports::new(parts.clone(), types, wake.clone()),
            worker: Worker::new(parts.clone(), contexts.clone(), routes.clone(), faults.clone(), wake),
            exports: Exports::new(parts.clone(), contexts.clone()),
            restores: Restores::new(parts.clone(), routes.clone(), faults.clone()),
            watch: Watch::new(parts.clone(), contexts, routes.clone(), stop.clone()),
            provisioning: Provisioning::new(
                parts.clone(),
                ReplyTo {
                    exchange: "replies".into(),
                    kind: "reply",
                },
            ),
            faults,
            stop,
            routes,
            parts,
        }
    }

    /// Tenants have ids of their own in every test: the cache is shared.
    pub(crate) fn tenant(&self, n: u128) -> TenantId {
        let own = sha256(self.database.as_bytes());
        let base = u128::from_be_bytes(own[..16].try_into().expect("16 bytes"));
        TenantId::from_uuid(uuid::Builder::from_custom_bytes((base ^ n).to_be_bytes()).into_uuid())
    }
    /// A call of an admin of tenant `n`.
    pub(crate) fn ctx(&self, n: u128) -> Ctx {
        self.ctx_with(n, 1_000_000)
    }
    /// A call of a tenant whose plan allows `records`.
    pub(crate) fn ctx_with(&self, n: u128, records: u64) -> Ctx {
        let tenant = self.tenant(n);
        let kind = PrincipalKind::User {
            user: UserId::from_uuid(Uuid::from_u128(7)),
            session: SessionId::from_uuid(Uuid::from_u128(8)),
        };
        let principal = Principal {
            kind,
            role: Some(Role::Admin),
            scopes: Vec::new(),
        };
        Ctx::new(principal, RequestId::parse("test").expect("plain"))
            .with_route(Arc::new(route(tenant, records)))
            .with_db(Some(token(tenant)))
    }
    /// A call of a tenant whose plan has no feature.
    pub(crate) fn ctx_bare(&self, n: u128) -> Ctx {
        let mut bare = route(self.tenant(n), 1_000_000);
        bare.features.clear();
        self.ctx(n).with_route(Arc::new(bare))
    }
    pub(crate) fn watch_with(&self, parts: Parts) -> Watch {
        Watch::new(parts, Arc::new(Minted), self.routes.clone(), self.stop.clone())
    }
    pub(crate) fn set_status(&self, status: TenantStatus) {
        self.routes.0.lock().expect("no panic while held").0 = Some(status);
    }
    /// Changes how many records the plan of every tenant allows.
    pub(crate) fn set_records(&self, records: u64) {
        self.routes.0.lock().expect("no panic while held").1 = Some(records);
    }
    pub(crate) async fn raw(&self, role: &str) -> PgConnection {
        PgConnection::connect(&moved(&self.servers.db.roles[role]["tenantry"], &self.database))
            .await
            .expect("login")
    }
    pub(crate) async fn superuser(&self) -> PgConnection {
        PgConnection::connect(&moved(&self.servers.db.superuser["tenantry"], &self.database))
            .await
            .expect("superuser")
    }
    /// People (unique e-mail) and tickets that refer to them.
    pub(crate) async fn help_desk(&self, ctx: &Ctx) {
        let mut email = Field::new("email", FieldType::String);
        (email.required, email.unique, email.max_length) = (true, true, 200);
        self.types
            .create(
                ctx,
                "people",
                &definition(vec![email, Field::new("name", FieldType::String)]),
                None,
            )
            .await
            .expect("people");
        let mut title = Field::new("title", FieldType::String);
        title.required = true;
        let mut status = Field::new("status", FieldType::Enum);
        (status.enum_values, status.default_value, status.indexed) =
            (vec!["open".into(), "closed".into()], "open".into(), true);
        let mut owner = Field::new("owner", FieldType::Reference);
        owner.reference_type = "people".into();
        let mut price = Field::new("price", FieldType::Decimal);
        price.scale = 2;
        let fields = vec![
            title,
            status,
            owner,
            price,
            Field::new("priority", FieldType::Int64),
            Field::new("score", FieldType::Double),
            Field::new("due", FieldType::Date),
            Field::new("extra", FieldType::Json),
        ];
        self.types
            .create(ctx, "tickets", &definition(fields), None)
            .await
            .expect("tickets");
    }
    /// Drops the database; a test that fails leaves it for inspection.
    pub(crate) async fn drop(self) {
        self.stop.cancel();
        self.parts.store.close().await;
        let mut admin = PgConnection::connect(&self.servers.db.superuser["postgres"])
            .await
            .expect("superuser");
        run(&mut admin, &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await;
    }
}

fn moved(url: &str, database: &str) -> String {
    format!("{}/{database}", url.rsplit_once('/').expect("a database in the URL").0)
}

pub(crate) async fn run(conn: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
}

pub(crate) async fn count(conn: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
        .fetch_one(conn)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"))
}

pub(crate) fn definition(fields: Vec<Field>) -> Definition {
    Definition {
        fields,
        ..Definition::default()
    }
}

pub(crate) fn map(json: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    match json {
        serde_json::Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

/// As auth would mint it now.
pub(crate) fn token(tenant: TenantId) -> DbContext {
    context::mint(
        KEY,
        1,
        tenant,
        "tenantry_business",
        SystemClock.now() + TimeDelta::seconds(300),
    )
}

pub(crate) fn now() -> chrono::DateTime<Utc> {
    SystemClock.now()
}

fn route(tenant: TenantId, records: u64) -> TenantRoute {
    TenantRoute {
        tenant,
        slug: "acme".to_owned(),
        display_name: String::new(),
        domains: Vec::new(),
        status: TenantStatus::Active,
        epoch: 1,
        placement: Placement::Schema,
        cell: String::new(),
        plan: "trial".to_owned(),
        limits: Limits {
            requests_per_second: 1,
            burst: 1,
            users: 1,
            object_types: 5,
            records,
            api_keys: 1,
            requests_per_month: 0,
        },
        features: ["custom_types", "import", "watch"].map(str::to_owned).into(),
        brand: Brand::default(),
    }
}
