//! Decision 32: the attacker runs any SQL in A's transaction, then the victim B uses the same backend, then the
//! attacker looks again. Nothing of B may be found, and B must be served.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use crate::world::{World, good, id, tenant, token};
use sqlx::Row;
use tenantry_db::{TenantDb, Tx, query};

/// Every attack is one statement of A, as an injection would be.
async fn attack(tx: &mut Tx, sql: impl Into<String>) -> Result<Vec<sqlx::postgres::PgRow>, tenantry_kernel::Error> {
    tx.fetch_all(query(sql)).await
}

async fn pid(tx: &mut Tx) -> i32 {
    tx.fetch_one(query("SELECT pg_catalog.pg_backend_pid()"))
        .await
        .unwrap()
        .get(0)
}

/// The victim's request: writes and reads its own row.
async fn victim(db: &TenantDb, n: u128) -> i32 {
    let mut tx = db.begin(&good(tenant(2))).await.unwrap();
    let insert = query("INSERT INTO app.notes VALUES ($1::pg_catalog.uuid, $2, 'größe ✓' || $3)")
        .bind(tenant(2).uuid())
        .bind(id(n))
        .bind(n.to_string());
    assert_eq!(tx.execute(insert).await.unwrap(), 1);
    let rows = tx
        .fetch_all(query("SELECT tenant_id, text FROM app.notes WHERE id = $1").bind(id(n)))
        .await
        .unwrap();
    assert_eq!(rows[0].get::<uuid::Uuid, _>(0), tenant(2).uuid());
    assert_eq!(rows[0].get::<String, _>(1), format!("größe ✓{n}"));
    let pid = pid(&mut tx).await;
    tx.commit().await.unwrap();
    pid
}

#[tokio::test]
async fn planted_statements_and_settings_do_not_meet_the_next_tenant() {
    let world = World::new().await;
    let db = world.tenants(1);
    let before = victim(&db, 1).await;
    let mut tx = db.begin(&good(tenant(1))).await.unwrap();
    attack(&mut tx, "DEALLOCATE ALL").await.unwrap();
    for n in 0..40 {
        let planted = "AS SELECT pg_catalog.set_config('leak.token', $1, false), ''";
        attack(&mut tx, format!("PREPARE sqlx_s_{n} (text) {planted}"))
            .await
            .unwrap();
    }
    attack(&mut tx, "DECLARE planted CURSOR WITH HOLD FOR SELECT * FROM app.notes")
        .await
        .unwrap();
    // Out of the transaction, so that what is set stays.
    attack(&mut tx, "COMMIT").await.unwrap();
    let own = token(tenant(1)).expose().to_owned();
    for (name, value) in [
        ("tenancy.ctx", own.as_str()),
        ("search_path", "pg_temp, app, pg_catalog"),
        ("client_encoding", "LATIN1"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_isolation", "serializable"),
        ("row_security", "off"),
        ("statement_timeout", "1"),
        ("TimeZone", "Pacific/Apia"),
        ("plan_cache_mode", "force_generic_plan"),
    ] {
        let set = query("SELECT pg_catalog.set_config($1, $2, false)")
            .bind(name)
            .bind(value);
        tx.execute(set).await.unwrap();
        if name == "client_encoding" || name == "statement_timeout" {
            tx.execute(query("SELECT 1")).await.ok();
        }
    }
    tx.rollback().await.ok();
    assert_eq!(victim(&db, 2).await, before, "the same backend");

    let mut tx = db.begin(&good(tenant(1))).await.unwrap();
    assert_eq!(pid(&mut tx).await, before, "the same backend");
    let leaked: Option<String> = attack(&mut tx, "SELECT pg_catalog.current_setting('leak.token', true)")
        .await
        .unwrap()[0]
        .get(0);
    assert!(leaked.is_none_or(|value| value.is_empty()), "the victim's token leaked");
    let named = attack(&mut tx, "SELECT name, statement FROM pg_catalog.pg_prepared_statements")
        .await
        .unwrap();
    assert!(named.is_empty(), "a named statement survived");
    let rows = attack(&mut tx, "SELECT text FROM app.notes").await.unwrap();
    assert!(rows.is_empty(), "A has no rows");
    drop(tx);
    world.drop().await;
}

#[tokio::test]
async fn nothing_can_be_created_that_would_fire_in_another_session() {
    let world = World::new().await;
    let db = world.tenants(1);
    for sql in [
        "CREATE DOMAIN pg_temp.uuid AS pg_catalog.text CHECK (pg_catalog.set_config('leak.x', VALUE, false) IS NOT NULL)",
        "CREATE TEMP TABLE notes (tenant_id uuid)",
        "CREATE TEMP VIEW notes AS SELECT 1",
        "CREATE FUNCTION pg_temp.uuid(text) RETURNS text LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE app.t (i int)",
        "CREATE SCHEMA mine",
        "CREATE OPERATOR app.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = pg_catalog.uuid_ne)",
        "ALTER TABLE app.notes DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON app.notes",
        "CREATE POLICY mine ON app.notes USING (true)",
        "TRUNCATE app.notes",
        "CREATE TRIGGER t BEFORE INSERT ON app.notes FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "SELECT pg_catalog.pg_advisory_lock(1)",
        "SELECT pg_catalog.lo_create(0)",
        "SELECT pg_catalog.pg_terminate_backend(1)",
        "SELECT tenancy.enable_rls('app', 'notes', '{}')",
        "SET session_replication_role = replica",
        "SET ROLE tenantry_owner",
    ] {
        let mut tx = db.begin(&good(tenant(1))).await.unwrap();
        assert!(attack(&mut tx, sql).await.is_err(), "{sql}");
    }
    victim(&db, 1).await;
    world.drop().await;
}

#[tokio::test]
async fn a_token_in_use_is_not_visible_to_the_same_login() {
    let world = World::new().await;
    let db = world.tenants(2);
    let mut victim = db.begin(&good(tenant(2))).await.unwrap();
    let mut tx = db.begin(&good(tenant(1))).await.unwrap();
    assert_ne!(pid(&mut victim).await, pid(&mut tx).await);
    if let Ok(rows) = attack(&mut tx, "SELECT query FROM pg_catalog.pg_stat_activity").await {
        let text: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
        assert!(!format!("{text:?}").contains(&tenant(2).to_string()));
    }
    drop((victim, tx));
    world.drop().await;
}
