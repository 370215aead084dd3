//! A database of its own for each test, on the servers that `TENANTRY_WORLD` names, and what stands in it.

#![expect(clippy::disallowed_methods, reason = "tests may use the real clock and random ids")]

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{sync::Arc, time::Duration};
use tenantry_backup::{
    MIGRATOR,
    domain::{Operation, Policy, Snapshot, operation::Verb, snapshot::Kind},
    store::{SCHEMA, Store, operation, policy, retention, snapshot},
};
use tenantry_db::{PoolSettings, SystemDb, TenantDb, context, migrate, tenancy_migrator};
use tenantry_kernel::{Brand, Ctx, Limits, Placement, Principal, RequestId, TenantId, TenantRoute, TenantStatus};
use tenantry_operations::{Claim, State, lease};
use uuid::Uuid;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const HARDEN: &str = include_str!("../../../../deploy/dev/harden.sql");
pub(crate) const LEASE: Duration = Duration::from_secs(15);

pub(crate) struct Base {
    servers: tenantry_testkit::World,
    name: String,
    pub(crate) store: Store,
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

impl Base {
    pub(crate) async fn new() -> Self {
        let servers = tenantry_testkit::World::load();
        let name = format!("it_backup_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect(&servers.db.superuser["postgres"])
            .await
            .expect("superuser");
        let roles = servers.db.roles.keys().cloned().collect::<Vec<_>>().join(", ");
        run(
            &mut admin,
            &format!("CREATE DATABASE {name} OWNER tenantry_owner TEMPLATE template0 ENCODING 'UTF8'"),
        )
        .await;
        run(
            &mut admin,
            &format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {roles}"),
        )
        .await;
        let url = |role: &str| moved(&servers.db.roles[role]["tenantry"], &name);
        let mut own = PgConnection::connect(&moved(&servers.db.superuser["tenantry"], &name))
            .await
            .expect("superuser");
        run(&mut own, HARDEN).await;
        migrate(&url("tenantry_ddl"), "tenancy", tenancy_migrator())
            .await
            .expect("tenancy migrates");
        migrate(&url("tenantry_ddl"), "backup", &MIGRATOR)
            .await
            .expect("backup migrates");
        let key = KEY.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut auth = PgConnection::connect(&url("tenantry_auth_sys")).await.expect("auth");
        run(
            &mut auth,
            &format!("SELECT tenancy.install_context_key(1, '\\x{key}'::bytea)"),
        )
        .await;
        let store = Store::new(
            TenantDb::connect(PoolSettings::new(url("tenantry_backup"), 4), 1).expect("url"),
            SystemDb::connect(PoolSettings::new(url("tenantry_backup_sys"), 2)).expect("url"),
        );
        Self { servers, name, store }
    }
    async fn superuser(&self) -> PgConnection {
        PgConnection::connect(&moved(&self.servers.db.superuser["tenantry"], &self.name))
            .await
            .expect("superuser")
    }
    pub(crate) async fn sql(&self, sql: &str) {
        run(&mut self.superuser().await, sql).await;
    }
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let mut own = self.superuser().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut own)
            .await
            .expect("a count")
    }
    /// An operation on a snapshot of its own, and that snapshot.
    pub(crate) async fn start(&self, tenant: TenantId, verb: Verb, kind: Kind) -> (Operation, Snapshot) {
        let (id, now) = (Uuid::now_v7(), Utc::now());
        let snapshot = Snapshot::new(Uuid::now_v7(), kind, String::new(), id, now);
        let operation = Operation::new(id, verb, snapshot.id, String::new(), now);
        let mut tx = self.store.begin(&ctx(tenant)).await.expect("begun");
        snapshot::insert(&mut tx, tenant, &snapshot).await.expect("added");
        operation::insert(&mut tx, tenant, &operation).await.expect("added");
        tx.commit().await.expect("committed");
        (operation, snapshot)
    }
    pub(crate) async fn claim(&self, limit: i64) -> Vec<Claim> {
        let mut tx = self.store.begin_system("test").await.expect("begun");
        let claims = operation::claim(&mut tx, Uuid::now_v7(), limit, LEASE)
            .await
            .expect("claimed");
        tx.commit().await.expect("committed");
        claims
    }
    pub(crate) async fn later(&self, claim: &Claim) {
        let mut tx = self.store.begin(&ctx(claim.tenant)).await.expect("begun");
        lease::retry_later(&mut tx, SCHEMA, claim, "away", Duration::from_secs(60))
            .await
            .expect("ours");
        tx.commit().await.expect("committed");
    }
    pub(crate) async fn finish(&self, claim: &Claim) {
        let mut tx = self.store.begin(&ctx(claim.tenant)).await.expect("begun");
        lease::finish(
            &mut tx,
            SCHEMA,
            claim,
            (State::Succeeded, None),
            &serde_json::json!({}),
            "",
        )
        .await
        .expect("ours");
        tx.commit().await.expect("committed");
    }
    pub(crate) async fn policy(&self, tenant: TenantId, next: DateTime<Utc>) {
        let mut standard = Policy::standard(tenant, Utc::now()).expect("parses");
        (standard.next_time, standard.keep_last) = (Some(next), 1);
        let mut tx = self.store.begin_system("test").await.expect("begun");
        policy::ensure(&mut tx, tenant, &standard).await.expect("added");
        tx.commit().await.expect("committed");
    }
    pub(crate) async fn ages(&self, active: &[TenantId]) -> (f64, i64) {
        let active: Vec<_> = active.iter().map(|tenant| tenant.uuid()).collect();
        let mut tx = self.store.begin_system("test").await.expect("begun");
        retention::ages(&mut tx, Utc::now(), &active).await.expect("ages")
    }
    pub(crate) async fn mark(&self) -> u64 {
        let mut tx = self.store.begin_system("test").await.expect("begun");
        let marked = retention::mark(&mut tx, Utc::now()).await.expect("marked");
        tx.commit().await.expect("committed");
        marked
    }
    pub(crate) async fn drop(self) {
        self.store.close().await;
        let mut admin = PgConnection::connect(&self.servers.db.superuser["postgres"])
            .await
            .expect("superuser");
        run(&mut admin, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::from_uuid(Uuid::now_v7())
}

/// An active tenant's.
pub(crate) fn route(tenant: TenantId) -> TenantRoute {
    TenantRoute {
        tenant,
        slug: String::new(),
        display_name: String::new(),
        domains: Vec::new(),
        status: TenantStatus::Active,
        epoch: 0,
        placement: Placement::Schema,
        cell: String::new(),
        plan: String::new(),
        limits: Limits {
            requests_per_second: 0,
            burst: 0,
            users: 0,
            object_types: 0,
            records: 0,
            api_keys: 0,
            requests_per_month: 0,
        },
        features: std::collections::BTreeSet::new(),
        brand: Brand::default(),
    }
}

pub(crate) fn ctx(tenant: TenantId) -> Ctx {
    let token = context::mint(KEY, 1, tenant, "tenantry_backup", Utc::now() + TimeDelta::seconds(300));
    Ctx::new(Principal::service("backup"), RequestId::parse("test").expect("plain"))
        .with_route(Arc::new(route(tenant)))
        .with_db(Some(token))
}
