//! A database of its own, the apps over it, and a hand that plays business and auth.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail by panic")]

use chrono::{TimeDelta, Utc};
use prost::Message;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::sync::Arc;
use tenantry_api::events::{SagaCommand, saga_command::Action};
use tenantry_crypto::{DataKey, Purpose, Sealer, TenantKeys};
use tenantry_db::{PoolSettings, SystemDb, TenantDb, context, migrate, query, tenancy_migrator};
use tenantry_kernel::{
    BoxFuture, Clock, Ctx, DbContext, ManualClock, Principal, PrincipalKind, RequestId, Result, Role, SessionId,
    SystemIds, TenantId, TenantRoute, UserId,
};
use tenantry_messaging::Topology;
use tenantry_registry::{
    MIGRATOR,
    app::{
        BrandingApp, DomainApp, Idempotency, NewTenant, OperationApp, Pager, PlanApp, Reply, ReplyOutcome, Routes,
        SagaSettings, Sagas, TenantApp, TenantSettings,
    },
    domain::{Input, Operation},
    store::{SCHEMA, Store},
};
use tenantry_server::Faults;
use tokio::sync::Notify;
use uuid::Uuid;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const ROLE: &str = "tenantry_registry";
const HARDEN: &str = include_str!("../../../../deploy/dev/harden.sql");

/// One key for everything: what keys do is tested where they are made.
struct OneKey;
impl TenantKeys for OneKey {
    fn sealer(&self, _: TenantId, _: Purpose, _: Option<u32>) -> BoxFuture<'_, Result<Arc<Sealer>>> {
        Box::pin(async { Ok(Arc::new(Sealer::new(DataKey::new([7; 32]), 1))) })
    }
}

pub(crate) struct World {
    url: Box<dyn Fn(&str) -> String + Send + Sync>,
    admin: String,
    database: String,
    pub(crate) clock: ManualClock,
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) routes: Arc<Routes>,
    pub(crate) sagas: Arc<Sagas>,
    pub(crate) tenants: TenantApp,
    pub(crate) plans: PlanApp,
    pub(crate) domains: DomainApp,
    pub(crate) branding: BrandingApp,
    pub(crate) operations: OperationApp,
}

impl World {
    pub(crate) async fn new() -> Self {
        let instance = tenantry_testkit::World::load();
        let database = format!("it_registry_{}", Uuid::now_v7().simple());
        let admin = instance.db.superuser["postgres"].clone();
        let mut conn = PgConnection::connect(&admin).await.unwrap();
        let roles = instance.db.roles.keys().cloned().collect::<Vec<_>>().join(", ");
        for sql in [
            format!("CREATE DATABASE {database} OWNER tenantry_owner TEMPLATE template0"),
            format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"),
            format!("GRANT CONNECT ON DATABASE {database} TO {roles}"),
        ] {
            run(&mut conn, &sql).await;
        }
        let (name, db) = (database.clone(), instance.db.clone());
        let url = Box::new(move |role: &str| {
            let url = if role == "postgres" {
                &db.superuser["tenantry"]
            } else {
                &db.roles[role]["tenantry"]
            };
            format!("{}/{name}", url.strip_suffix("/tenantry").unwrap())
        });
        run(&mut PgConnection::connect(&url("postgres")).await.unwrap(), HARDEN).await;
        migrate(&url("tenantry_ddl"), "tenancy", tenancy_migrator())
            .await
            .unwrap();
        migrate(&url("tenantry_ddl"), SCHEMA, &MIGRATOR).await.unwrap();
        let auth = SystemDb::connect(PoolSettings::new(url("tenantry_auth_sys"), 1)).unwrap();
        let mut tx = auth.begin("install").await.unwrap();
        tx.execute(query("SELECT tenancy.install_context_key(1, $1)").bind(KEY))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        Self::over(url, admin, database)
    }

