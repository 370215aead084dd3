//! A database of its own for each test, on the server that `TENANTRY_WORLD` names.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panic, and this is where tests read their world"
)]

use chrono::{TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::sync::Arc;
use tenantry_db::{DdlDb, PoolSettings, SystemDb, TenantDb, context, migrate, query, tenancy_migrator};
use tenantry_kernel::{
    Brand, Ctx, DbContext, Limits, Placement, Principal, RequestId, TenantId, TenantRoute, TenantStatus,
};
use uuid::Uuid;

/// HMAC key that every test database has under kid 1.
pub(crate) const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
pub(crate) const ROLE: &str = "tenantry_business";
const HARDEN: &str = include_str!("../../../../deploy/dev/harden.sql");

pub(crate) struct World {
    json: serde_json::Value,
    pub(crate) database: String,
}

fn json() -> serde_json::Value {
    let path = std::env::var("TENANTRY_WORLD")
        .expect("TENANTRY_WORLD is not set: these tests need the servers; run `make test`");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

impl World {
    /// A hardened database with the tenancy migrations, key 1, and the table `app.notes` under row security.
    pub(crate) async fn new() -> Self {
        let json = json();
        let database = format!("it_db_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect(json["db"]["superuser"]["postgres"].as_str().unwrap())
            .await
            .unwrap();
        run(
            &mut admin,
            &format!("CREATE DATABASE {database} OWNER tenantry_owner TEMPLATE template0"),
        )
        .await;
        run(&mut admin, &format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC")).await;
        let roles = json["db"]["roles"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        run(&mut admin, &format!("GRANT CONNECT ON DATABASE {database} TO {roles}")).await;
        let world = Self { json, database };
        run(&mut world.superuser().await, HARDEN).await;
        migrate(&world.url("tenantry_ddl"), "tenancy", tenancy_migrator())
            .await
            .unwrap();
        world.install(1, KEY).await.unwrap();
        world
            .ddl(
                "CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO tenantry_business, tenantry_business_sys;
                 CREATE TABLE app.notes (tenant_id uuid NOT NULL, id uuid NOT NULL, text text NOT NULL, PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, text));
                 CREATE TABLE app.replies (tenant_id uuid NOT NULL, id uuid NOT NULL, note uuid NOT NULL, PRIMARY KEY (tenant_id, id),
                   CONSTRAINT replies_note FOREIGN KEY (tenant_id, note) REFERENCES app.notes (tenant_id, id));
                 SELECT tenancy.enable_rls('app', 'notes', ARRAY['tenantry_business'], ARRAY['tenantry_business_sys']);
                 SELECT tenancy.enable_rls('app', 'replies', ARRAY['tenantry_business']);
                 SELECT tenancy.create_service_tables('app', 'tenantry_business', 'tenantry_business_sys')",
            )
            .await;
        world
    }
    pub(crate) fn url(&self, role: &str) -> String {
        let url = self.json["db"]["roles"][role]["tenantry"].as_str().unwrap();
        url.strip_suffix("/tenantry")
            .map(|base| format!("{base}/{}", self.database))
            .unwrap()
    }
    pub(crate) async fn superuser(&self) -> PgConnection {
        let url = self.json["db"]["superuser"]["tenantry"].as_str().unwrap();
        PgConnection::connect(
            &url.strip_suffix("/tenantry")
                .map(|base| format!("{base}/{}", self.database))
                .unwrap(),
        )
        .await
        .unwrap()
    }
    pub(crate) async fn raw(&self, role: &str) -> PgConnection {
        PgConnection::connect(&self.url(role)).await.unwrap()
    }
    /// One connection only, so that the next transaction meets the backend of the one before.
    pub(crate) fn tenants(&self, connections: u32) -> TenantDb {
        TenantDb::connect(PoolSettings::new(self.url(ROLE), connections), 1).unwrap()
    }
    pub(crate) fn system(&self) -> SystemDb {
        SystemDb::connect(PoolSettings::new(self.url("tenantry_business_sys"), 4)).unwrap()
    }
    pub(crate) async fn ddl(&self, script: &str) {
        let mut tx = DdlDb::connect(PoolSettings::new(self.url("tenantry_ddl"), 1))
            .unwrap()
            .begin("test")
            .await
            .unwrap();
        tx.execute_script(script).await.unwrap();
        tx.commit().await.unwrap();
    }
    pub(crate) async fn install(&self, kid: i32, key: &[u8]) -> tenantry_kernel::Result<()> {
        let db = SystemDb::connect(PoolSettings::new(self.url("tenantry_auth_sys"), 1)).unwrap();
        let mut tx = db.begin("install").await?;
        tx.execute(query("SELECT tenancy.install_context_key($1, $2)").bind(kid).bind(key))
            .await?;
        tx.commit().await
    }
    /// Drops the database; a test that fails leaves it for inspection.
    pub(crate) async fn drop(self) {
        let mut admin = PgConnection::connect(self.json["db"]["superuser"]["postgres"].as_str().unwrap())
            .await
            .unwrap();
        run(&mut admin, &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await;
    }
}

pub(crate) async fn run(conn: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(conn)
        .await
        .unwrap();
}

pub(crate) fn tenant(n: u128) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n))
}

/// A context as auth would mint it now.
pub(crate) fn token(tenant: TenantId) -> DbContext {
    context::mint(KEY, 1, tenant, ROLE, Utc::now() + TimeDelta::seconds(60))
}

/// A call of `tenant` with any database context.
pub(crate) fn call(tenant: TenantId, db: Option<DbContext>) -> Ctx {
    let limits = Limits {
        requests_per_second: 1,
        burst: 1,
        users: 1,
        object_types: 1,
        records: 1,
        api_keys: 1,
        requests_per_month: 0,
    };
    let route = TenantRoute {
        tenant,
        slug: "acme".to_owned(),
        display_name: String::new(),
        domains: Vec::new(),
        status: TenantStatus::Active,
        epoch: 1,
        placement: Placement::Schema,
        cell: String::new(),
        plan: String::new(),
        limits,
        features: std::collections::BTreeSet::default(),
        brand: Brand::default(),
    };
    Ctx::new(Principal::service("test"), RequestId::parse("test").unwrap())
        .with_route(Arc::new(route))
        .with_db(db)
}

/// A call of `tenant` as it should be.
pub(crate) fn good(tenant: TenantId) -> Ctx {
    call(tenant, Some(token(tenant)))
}

pub(crate) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}
