//! The signed context: what opens a tenant's rows and what does not.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panic and use the real clock"
)]

use crate::world::{KEY, ROLE, World, call, good, id, run, tenant, token};
use chrono::{TimeDelta, Utc};
use sqlx::{PgConnection, Row};
use tenantry_db::{context, query, sqlstate};
use tenantry_kernel::{DbContext, Kind, Reason};

/// Runs one transaction as the service's login with `ctx` as the setting, and counts the notes it sees.
async fn count(conn: &mut PgConnection, ctx: &str) -> Result<i64, String> {
    run(conn, "BEGIN").await;
    sqlx::query("SELECT set_config('tenancy.ctx', $1, true)")
        .bind(ctx)
        .execute(&mut *conn)
        .await
        .unwrap();
    let seen = sqlx::query("SELECT count(*) FROM app.notes")
        .fetch_one(&mut *conn)
        .await;
    run(conn, "ROLLBACK").await;
    match seen {
        Ok(row) => Ok(row.get(0)),
        Err(error) => Err(error.as_database_error().unwrap().code().unwrap().into_owned()),
    }
}

async fn two_tenants(world: &World) {
    let db = world.tenants(1);
    for n in [1, 2] {
        let mut tx = db.begin(&good(tenant(n))).await.unwrap();
        let insert = query("INSERT INTO app.notes VALUES ($1, $2, $3)")
            .bind(tx.tenant().uuid())
            .bind(id(n))
            .bind(format!("note of {n}"));
        assert_eq!(tx.execute(insert).await.unwrap(), 1);
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_tenant_sees_its_own_rows_and_can_write_no_others() {
    let world = World::new().await;
    two_tenants(&world).await;
    let db = world.tenants(2);
    let ctx = good(tenant(1));
    let mut tx = db.begin(&ctx).await.unwrap();
    let rows = tx.fetch_all(query("SELECT text FROM app.notes")).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>(),
        ["note of 1"]
    );
    assert_eq!(
        tx.execute(query("UPDATE app.notes SET text = 'x' WHERE id = $1").bind(id(2)))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        tx.execute(query("DELETE FROM app.notes WHERE tenant_id = $1").bind(tenant(2).uuid()))
            .await
            .unwrap(),
        0
    );
    assert_eq!((ctx.tally().queries(), ctx.tally().rows()), (3, 1));
    let foreign = query("INSERT INTO app.notes VALUES ($1, $2, 'planted')")
        .bind(tenant(2).uuid())
        .bind(id(9));
    assert_eq!(
        sqlstate(&tx.execute(foreign).await.unwrap_err()).as_deref(),
        Some("42501")
    );
    drop(tx);
    let mut sys = world.system().begin("test").await.unwrap();
    assert_eq!(
        sys.fetch_one(query("SELECT count(*) FROM app.notes"))
            .await
            .unwrap()
            .get::<i64, _>(0),
        2
    );
    drop(sys);
    world.drop().await;
}

#[tokio::test]
async fn no_context_shows_nothing_and_a_bad_one_is_an_error() {
    let world = World::new().await;
    two_tenants(&world).await;
    let mut conn = world.raw(ROLE).await;
    let now = Utc::now();
    let (a, b) = (tenant(1), tenant(2));
    let good = token(a).expose().to_owned();
    assert_eq!(count(&mut conn, &good).await, Ok(1));
    assert_eq!(count(&mut conn, "").await, Ok(0));

    let later = now + TimeDelta::seconds(60);
    let wrong = |key: &[u8], kid, role: &str, exp| context::mint(key, kid, a, role, exp).expose().to_owned();
    let zero_mac = format!("{}.{}", good.rsplit_once('.').unwrap().0, "0".repeat(64));
    let forgeries = [
        ("garbage", "garbage".to_owned()),
        ("a bare tenant id", a.to_string()),
        (
            "another tenant's id in a signed text",
            good.replace(&a.to_string(), &b.to_string()),
        ),
        (
            "a later expiry in a signed text",
            good.replace(
                &format!(".{}.", later.timestamp()),
                &format!(".{}.", later.timestamp() + 9999),
            ),
        ),
        ("no signature", zero_mac),
        ("upper-case signature", good.to_uppercase().replace("V1", "v1")),
        ("another key", wrong(&[7; 32], 1, ROLE, later)),
        ("an unknown kid", wrong(KEY, 2, ROLE, later)),
        ("another role", wrong(KEY, 1, "tenantry_auth", later)),
        ("the owner", wrong(KEY, 1, "tenantry_owner", later)),
        ("expired", wrong(KEY, 1, ROLE, now - TimeDelta::seconds(1))),
        ("a kid that is no number", good.replacen("v1.1.", "v1.x.", 1)),
        ("a kid that overflows", good.replacen("v1.1.", "v1.99999999999.", 1)),
        ("one part more", good.replacen("v1.", "v1.1.", 1)),
        ("another version", good.replacen("v1.", "v2.", 1)),
    ];
    for (what, forged) in forgeries {
        assert_eq!(count(&mut conn, &forged).await, Err("28000".to_owned()), "{what}");
    }
    drop(conn);
    world.drop().await;
}

#[tokio::test]
async fn begin_refuses_a_call_without_or_with_another_tenants_context() {
    let world = World::new().await;
    let db = world.tenants(1);
    assert_eq!(
        db.begin(&call(tenant(1), None)).await.unwrap_err().kind(),
        Kind::Internal
    );
    assert_eq!(
        db.begin(&call(tenant(1), Some(token(tenant(2)))))
            .await
            .unwrap_err()
            .kind(),
        Kind::Internal
    );
    let mut tx = db
        .begin(&call(
            tenant(1),
            Some(context::mint(
                &[1; 32],
                1,
                tenant(1),
                ROLE,
                Utc::now() + TimeDelta::seconds(9),
            )),
        ))
        .await
        .unwrap();
    let error = tx.fetch_all(query("SELECT id FROM app.notes")).await.unwrap_err();
    assert_eq!(
        (sqlstate(&error).as_deref(), error.reason()),
        (Some("28000"), Reason::Internal)
    );
    drop(tx);
    world.drop().await;
}

#[tokio::test]
async fn a_context_changed_within_the_transaction_opens_nothing_else() {
    let world = World::new().await;
    two_tenants(&world).await;
    let mut conn = world.raw(ROLE).await;
    let a = token(tenant(1)).expose().to_owned();
    run(&mut conn, "BEGIN").await;
    sqlx::query("SELECT set_config('tenancy.ctx', $1, true)")
        .bind(&a)
        .execute(&mut conn)
        .await
        .unwrap();
    let forged = a.replace(&tenant(1).to_string(), &tenant(2).to_string());
    run(&mut conn, &format!("SET LOCAL tenancy.ctx = '{forged}'")).await;
    let refused = sqlx::query("SELECT text FROM app.notes")
        .fetch_all(&mut conn)
        .await
        .unwrap_err();
    assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("28000"));
    run(&mut conn, "ROLLBACK").await;
    for attempt in [
        "SET ROLE tenantry_owner",
        "SET ROLE tenantry_business_sys",
        "SET SESSION AUTHORIZATION tenantry_owner",
        "SET row_security = off; SELECT * FROM app.notes",
    ] {
        assert!(sqlx::raw_sql(attempt).execute(&mut conn).await.is_err(), "{attempt}");
    }
    drop(conn);
    world.drop().await;
}