    fn over(url: Box<dyn Fn(&str) -> String + Send + Sync>, admin: String, database: String) -> Self {
        let clock = ManualClock::new(Utc::now());
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let system = SystemDb::connect(PoolSettings::new(url("tenantry_registry_sys"), 8)).unwrap();
        let tenant = TenantDb::connect(PoolSettings::new(url(ROLE), 4), 1).unwrap();
        let store = Store::new(system, tenant);
        let routes = Arc::new(Routes::new(store.clone()));
        let settings = SagaSettings {
            commands_exchange: topology("registry").commands_exchange(),
        };
        let (keys, faults): (Arc<dyn TenantKeys>, _) = (Arc::new(OneKey), Faults::new(true));
        let outbox = Arc::new(Notify::new());
        let sagas = Sagas::new(
            store.clone(),
            routes.clone(),
            keys.clone(),
            faults.clone(),
            shared.clone(),
            Arc::new(SystemIds),
            settings,
            outbox,
        );
        let (sagas, pager) = (Arc::new(sagas), Pager::new(keys.clone(), shared.clone()));
        let settings = TenantSettings {
            retention: TimeDelta::days(30),
            cell: "default".to_owned(),
            default_plan: "free".to_owned(),
        };
        Self {
            tenants: TenantApp::new(
                store.clone(),
                sagas.clone(),
                pager.clone(),
                shared.clone(),
                Arc::new(SystemIds),
                settings,
            ),
            plans: PlanApp::new(store.clone(), pager.clone(), sagas.clone()),
            domains: DomainApp::new(store.clone(), pager.clone(), sagas.clone(), shared.clone()),
            branding: BrandingApp::new(store.clone(), pager.clone(), sagas.clone(), shared),
            operations: OperationApp::new(store.clone(), pager, keys),
            url,
            admin,
            database,
            clock,
            store,
            faults,
            routes,
            sagas,
        }
    }

    pub(crate) async fn connect(&self, role: &str) -> PgConnection {
        PgConnection::connect(&(self.url)(role)).await.unwrap()
    }
    /// Drops the database; a test that fails leaves it for inspection.
    pub(crate) async fn drop(self) {
        let mut conn = PgConnection::connect(&self.admin).await.unwrap();
        run(&mut conn, &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await;
    }

    pub(crate) async fn onboard(&self, slug: &str) -> Operation {
        self.tenants
            .create(&operator(), new_tenant(slug), &no_key())
            .await
            .unwrap()
    }
    /// Onboards and answers every command.
    pub(crate) async fn active(&self, slug: &str) -> TenantId {
        let operation = self.onboard(slug).await;
        self.settle().await;
        assert!(self.operation(&operation).await.saga.succeeded());
        operation.tenant
    }
    pub(crate) async fn operation(&self, operation: &Operation) -> Operation {
        self.operations.get(&operator(), operation.id).await.unwrap()
    }
    /// Drives and answers with success until nothing moves.
    pub(crate) async fn settle(&self) {
        loop {
            while self.sagas.drive_one().await.unwrap() {}
            let commands = self.take_commands().await;
            if commands.is_empty() {
                return;
            }
            for command in commands {
                self.sagas.take_reply(&done(&command)).await.unwrap();
            }
        }
    }
    /// What the relay would publish now, with the service it is for.
    pub(crate) async fn take_commands(&self) -> Vec<(String, SagaCommand)> {
        let mut conn = self.connect("postgres").await;
        let rows = sqlx::query(
            "DELETE FROM registry.outbox WHERE exchange LIKE '%commands' RETURNING id, routing_key, payload",
        )
        .fetch_all(&mut conn)
        .await
        .unwrap();
        rows.iter()
            .map(|row| {
                let command = SagaCommand::decode(row.get::<Vec<u8>, _>("payload").as_slice()).unwrap();
                assert_eq!(
                    command.command_id,
                    row.get::<Uuid, _>("id").to_string(),
                    "message id and command id are one"
                );
                (row.get("routing_key"), command)
            })
            .collect()
    }
    /// Arms a fault point once.
    pub(crate) fn arm(&self, point: &str) {
        self.faults
            .arm(serde_json::from_value(serde_json::json!({"point": point, "action": "error"})).unwrap());
    }
    /// Makes every timer fire.
    pub(crate) async fn pass_time(&self) {
        run(
            &mut self.connect("postgres").await,
            "UPDATE registry.operations SET next_time = now() WHERE phase <> 'done'",
        )
        .await;
    }
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let mut conn = self.connect("postgres").await;
        sqlx::query(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut conn)
            .await
            .unwrap()
            .get(0)
    }
    /// A call of the tenant's owner, with the context that auth would mint.
    pub(crate) async fn call(&self, tenant: TenantId) -> Ctx {
        use tenantry_kernel::Resolve;
        let route = self.routes.by_id(tenant).await.unwrap();
        call(
            route,
            Some(context::mint(KEY, 1, tenant, ROLE, Utc::now() + TimeDelta::seconds(60))),
        )
    }
}

