//! What jobs find over all tenants, on a database of its own: turns, tries, what expires, what an operator is told.

#![expect(clippy::disallowed_methods, reason = "tests may use the real clock and random ids")]

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{sync::Arc, time::Duration};
use tenantry_backup::{
    MIGRATOR,
    domain::{
        Operation, Policy, Snapshot,
        operation::{Checkpoint, Verb},
        snapshot::Kind,
    },
    store::{SCHEMA, Store, operation, policy, retention, snapshot},
};
use tenantry_db::{PoolSettings, SystemDb, TenantDb, context, migrate, tenancy_migrator};
use tenantry_kernel::{
    Brand, Ctx, Limits, Placement, Principal, Reason, RequestId, TenantId, TenantRoute, TenantStatus,
};
use tenantry_operations::{Claim, State, is_lost, lease};
use uuid::Uuid;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const HARDEN: &str = include_str!("../../../../deploy/dev/harden.sql");
const LEASE: Duration = Duration::from_secs(15);

struct Base {
    servers: tenantry_testkit::World,
    name: String,
    store: Store,
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
    async fn new() -> Self {
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
    async fn sql(&self, sql: &str) {
        run(&mut self.superuser().await, sql).await;
    }
    async fn count(&self, sql: &str) -> i64 {
        let mut own = self.superuser().await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut own)
            .await
            .expect("a count")
    }
    /// An operation on a snapshot of its own, and that snapshot.
    async fn start(&self, tenant: TenantId, verb: Verb, kind: Kind) -> (Operation, Snapshot) {
        let (id, now) = (Uuid::now_v7(), Utc::now());
        let snapshot = Snapshot::new(Uuid::now_v7(), kind, String::new(), id, now);
        let operation = Operation::new(id, verb, snapshot.id, String::new(), now);
        let mut tx = self.store.begin(&ctx(tenant)).await.expect("begun");
        snapshot::insert(&mut tx, tenant, &snapshot).await.expect("added");
        operation::insert(&mut tx, tenant, &operation).await.expect("added");
        tx.commit().await.expect("committed");
        (operation, snapshot)
    }
    async fn claim(&self, limit: i64) -> Vec<Claim> {
        let mut tx = self.store.begin_system("test").await.expect("begun");
        let claims = operation::claim(&mut tx, Uuid::now_v7(), limit, LEASE)
            .await
            .expect("claimed");
        tx.commit().await.expect("committed");
        claims
    }
    async fn later(&self, claim: &Claim) {
        let mut tx = self.store.begin(&ctx(claim.tenant)).await.expect("begun");
        lease::retry_later(&mut tx, SCHEMA, claim, "away", Duration::from_secs(60))
            .await
            .expect("ours");
        tx.commit().await.expect("committed");
    }
    async fn finish(&self, claim: &Claim) {
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
    async fn policy(&self, tenant: TenantId, next: DateTime<Utc>) {
        let mut standard = Policy::standard(tenant, Utc::now()).expect("parses");
        (standard.next_time, standard.keep_last) = (Some(next), 1);
        let mut tx = self.store.begin_system("test").await.expect("begun");
        policy::ensure(&mut tx, tenant, &standard).await.expect("added");
        tx.commit().await.expect("committed");
    }
    async fn ages(&self, active: &[TenantId]) -> (f64, i64) {
        let active: Vec<_> = active.iter().map(|tenant| tenant.uuid()).collect();
        let mut tx = self.store.begin_system("test").await.expect("begun");
        retention::ages(&mut tx, Utc::now(), &active).await.expect("ages")
    }
    async fn mark(&self) -> u64 {
        let mut tx = self.store.begin_system("test").await.expect("begun");
        let marked = retention::mark(&mut tx, Utc::now()).await.expect("marked");
        tx.commit().await.expect("committed");
        marked
    }
    async fn drop(self) {
        self.store.close().await;
        let mut admin = PgConnection::connect(&self.servers.db.superuser["postgres"])
            .await
            .expect("superuser");
        run(&mut admin, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

fn tenant() -> TenantId {
    TenantId::from_uuid(Uuid::now_v7())
}

fn ctx(tenant: TenantId) -> Ctx {
    let route = TenantRoute {
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
    };
    let token = context::mint(KEY, 1, tenant, "tenantry_backup", Utc::now() + TimeDelta::seconds(300));
    Ctx::new(Principal::service("backup"), RequestId::parse("test").expect("plain"))
        .with_route(Arc::new(route))
        .with_db(Some(token))
}

#[tokio::test]
async fn operations_of_a_tenant_take_turns_also_while_one_waits_for_its_next_try() {
    let base = Base::new().await;
    let (a, b) = (tenant(), tenant());
    let (first, _) = base.start(a, Verb::RestoreSnapshot, Kind::OnDemand).await;
    let (second, _) = base.start(a, Verb::RestoreSnapshot, Kind::OnDemand).await;
    let (other, _) = base.start(b, Verb::CreateSnapshot, Kind::OnDemand).await;
    let claims = base.claim(10).await;
    let claimed: Vec<_> = claims.iter().map(|claim| claim.operation).collect();
    assert_eq!(claimed.len(), 2, "one a tenant");
    assert!(claimed.contains(&first.id) && claimed.contains(&other.id));
    assert_eq!(base.claim(10).await, [], "leased");
    let claim = claims
        .into_iter()
        .find(|claim| claim.operation == first.id)
        .expect("claimed");
    base.later(&claim).await;
    assert_eq!(
        base.claim(10).await,
        [],
        "the second waits for the first, which waits for its next try"
    );
    base.sql("UPDATE backup.operations SET next_time = now() WHERE lease_owner IS NULL")
        .await;
    let again = base.claim(10).await;
    assert_eq!(
        again
            .iter()
            .map(|claim| (claim.operation, claim.attempt))
            .collect::<Vec<_>>(),
        [(first.id, 2)]
    );
    base.finish(&again[0]).await;
    assert_eq!(
        base.claim(10)
            .await
            .iter()
            .map(|claim| claim.operation)
            .collect::<Vec<_>>(),
        [second.id]
    );
    base.drop().await;
}

#[tokio::test]
async fn tries_are_counted_until_an_operation_gets_further_than_ever() {
    let base = Base::new().await;
    let a = tenant();
    base.start(a, Verb::RestoreSnapshot, Kind::OnDemand).await;
    let mut checkpoint = Checkpoint::default();
    for attempt in 1..=12 {
        let claim = base.claim(1).await.pop().expect("due");
        assert_eq!(claim.attempt, attempt);
        let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
        // Each try passes all steps, and takes a copy of its own.
        for step in ["verify", "snapshot", "restore"] {
            operation::advance(&mut tx, &claim, step, 0, 10, LEASE)
                .await
                .expect("ours");
        }
        checkpoint.before_restore = Some(Uuid::now_v7());
        let further = checkpoint.height() > checkpoint.high;
        operation::checkpoint(&mut tx, &claim, &checkpoint, further)
            .await
            .expect("ours");
        lease::retry_later(&mut tx, SCHEMA, &claim, "away", Duration::ZERO)
            .await
            .expect("ours");
        tx.commit().await.expect("committed");
    }
    // Further than ever once: the tries before do not count. As far again is no progress.
    checkpoint.committed = true;
    assert_eq!((checkpoint.height(), checkpoint.high), (3, 0));
    for expected in [13, 2, 3] {
        let claim = base.claim(1).await.pop().expect("due");
        assert_eq!(claim.attempt, expected);
        let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
        let further = checkpoint.height() > checkpoint.high;
        checkpoint.high = checkpoint.height();
        operation::checkpoint(&mut tx, &claim, &checkpoint, further)
            .await
            .expect("ours");
        lease::retry_later(&mut tx, SCHEMA, &claim, "away", Duration::ZERO)
            .await
            .expect("ours");
        tx.commit().await.expect("committed");
    }
    // What is parked has not been tried.
    for _ in 0..3 {
        let claim = base.claim(1).await.pop().expect("due");
        assert_eq!(claim.attempt, 4);
        let mut tx = base.store.begin_system("test").await.expect("begun");
        operation::park(&mut tx, &claim, Duration::ZERO).await.expect("ours");
        let lost = operation::park(&mut tx, &claim, Duration::ZERO)
            .await
            .expect_err("given back");
        assert!(is_lost(&lost));
        tx.commit().await.expect("committed");
    }
    base.drop().await;
}

#[tokio::test]
async fn who_cancels_does_not_wait_for_the_next_try() {
    let base = Base::new().await;
    let a = tenant();
    let (operation, _) = base.start(a, Verb::CreateSnapshot, Kind::OnDemand).await;
    let claim = base.claim(1).await.pop().expect("due");
    base.later(&claim).await;
    assert_eq!(base.claim(1).await, []);
    let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
    assert!(
        lease::request_cancel(&mut tx, SCHEMA, operation.id)
            .await
            .expect("asked")
    );
    tx.commit().await.expect("committed");
    assert_eq!(base.claim(1).await.len(), 1);
    base.drop().await;
}

#[tokio::test]
async fn what_is_corrupt_or_in_work_does_not_expire() {
    let base = Base::new().await;
    let a = tenant();
    base.policy(a, Utc::now() + TimeDelta::days(1)).await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(base.start(a, Verb::RestoreSnapshot, Kind::BeforeRestore).await);
    }
    base.sql("UPDATE backup.snapshots SET state = 'ready', expire_time = now() - interval '1 day'")
        .await;
    // All four operations run: each has made a snapshot that it may need.
    assert_eq!(base.mark().await, 0);
    let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
    for (operation, snapshot) in &made {
        let mut copy = snapshot.clone();
        copy.id = Uuid::now_v7();
        assert!(
            operation::works_on(&mut tx, &copy).await.expect("asked"),
            "the operation that made it runs"
        );
        assert_eq!(copy.operation, operation.id);
    }
    tx.commit().await.expect("committed");
    let [first, second] = [made[0].1.id, made[1].1.id];
    base.sql(&format!("UPDATE backup.operations SET state = 'succeeded'; UPDATE backup.snapshots SET state = 'corrupt' WHERE id IN ('{first}', '{second}')")).await;
    // Of the two that are ready the older one goes; the corrupt ones stay.
    assert_eq!(base.mark().await, 1);
    let left = "SELECT count(*) FROM backup.snapshots WHERE state = 'corrupt'";
    assert_eq!(base.count(left).await, 2);
    base.drop().await;
}

#[tokio::test]
async fn finished_operations_are_forgotten_after_a_while() {
    let base = Base::new().await;
    let a = tenant();
    for _ in 0..3 {
        base.start(a, Verb::CreateSnapshot, Kind::OnDemand).await;
    }
    let claim = base.claim(1).await.pop().expect("due");
    base.finish(&claim).await;
    base.sql("UPDATE backup.operations SET update_time = now() - interval '31 days'")
        .await;
    let mut tx = base.store.begin_system("test").await.expect("begun");
    let until = Utc::now() - TimeDelta::days(30);
    assert_eq!(
        retention::forget_operations(&mut tx, until).await.expect("forgotten"),
        1
    );
    tx.commit().await.expect("committed");
    let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
    assert_eq!(operation::running(&mut tx).await.expect("a count"), 2);
    drop(tx);
    base.drop().await;
}

#[tokio::test]
async fn a_snapshot_that_is_removed_while_it_is_written_does_not_become_ready() {
    let base = Base::new().await;
    let a = tenant();
    let (_, found) = base.start(a, Verb::CreateSnapshot, Kind::OnDemand).await;
    let manifest = tenantry_backup::domain::Manifest {
        version: 1,
        tenant: a,
        snapshot: found.id,
        snapshot_time: Utc::now(),
        create_time: Utc::now(),
        data_format: 1,
        key_version: 1,
        types: Vec::new(),
        segments: Vec::new(),
        totals: tenantry_backup::domain::manifest::Totals::default(),
    };
    let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
    snapshot::deleting(&mut tx, found.id).await.expect("marked");
    let refused = snapshot::ready(&mut tx, &manifest, None)
        .await
        .expect_err("it is going");
    assert_eq!(refused.reason(), Reason::FailedPrecondition);
    drop(tx);
    base.drop().await;
}

#[tokio::test]
async fn a_scheduled_start_waits_for_the_one_before_and_for_its_tenant() {
    let base = Base::new().await;
    let (a, suspended) = (tenant(), tenant());
    let due = Utc::now() - TimeDelta::minutes(1);
    for tenant in [a, suspended] {
        base.policy(tenant, due).await;
    }
    let found = async || {
        let mut tx = base.store.begin_system("test").await.expect("begun");
        let found = policy::due(&mut tx, Utc::now(), &[a.uuid()], 10).await.expect("due");
        found.into_iter().map(|(tenant, _)| tenant).collect::<Vec<_>>()
    };
    assert_eq!(
        found().await,
        [a],
        "whose tenant is not active is not due, and stays so"
    );
    base.start(a, Verb::CreateSnapshot, Kind::Scheduled).await;
    assert_eq!(found().await, []);
    base.sql("UPDATE backup.snapshots SET state = 'failed'").await;
    assert_eq!(found().await, [a]);
    base.drop().await;
}

#[tokio::test]
async fn only_active_tenants_whose_time_has_come_are_without_a_snapshot() {
    let base = Base::new().await;
    let now = Utc::now();
    let [fresh, overdue, failed, suspended, deleted, good] = std::array::from_fn(|_| tenant());
    for tenant in [fresh, failed, suspended, deleted, good] {
        base.policy(tenant, now + TimeDelta::hours(3)).await;
    }
    base.policy(overdue, now - TimeDelta::hours(1)).await;
    for tenant in [failed, suspended, deleted, good] {
        base.start(tenant, Verb::CreateSnapshot, Kind::Scheduled).await;
    }
    base.sql(&format!(
        "UPDATE backup.snapshots SET state = 'failed'; UPDATE backup.snapshots SET state = 'ready', snapshot_time = now() - interval '2 days' WHERE tenant_id = '{deleted}';
         UPDATE backup.snapshots SET state = 'ready', snapshot_time = now() - interval '1 hour' WHERE tenant_id = '{good}'"
    )).await;
    assert_eq!(base.ages(&[fresh]).await, (0.0, 0), "its first snapshot is not due yet");
    assert_eq!(base.ages(&[overdue]).await.1, 1);
    assert_eq!(base.ages(&[failed]).await.1, 1);
    let (oldest, without) = base.ages(&[fresh, overdue, failed, good]).await;
    assert_eq!(without, 2, "suspended and deleted tenants do not count");
    assert!((3_500.0..3_800.0).contains(&oldest), "{oldest}");
    base.start(fresh, Verb::CreateSnapshot, Kind::Scheduled).await;
    assert_eq!(base.ages(&[fresh]).await.1, 0, "the first one is being taken");
    base.drop().await;
}
