//! A database of its own for each test, on the servers that `TENANTRY_WORLD` names, and a clock that the test moves.

#![expect(clippy::disallowed_methods, reason = "tests may use the real clock and random ids")]

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tenantry_crypto::{DataKey, Purpose, Sealer, TenantKeys, token::sha256};
use tenantry_db::{PoolSettings, SystemDb, TenantDb, context, ensure_clean, migrate, tenancy_migrator};
use tenantry_kernel::{
    BoxFuture, Brand, Clock, Ctx, Error, Limits, ManualClock, Placement, Principal, PrincipalKind, RequestId, Result,
    Role, SessionId, SystemClock, TenantId, TenantRoute, TenantStatus, UserId,
};
use tenantry_metering::{BUCKETS, Delta, Report, bucket};
use tenantry_monitoring::{
    MIGRATOR,
    app::{Routes, fleet::FleetApp, ingest::Ingest, paging::Pager, quotas::Quotas, series::Series, usage::UsageApp},
    store::Store,
};
use uuid::Uuid;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const HARDEN: &str = include_str!("../../../../deploy/dev/harden.sql");

pub(crate) struct World {
    servers: tenantry_testkit::World,
    database: String,
    pub(crate) clock: ManualClock,
    pub(crate) store: Store,
    pub(crate) plans: Arc<Plans>,
    pub(crate) ingest: Ingest,
    pub(crate) series: Arc<Series>,
    pub(crate) usage: UsageApp,
    pub(crate) fleet: FleetApp,
    pub(crate) quotas: Quotas,
}

/// Tenants that exist, with what their plans allow in a month; what was asked for beside them.
#[derive(Default)]
pub(crate) struct Plans {
    limits: Mutex<HashMap<TenantId, u64>>,
    pub(crate) asked: Mutex<usize>,
}

impl Plans {
    pub(crate) fn set(&self, tenant: TenantId, requests_per_month: u64) {
        self.limits
            .lock()
            .expect("not poisoned")
            .insert(tenant, requests_per_month);
    }
}

impl Routes for Plans {
    fn known(&self, tenant: TenantId) -> Option<Arc<TenantRoute>> {
        let limit = self.limits.lock().expect("not poisoned").get(&tenant).copied()?;
        Some(Arc::new(route(tenant, limit)))
    }
    fn ask(&self, _tenant: TenantId) -> BoxFuture<'_, Result<Option<Arc<TenantRoute>>>> {
        *self.asked.lock().expect("not poisoned") += 1;
        Box::pin(async { Ok(None) })
    }
}

struct Keys;

impl TenantKeys for Keys {
    fn sealer(&self, tenant: TenantId, purpose: Purpose, version: Option<u32>) -> BoxFuture<'_, Result<Arc<Sealer>>> {
        let key = sha256(format!("{tenant}{}", purpose.as_str()).as_bytes());
        let sealer = match version {
            None | Some(1) => Ok(Arc::new(Sealer::new(DataKey::new(key), 1))),
            Some(_) => Err(Error::not_found()),
        };
        Box::pin(async move { sealer })
    }
}

