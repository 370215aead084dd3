//! Deadlines, lost connections, retries, migrations.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use crate::world::{World, call, good, id, run, tenant, token};
use sqlx::{Row, migrate::Migration};
use std::{
    borrow::Cow,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tenantry_db::{
    DdlDb, Migrator, PoolSettings, RetryPolicy, TenantDb, ensure_current, migrate, pending, query, retry,
    tenancy_migrator,
};
use tenantry_kernel::{Error, Kind, Reason};

async fn notes(db: &TenantDb) -> usize {
    db.begin(&good(tenant(1)))
        .await
        .unwrap()
        .fetch_all(query("SELECT id FROM app.notes"))
        .await
        .unwrap()
        .len()
}

async fn add(db: &TenantDb, n: u128) -> tenantry_db::Tx {
    let mut tx = db.begin(&good(tenant(1))).await.unwrap();
    tx.execute(
        query("INSERT INTO app.notes VALUES ($1, $2, $3)")
            .bind(tenant(1).uuid())
            .bind(id(n))
            .bind(n.to_string()),
    )
    .await
    .unwrap();
    tx
}

#[tokio::test]
async fn dropped_is_rolled_back_and_the_connection_serves_on() {
    let world = World::new().await;
    let db = world.tenants(1);
    drop(add(&db, 1).await);
    assert_eq!(notes(&db).await, 0);
    add(&db, 1).await.commit().await.unwrap();
    assert_eq!(notes(&db).await, 1);
    world.drop().await;
}

async fn number(conn: &mut sqlx::PgConnection, sql: &str) -> i64 {
    let row = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(conn);
    row.await.unwrap().get(0)
}

/// Who the server thinks is talking.
async fn backend(db: &TenantDb) -> i32 {
    let mut tx = db.begin(&good(tenant(1))).await.unwrap();
    let row = tx.fetch_one(query("SELECT pg_catalog.pg_backend_pid()")).await.unwrap();
    row.get(0)
}

#[tokio::test]
async fn a_caller_that_goes_while_its_transaction_opens_leaves_none_open() {
    let world = World::new().await;
    let (db, mut admin) = (world.tenants(1), world.superuser().await);
    let before = backend(&db).await;
    run(&mut admin, "BEGIN; LOCK TABLE app.notes IN ACCESS EXCLUSIVE MODE").await;
    let (ctx, tables) = (good(tenant(1)), ["app.notes".to_owned()]);
    let waits = format!("SELECT count(*) FROM pg_locks WHERE pid = {before} AND NOT granted");
    tokio::select! {
        _ = db.begin_snapshot(&ctx, &tables, Duration::from_secs(60)) => panic!("the table is locked"),
        () = async { while number(&mut admin, &waits).await == 0 {} } => {}
    }
    run(&mut admin, "ROLLBACK").await;
    assert_ne!(backend(&db).await, before, "its connection is not used again");
    world.drop().await;
}

#[tokio::test]
async fn a_deadline_ends_the_statement_and_a_cancelled_call_its_connection() {
    let world = World::new().await;
    let db = world.tenants(1);
    let ctx = good(tenant(1)).with_deadline(Some(Instant::now() + Duration::from_millis(300)));
    let mut tx = db.begin(&ctx).await.unwrap();
    let error = tx.execute(query("SELECT pg_catalog.pg_sleep(20)")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::DeadlineExceeded);
    drop(tx);
    assert_eq!(notes(&db).await, 0);

    // The server does not help here: the statement switches its own timeout off.
    let ctx = good(tenant(1)).with_deadline(Some(Instant::now() + Duration::from_millis(300)));
    let mut tx = db.begin(&ctx).await.unwrap();
    tx.execute(query("SET LOCAL statement_timeout = 0")).await.unwrap();
    let error = tx.execute(query("SELECT pg_catalog.pg_sleep(20)")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::DeadlineExceeded);
    drop(tx);
    assert_eq!(notes(&db).await, 0);

    let mut tx = db.begin(&good(tenant(1))).await.unwrap();
    let cancelled = tokio::time::timeout(
        Duration::from_millis(50),
        tx.fetch_all(query("SELECT 'stale', pg_catalog.pg_sleep(20)")),
    )
    .await;
    assert!(cancelled.is_err());
    drop(tx);
    assert_eq!(notes(&db).await, 0);
    world.drop().await;
}

#[tokio::test]
async fn a_busy_pool_is_overloaded_and_an_absent_server_unavailable() {
    let world = World::new().await;
    let db = world.tenants(1);
    let held = db.begin(&good(tenant(1))).await.unwrap();
    assert_eq!(
        db.begin(&good(tenant(1))).await.unwrap_err().reason(),
        Reason::Overloaded
    );
    let ctx = call(tenant(1), Some(token(tenant(1)))).with_deadline(Some(Instant::now() + Duration::from_millis(100)));
    assert_eq!(db.begin(&ctx).await.unwrap_err().reason(), Reason::DeadlineExceeded);
    drop(held);
    let nowhere = TenantDb::connect(PoolSettings::new("postgres://a:b@127.0.0.1:1/none", 4), 0).unwrap();
    assert_eq!(
        nowhere.begin(&good(tenant(1))).await.unwrap_err().kind(),
        Kind::Unavailable
    );
    world.drop().await;
}

#[tokio::test]
async fn connections_that_died_while_idle_are_replaced_unseen() {
    let world = World::new().await;
    let db = world.tenants(3);
    let open = [add(&db, 1).await, add(&db, 2).await, add(&db, 3).await];
    for tx in open {
        tx.commit().await.unwrap();
    }
    let mut admin = world.superuser().await;
    run(&mut admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tenantry_business' AND datname = current_database()").await;
    assert_eq!(notes(&db).await, 3);
    drop(admin);
    world.drop().await;
}

#[tokio::test]
async fn ddl_runs_as_the_owner_again_and_again() {
    let world = World::new().await;
    let ddl = DdlDb::connect(PoolSettings::new(world.url("tenantry_ddl"), 9)).unwrap();
    for _ in 0..3 {
        let mut tx = ddl.begin("test").await.unwrap();
        let row = tx
            .fetch_one(query(
                "SELECT current_user::pg_catalog.text, session_user::pg_catalog.text",
            ))
            .await
            .unwrap();
        assert_eq!(
            (row.get::<String, _>(0), row.get::<String, _>(1)),
            ("tenantry_owner".to_owned(), "tenantry_ddl".to_owned())
        );
    }
    let mut tx = ddl.begin("test").await.unwrap();
    assert!(tx.execute_script("CREATE TABLE unqualified (i int)").await.is_err());
    drop(tx);
    world.drop().await;
}

#[tokio::test]
async fn retries_end() {
    let policy = RetryPolicy {
        attempts: 3,
        base: Duration::from_millis(1),
        max: Duration::from_millis(2),
    };
    let runs = AtomicU32::new(0);
    let count = || runs.fetch_add(1, Ordering::Relaxed) + 1;
    let done = retry("second time", policy, || async {
        if count() < 2 {
            Err(Error::new(Reason::Conflict, "again"))
        } else {
            Ok(7)
        }
    })
    .await;
    assert_eq!((done.unwrap(), runs.swap(0, Ordering::Relaxed)), (7, 2));
    let failed: Result<(), _> = retry("never", policy, || async {
        count();
        Err(Error::unavailable("away"))
    })
    .await;
    assert_eq!(
        (failed.unwrap_err().reason(), runs.swap(0, Ordering::Relaxed)),
        (Reason::Unavailable, 3)
    );
    let failed: Result<(), _> = retry("no use", policy, || async {
        count();
        Err(Error::not_found())
    })
    .await;
    assert_eq!(
        (failed.unwrap_err().reason(), runs.load(Ordering::Relaxed)),
        (Reason::NotFound, 1)
    );
}

fn migrations(texts: &[&'static str]) -> Migrator {
    let one = |(n, sql): (usize, &&'static str)| {
        let version = i64::try_from(n).unwrap() + 1;
        Migration::new(
            version,
            Cow::Borrowed("test"),
            sqlx::migrate::MigrationType::Simple,
            sqlx::SqlSafeStr::into_sql_str(*sql),
            false,
        )
    };
    Migrator::with_migrations(texts.iter().enumerate().map(one).collect())
}

#[tokio::test]
async fn run_refuses_pending_and_altered_migrations() {
    let world = World::new().await;
    let (ddl, own) = (world.url("tenantry_ddl"), world.url("tenantry_business"));
    assert!(
        migrate(&ddl, "tenancy", tenancy_migrator())
            .await
            .unwrap()
            .applied
            .is_empty(),
        "again is fine"
    );
    ensure_current(&own, "tenancy", tenancy_migrator()).await.unwrap();

    let one = migrations(&["CREATE TABLE svc.a (i int)"]);
    assert_eq!(pending(&own, "svc", &one).await.unwrap().missing, [1]);
    // Two at once: the lock lets one apply and the other find it applied.
    let (first, second) = tokio::join!(migrate(&ddl, "svc", &one), migrate(&ddl, "svc", &one));
    assert_eq!((first.unwrap().total, second.unwrap().total), (1, 1));
    ensure_current(&own, "svc", &one).await.unwrap();

    let two = migrations(&["CREATE TABLE svc.a (i int)", "CREATE TABLE svc.b (i int); SELECT 1/0"]);
    assert_eq!(
        ensure_current(&own, "svc", &two).await.unwrap_err().reason(),
        Reason::FailedPrecondition
    );
    assert!(migrate(&ddl, "svc", &two).await.is_err());
    assert_eq!(
        pending(&own, "svc", &two).await.unwrap().missing,
        [2],
        "a failed migration leaves nothing"
    );
    let fixed = migrations(&["CREATE TABLE svc.a (i int)", "CREATE TABLE svc.b (i int)"]);
    assert_eq!(migrate(&ddl, "svc", &fixed).await.unwrap().applied, [2]);
    assert_eq!(
        pending(&own, "svc", &one).await.unwrap().newer,
        [2],
        "an older binary serves on during a rollout"
    );
    ensure_current(&own, "svc", &one).await.unwrap();

    let altered = migrations(&["CREATE TABLE svc.a (i bigint)", "CREATE TABLE svc.b (i int)"]);
    assert_eq!(pending(&own, "svc", &altered).await.unwrap().altered, [1]);
    assert!(ensure_current(&own, "svc", &altered).await.is_err() && migrate(&ddl, "svc", &altered).await.is_err());
    world.drop().await;
}

#[tokio::test]
async fn a_snapshot_shows_one_moment_of_one_tenant_and_changes_nothing() {
    let world = World::new().await;
    let db = world.tenants(2);
    add(&db, 1).await.commit().await.unwrap();
    let mut admin = world.superuser().await;
    let foreign = format!(
        "INSERT INTO app.notes VALUES ('{}', '{}', 'foreign')",
        tenant(2).uuid(),
        id(9)
    );
    run(&mut admin, &foreign).await;
    let begin = || async {
        let relations = ["app.notes".to_owned()];
        db.begin_snapshot(&good(tenant(1)), &relations, Duration::from_secs(60))
            .await
            .unwrap()
    };
    let mut snapshot = begin().await;
    add(&db, 2).await.commit().await.unwrap();
    let mut text = Vec::new();
    let mut copy = snapshot
        .copy_out("COPY (SELECT id FROM app.notes) TO STDOUT")
        .await
        .unwrap();
    while copy.read(&mut text).await.unwrap() {}
    drop(copy);
    assert_eq!(String::from_utf8(text).unwrap(), format!("{}\n", id(1)));
    // Its tables stand still.
    let mut other = world.superuser().await;
    let locked = sqlx::raw_sql("SET lock_timeout = '50ms'; ALTER TABLE app.notes ADD COLUMN x int")
        .execute(&mut other)
        .await;
    assert!(locked.unwrap_err().to_string().contains("lock timeout"));
    let write = snapshot.execute(query("DELETE FROM app.notes")).await;
    assert!(write.is_err(), "a snapshot is read-only");
    drop(snapshot);
    // Dropped in the middle, its connection is not used again, and the tenant's others are.
    let mut snapshot = begin().await;
    let mut copy = snapshot
        .copy_out("COPY (SELECT pg_catalog.generate_series(1, 1000000)) TO STDOUT")
        .await
        .unwrap();
    assert!(copy.read(&mut Vec::new()).await.unwrap());
    drop(copy);
    drop(snapshot);
    assert_eq!(notes(&db).await, 2);
    let none = db
        .begin_snapshot(&call(tenant(1), None), &[], Duration::from_secs(60))
        .await
        .unwrap_err();
    assert_eq!(none.reason(), Reason::Internal);
    drop((admin, other));
    world.drop().await;
}