/// Names of its own on the instance's broker; letters only.
pub(crate) fn topology(service: &str) -> Topology {
    Topology::service(service).scoped("itregistry")
}

pub(crate) async fn run(conn: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(conn)
        .await
        .unwrap();
}

pub(crate) fn call(route: Arc<TenantRoute>, db: Option<DbContext>) -> Ctx {
    let kind = PrincipalKind::User {
        user: UserId::from_uuid(Uuid::from_u128(1)),
        session: SessionId::from_uuid(Uuid::from_u128(2)),
    };
    let principal = Principal {
        kind,
        role: Some(Role::Owner),
        scopes: Vec::new(),
    };
    Ctx::new(principal, RequestId::parse("test").unwrap())
        .with_route(route)
        .with_db(db)
}

/// A call of an operator.
pub(crate) fn operator() -> Ctx {
    use tenantry_kernel::{Brand, Limits, Placement, TenantStatus};
    let limits = Limits {
        requests_per_second: 1,
        burst: 1,
        users: 1,
        object_types: 1,
        records: 1,
        api_keys: 1,
        requests_per_month: 0,
    };
    call(
        Arc::new(TenantRoute {
            tenant: TenantId::PLATFORM,
            slug: "operator".to_owned(),
            display_name: String::new(),
            domains: Vec::new(),
            status: TenantStatus::Active,
            epoch: 1,
            placement: Placement::Schema,
            cell: String::new(),
            plan: "platform".to_owned(),
            limits,
            features: std::collections::BTreeSet::default(),
            brand: Brand::default(),
        }),
        None,
    )
}

pub(crate) fn new_tenant(slug: &str) -> NewTenant {
    let owner = Input {
        admin_email: format!("ada@{slug}.example"),
        admin_display_name: "Ada".to_owned(),
    };
    NewTenant {
        slug: slug.to_owned(),
        display_name: String::new(),
        plan: String::new(),
        owner,
    }
}

pub(crate) fn no_key() -> Idempotency {
    Idempotency::new("test", "", b"").unwrap()
}

pub(crate) fn reply((from, command): &(String, SagaCommand), outcome: ReplyOutcome) -> Reply {
    Reply {
        message: Uuid::now_v7(),
        from: from.clone(),
        command: command.command_id.parse().unwrap(),
        operation: command.operation_id.parse().unwrap(),
        tenant: command.tenant_id.parse().unwrap(),
        outcome,
    }
}

pub(crate) fn done(command: &(String, SagaCommand)) -> Reply {
    let invite = if matches!(command.1.action, Some(Action::CreateRealm(_))) {
        "tlk_invite"
    } else {
        ""
    };
    reply(
        command,
        ReplyOutcome::Done {
            invite: invite.to_owned(),
        },
    )
}

pub(crate) fn refused(command: &(String, SagaCommand), permanent: bool) -> Reply {
    reply(
        command,
        ReplyOutcome::Failed {
            permanent,
            reason: "DISK_FULL".to_owned(),
            message: "There is no space left.".to_owned(),
        },
    )
}

pub(crate) fn names(commands: &[(String, SagaCommand)]) -> Vec<String> {
    let name = |action: &Option<Action>| match action {
        Some(Action::ProvisionData(_)) => "provision_data",
        Some(Action::DropData(_)) => "drop_data",
        Some(Action::CreateRealm(_)) => "create_realm",
        Some(Action::DropRealm(_)) => "drop_realm",
        Some(Action::RevokeTenant(_)) => "revoke_tenant",
        None => "none",
    };
    commands
        .iter()
        .map(|(service, command)| format!("{service}.{}", name(&command.action)))
        .collect()
}
