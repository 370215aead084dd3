//! A migrated and bootstrapped database of its own for each test, on the server that `TENANTRY_WORLD` names.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::sync::Arc;
use tenantry_auth::{
    MIGRATOR,
    app::{
        Core, Urls, api_keys::ApiKeys, bootstrap, exchange::Exchange, hasher::Hasher, keyring::Keyring, links::Links,
        login::Login, minter::Minter, realms::NewRealm, realms::Realms, refresh::Refresh, sessions::Sessions,
        users::Users,
    },
    config,
    domain::{SessionKind, User},
    store::Store,
    wiring,
};
use tenantry_crypto::{DataKey, Es256Verifier, RootKey};
use tenantry_db::{PoolSettings, SystemDb, TenantDb, tenancy_migrator};
use tenantry_kernel::{
    Brand, Clock, Ctx, Ids, Limits, ManualClock, Placement, Principal, PrincipalKind, RequestId, Role, SystemClock,
    SystemIds, TenantId, TenantRoute, TenantStatus, TransactionClaims, claims,
};
use zeroize::Zeroizing;

const HARDEN: &str = include_str!("../../../../deploy/dev/harden.sql");
pub(crate) const PASSWORD: &str = "four unrelated words here";

pub(crate) struct World {
    instance: tenantry_testkit::World,
    pub(crate) database: String,
    pub(crate) core: Arc<Core>,
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) clock: ManualClock,
    pub(crate) store: Store,
}