#[tokio::test]
async fn keys_are_installed_by_auth_only_and_stay_retired() {
    let world = World::new().await;
    world.install(1, KEY).await.unwrap(); // again is fine
    assert!(
        world.install(1, &[9; 32]).await.is_err(),
        "another key under a known kid"
    );
    assert!(world.install(3, &[9; 16]).await.is_err(), "a short key");
    world.install(2, &[2; 100]).await.unwrap(); // longer than a block: hashed first
    let minted = |kid, key: &[u8]| context::mint(key, kid, tenant(1), ROLE, Utc::now() + TimeDelta::seconds(60));
    let mut conn = world.raw(ROLE).await;
    assert_eq!(count(&mut conn, minted(2, &[2; 100]).expose()).await, Ok(0));
    let mut auth = world.raw("tenantry_auth_sys").await;
    run(&mut auth, "SELECT tenancy.retire_context_key(1)").await;
    assert_eq!(
        count(&mut conn, token(tenant(1)).expose()).await,
        Err("28000".to_owned())
    );
    assert!(world.install(1, KEY).await.is_err(), "a retired kid");
    for role in [ROLE, "tenantry_business_sys", "tenantry_auth", "tenantry_registry_sys"] {
        let mut conn = world.raw(role).await;
        for sql in [
            "SELECT tenancy.install_context_key(9, '\\x00')",
            "SELECT tenancy.retire_context_key(2)",
            "SELECT * FROM tenancy.context_keys",
        ] {
            let refused = sqlx::raw_sql(sql).execute(&mut conn).await.unwrap_err();
            assert_eq!(
                refused.as_database_error().unwrap().code().as_deref(),
                Some("42501"),
                "{role}: {sql}"
            );
        }
    }
    assert!(
        sqlx::raw_sql("SELECT * FROM tenancy.context_keys")
            .execute(&mut auth)
            .await
            .is_err()
    );
    drop((conn, auth));
    world.drop().await;
}

/// The wall is the policy: without it this suite would go red.
#[tokio::test]
async fn without_the_policy_isolation_is_gone_and_the_tests_would_say_so() {
    let world = World::new().await;
    two_tenants(&world).await;
    let mut conn = world.raw(ROLE).await;
    let a = token(tenant(1)).expose().to_owned();
    assert_eq!(count(&mut conn, &a).await, Ok(1));
    world
        .ddl("DROP POLICY tenant_isolation ON app.notes; CREATE POLICY open ON app.notes USING (true)")
        .await;
    assert_eq!(count(&mut conn, &a).await, Ok(2));
    world.ddl("DROP POLICY open ON app.notes").await;
    assert_eq!(count(&mut conn, &a).await, Ok(0));
    let none = DbContext::new("");
    assert_eq!(count(&mut conn, none.expose()).await, Ok(0));
    drop(conn);
    world.drop().await;
}