impl World {
    /// A hardened, migrated database that passes the linter. It is 2026-03-15 12:30:30, and tenants 1 and 2 exist.
    pub(crate) async fn new() -> Self {
        let servers = tenantry_testkit::World::load();
        let database = format!("it_monitoring_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect(&servers.db.superuser["postgres"])
            .await
            .expect("superuser");
        let create = format!("CREATE DATABASE {database} OWNER tenantry_owner TEMPLATE template0 ENCODING 'UTF8'");
        run(&mut admin, &create).await;
        let roles = servers.db.roles.keys().cloned().collect::<Vec<_>>().join(", ");
        let grants =
            format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO {roles}");
        run(&mut admin, &grants).await;
        let url = |role: &str| moved(&servers.db.roles[role]["tenantry"], &database);
        let superuser = moved(&servers.db.superuser["tenantry"], &database);
        run(&mut PgConnection::connect(&superuser).await.expect("superuser"), HARDEN).await;
        for (schema, migrator) in [("tenancy", tenancy_migrator()), ("monitoring", &MIGRATOR)] {
            migrate(&url("tenantry_ddl"), schema, migrator).await.expect("migrates");
        }
        let key = KEY.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut auth = PgConnection::connect(&url("tenantry_auth_sys")).await.expect("auth");
        let install = format!("SELECT tenancy.install_context_key(1, '\\x{key}'::bytea)");
        run(&mut auth, &install).await;
        let store = Store::new(
            TenantDb::connect(PoolSettings::new(url("tenantry_monitoring"), 4), 2).expect("url"),
            SystemDb::connect(PoolSettings::new(url("tenantry_monitoring_sys"), 6)).expect("url"),
        );
        let mut tx = store.begin_job("lint").await.expect("begins");
        ensure_clean(&mut tx, &["monitoring"])
            .await
            .expect("the rules are kept");
        drop(tx);
        Self::over(servers, database, store)
    }

    fn over(servers: tenantry_testkit::World, database: String, store: Store) -> Self {
        let manual = ManualClock::new(time("2026-03-15T12:30:30Z"));
        let clock: Arc<dyn Clock> = Arc::new(manual.clone());
        let plans = Arc::new(Plans::default());
        let routes: Arc<dyn Routes> = plans.clone();
        for n in [1, 2] {
            plans.set(tenant(n), 0);
        }
        let pager = Pager::new(Arc::new(Keys), clock.clone());
        let series = Series::register();
        Self {
            servers,
            database,
            clock: manual,
            plans,
            ingest: Ingest::new(store.clone(), routes.clone(), Arc::clone(&series), clock.clone()),
            series,
            usage: UsageApp::new(store.clone(), clock.clone()),
            fleet: FleetApp::new(store.clone(), routes.clone(), pager, clock.clone()),
            quotas: Quotas::new(store.clone(), routes, clock),
            store,
        }
    }

    /// A member's call.
    pub(crate) fn ctx(&self, n: u128) -> Ctx {
        let tenant = tenant(n);
        let limit = self
            .plans
            .known(tenant)
            .map_or(0, |route| route.limits.requests_per_month);
        ctx(tenant, limit)
    }
    /// An operator's call.
    pub(crate) fn operator(&self) -> Ctx {
        ctx(TenantId::PLATFORM, 0)
    }
    /// The number that a statement of the system login gives.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let mut conn = self.raw("tenantry_monitoring_sys").await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut conn)
            .await
            .unwrap_or_else(|error| panic!("{error}: {sql}"))
    }
    pub(crate) async fn raw(&self, role: &str) -> PgConnection {
        PgConnection::connect(&moved(&self.servers.db.roles[role]["tenantry"], &self.database))
            .await
            .expect("connects")
    }
    /// Closes and drops the database.
    pub(crate) async fn end(self) {
        self.store.close().await;
        let mut admin = PgConnection::connect(&self.servers.db.superuser["postgres"])
            .await
            .expect("superuser");
        run(&mut admin, &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await;
    }
}

fn ctx(tenant: TenantId, limit: u64) -> Ctx {
    let kind = PrincipalKind::User {
        user: UserId::from_uuid(Uuid::from_u128(7)),
        session: SessionId::from_uuid(Uuid::from_u128(8)),
    };
    let principal = Principal {
        kind,
        role: Some(Role::Admin),
        scopes: Vec::new(),
    };
    let until = SystemClock.now() + TimeDelta::seconds(300);
    Ctx::new(principal, RequestId::parse("test").expect("plain"))
        .with_route(Arc::new(route(tenant, limit)))
        .with_db(Some(context::mint(KEY, 1, tenant, "tenantry_monitoring", until)))
}

pub(crate) fn tenant(n: u128) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// Requests of one tenant with these latencies, one row and ten bytes each.
pub(crate) fn delta(n: u128, millis: &[u64]) -> Delta {
    let mut latency = [0; BUCKETS];
    for millis in millis {
        latency[bucket(Duration::from_millis(*millis))] += 1;
    }
    let count = millis.len() as u64;
    Delta {
        tenant: tenant(n),
        requests: count,
        admitted: count,
        errors: 0,
        limited: 0,
        latency,
        rows: count,
        request_bytes: 10 * count,
        response_bytes: 10 * count,
    }
}

/// Counts of one tenant of which no two are equal, each `scale` times over: what lands in another field is seen there.
pub(crate) fn distinct(n: u128, scale: u64) -> Delta {
    let mut latency = [0; BUCKETS];
    for (count, number) in latency.iter_mut().zip(1..) {
        *count = number * scale;
    }
    Delta {
        tenant: tenant(n),
        requests: latency.iter().sum(),
        admitted: 271 * scale,
        errors: 31 * scale,
        limited: 47 * scale,
        latency,
        rows: 503 * scale,
        request_bytes: 7_001 * scale,
        response_bytes: 90_002 * scale,
    }
}

/// A report of the gateway.
pub(crate) fn report(sequence: u64, end: &str, deltas: Vec<Delta>) -> Report {
    Report {
        instance: Uuid::from_u128(99),
        sequence,
        service: "gateway".to_owned(),
        start: time(end) - TimeDelta::seconds(10),
        end: time(end),
        deltas,
    }
}

fn route(tenant: TenantId, requests_per_month: u64) -> TenantRoute {
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
            object_types: 1,
            records: 1,
            api_keys: 1,
            requests_per_month,
        },
        features: Default::default(),
        brand: Brand::default(),
    }
}

fn moved(url: &str, database: &str) -> String {
    format!("{}/{database}", url.rsplit_once('/').expect("a database in the URL").0)
}

async fn run(conn: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
}