impl World {
    pub(crate) async fn new() -> Self {
        let instance = tenantry_testkit::World::load();
        let ids = SystemIds;
        let database = format!("it_auth_{}", ids.new_v7().simple());
        create(&instance, &database).await;
        let url = |role: &str| moved(&instance.db.roles[role]["tenantry"], &database);
        tenantry_db::migrate(&url("tenantry_ddl"), "tenancy", tenancy_migrator())
            .await
            .unwrap();
        tenantry_db::migrate(&url("tenantry_ddl"), "auth", &MIGRATOR)
            .await
            .unwrap();
        let system = SystemDb::connect(PoolSettings::new(url("tenantry_auth_sys"), 4)).unwrap();
        let store = Store::new(
            TenantDb::connect(PoolSettings::new(url("tenantry_auth"), 12), 1).unwrap(),
            system.clone(),
        );
        let root = RootKey::new(DataKey::new([7; 32]));
        bootstrap::keys(&store, &root, &ids, &[system]).await.unwrap();
        let clock = ManualClock::new(SystemClock.now());
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let ids: Arc<dyn Ids> = Arc::new(ids);
        let minter = Arc::new(Minter::new(
            store.clone(),
            root.clone(),
            Arc::clone(&shared),
            Arc::clone(&ids),
        ));
        minter.load().await.unwrap();
        let keyring = Keyring::new(store.clone(), root, Arc::clone(&minter), Arc::clone(&ids));
        let urls = Urls::new("http://{slug}.localhost:8080", None);
        let sessions = config::Sessions {
            idle_days: 14,
            browser_days: 30,
            tokens_days: 90,
        };
        let core = Arc::new(Core::new(store.clone(), minter, keyring, urls, sessions, shared, ids));
        let hasher = Hasher::new((1_024, 1, 1), 4, 200).unwrap();
        Self {
            instance,
            database,
            core,
            hasher,
            clock,
            store,
        }
    }
    pub(crate) fn url(&self, role: &str) -> String {
        moved(&self.instance.db.roles[role]["tenantry"], &self.database)
    }
    pub(crate) async fn superuser(&self) -> PgConnection {
        PgConnection::connect(&moved(&self.instance.db.superuser["tenantry"], &self.database))
            .await
            .unwrap()
    }
    /// A number, read past row security.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        sqlx::query(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut self.superuser().await)
            .await
            .unwrap()
            .get(0)
    }
    pub(crate) async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut self.superuser().await)
            .await
            .unwrap();
    }
    /// A new tenant; the token of its first owner's link.
    pub(crate) async fn realm(&self, slug: &str) -> (TenantId, String) {
        let tenant = TenantId::from_uuid(self.core.id());
        let ctx = self.core.minter.own(tenant).unwrap();
        let mut tx = self.store.begin(&ctx).await.unwrap();
        let new = NewRealm {
            slug: slug.to_owned(),
            admin_email: format!("owner@{slug}.test"),
            admin_display_name: "Owner".to_owned(),
        };
        let realms = Realms::new(Arc::clone(&self.core));
        let owner = realms.create(&ctx, &mut tx, new).await.unwrap();
        let token = realms.invite(&mut tx, owner).await.unwrap();
        tx.commit().await.unwrap();
        (tenant, token)
    }
    /// A new tenant with an owner who has a password.
    pub(crate) async fn tenant(&self, slug: &str) -> (TenantId, User) {
        let (tenant, token) = self.realm(slug).await;
        let owner = self
            .links()
            .accept(&self.public(tenant), &token, Zeroizing::new(PASSWORD.to_owned()))
            .await
            .unwrap();
        (tenant, owner)
    }
    /// An active member of a role, invited by the owner.
    pub(crate) async fn member(&self, tenant: TenantId, by: &User, email: &str, role: Role) -> User {
        let invite = tenantry_auth::app::users::Invite {
            email: tenantry_auth::domain::Email::parse("email", email).unwrap(),
            display_name: String::new(),
            role,
        };
        let (_, uri) = self.users().create(&self.user(tenant, by), invite, "").await.unwrap();
        self.links()
            .accept(
                &self.public(tenant),
                link_token(&uri),
                Zeroizing::new(PASSWORD.to_owned()),
            )
            .await
            .unwrap()
    }
    pub(crate) fn links(&self) -> Links {
        Links::new(Arc::clone(&self.core), Arc::clone(&self.hasher))
    }
    pub(crate) fn login(&self) -> Login {
        Login::new(Arc::clone(&self.core), Arc::clone(&self.hasher))
    }
    pub(crate) fn refresh(&self) -> Refresh {
        Refresh::new(Arc::clone(&self.core))
    }
    pub(crate) fn users(&self) -> Users {
        Users::new(Arc::clone(&self.core))
    }
    pub(crate) fn sessions(&self) -> Sessions {
        Sessions::new(Arc::clone(&self.core))
    }
    pub(crate) fn api_keys(&self) -> ApiKeys {
        ApiKeys::new(Arc::clone(&self.core), Arc::new(wiring::scopes()))
    }
    pub(crate) fn exchange(&self) -> Exchange {
        Exchange::new(Arc::clone(&self.core))
    }
    /// As a public call arrives from the gateway.
    pub(crate) fn public(&self, tenant: TenantId) -> Ctx {
        self.call(tenant, Principal::service("gateway"))
    }
    /// As a signed-in member's call arrives.
    pub(crate) fn user(&self, tenant: TenantId, user: &User) -> Ctx {
        let kind = PrincipalKind::User {
            user: user.id,
            session: tenantry_kernel::SessionId::from_uuid(self.core.id()),
        };
        self.call(
            tenant,
            Principal {
                kind,
                role: Some(user.role),
                scopes: Vec::new(),
            },
        )
    }
    pub(crate) fn call(&self, tenant: TenantId, principal: Principal) -> Ctx {
        let limits = Limits {
            requests_per_second: 9,
            burst: 9,
            users: 6,
            object_types: 9,
            records: 9,
            api_keys: 3,
            requests_per_month: 0,
        };
        let route = TenantRoute {
            tenant,
            slug: "acme".to_owned(),
            display_name: "Acme".to_owned(),
            domains: Vec::new(),
            status: TenantStatus::Active,
            epoch: 1,
            placement: Placement::Schema,
            cell: String::new(),
            plan: "test".to_owned(),
            limits,
            features: std::collections::BTreeSet::default(),
            brand: Brand::default(),
        };
        let (db, _) = self
            .core
            .minter
            .context(tenant, "auth", chrono::Duration::seconds(60))
            .unwrap();
        Ctx::new(principal, RequestId::parse("test").unwrap())
            .with_route(Arc::new(route))
            .with_db(Some(db))
    }
    pub(crate) async fn sign_in(
        &self,
        tenant: TenantId,
        email: &str,
        password: &str,
        kind: SessionKind,
    ) -> tenantry_kernel::Result<tenantry_auth::app::login::SignedIn> {
        let request = tenantry_auth::app::login::SignIn {
            email: email.to_owned(),
            password: Zeroizing::new(password.to_owned()),
            kind,
            user_agent: "test".to_owned(),
        };
        self.login().sign_in(&self.public(tenant), request).await
    }
    /// Claims of a transaction token, as a service would verify them.
    pub(crate) fn verify(&self, token: &str, audience: &str) -> TransactionClaims {
        let verifier = Es256Verifier::from_jwks(&self.core.minter.jwks().unwrap()).unwrap();
        verifier
            .verify(token, claims::TOKEN_TYPE, audience, claims::ISSUER, self.clock.now())
            .unwrap()
    }
    /// Drops the database; a test that fails leaves it for inspection.
    pub(crate) async fn drop(self) {
        let mut admin = PgConnection::connect(&self.instance.db.superuser["postgres"])
            .await
            .unwrap();
        execute(&mut admin, &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await;
    }
}

pub(crate) fn link_token(uri: &str) -> &str {
    uri.split_once("token=").expect("a link carries its token").1
}

fn moved(url: &str, database: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

async fn create(instance: &tenantry_testkit::World, database: &str) {
    let mut admin = PgConnection::connect(&instance.db.superuser["postgres"]).await.unwrap();
    execute(
        &mut admin,
        &format!("CREATE DATABASE {database} OWNER tenantry_owner TEMPLATE template0"),
    )
    .await;
    execute(&mut admin, &format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC")).await;
    execute(
        &mut admin,
        &format!("GRANT CONNECT ON DATABASE {database} TO tenantry_ddl, tenantry_auth, tenantry_auth_sys"),
    )
    .await;
    let mut inside = PgConnection::connect(&moved(&instance.db.superuser["tenantry"], database))
        .await
        .unwrap();
    execute(&mut inside, HARDEN).await;
}

async fn execute(conn: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(conn)
        .await
        .unwrap();
}
