//! PostgreSQL attacked as the service role itself: what SQL injected into business could do.

use crate::fixture::text;
use serde_json::json;
use sqlx::{Connection, PgConnection, Row};
use std::borrow::Cow;
use tenantry_api::auth::{IssueDatabaseContextRequest, token_service_client::TokenServiceClient};
use tenantry_testkit::World;
use tenantry_tests::{Operator, Tenant};
use tonic::{Request, transport::Channel};

async fn business(world: &World) -> PgConnection {
    PgConnection::connect(&world.db.roles["tenantry_business"]["tenantry_data"])
        .await
        .expect("the service role can connect")
}

/// A real context for `tenant`, as a background job of `service` would get it.
async fn context(world: &World, service: &str, tenant: &Tenant) -> String {
    let channel = Channel::from_shared(world.grpc_urls["auth"].clone())
        .expect("a URL")
        .connect()
        .await
        .expect("auth answers");
    let mut request = Request::new(IssueDatabaseContextRequest {
        tenant_id: tenant.id.clone(),
        purpose: "test".into(),
    });
    request
        .metadata_mut()
        .insert("x-tenantry-service", service.parse().expect("ASCII"));
    request.metadata_mut().insert(
        "x-tenantry-service-secret",
        world.service_secrets[service].parse().expect("ASCII"),
    );
    TokenServiceClient::new(channel)
        .issue_database_context(request)
        .await
        .expect("a context")
        .into_inner()
        .database_context
}

fn table(tenant: &Tenant) -> String {
    format!("t_{}.o_tickets", tenant.id.replace('-', ""))
}

async fn count(connection: &mut PgConnection, tenant: &Tenant, ctx: Option<&str>) -> Result<i64, sqlx::Error> {
    let mut tx = connection.begin().await?;
    if let Some(ctx) = ctx {
        sqlx::query("SELECT pg_catalog.set_config('tenancy.ctx', $1, true)")
            .bind(ctx)
            .execute(&mut *tx)
            .await?;
    }
    let sql = format!("SELECT count(*) FROM {}", table(tenant));
    Ok(sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *tx).await?.get(0))
}

fn state(error: &sqlx::Error) -> String {
    error
        .as_database_error()
        .and_then(|e| e.code().map(Cow::into_owned))
        .unwrap_or_else(|| error.to_string())
}

async fn two_tenants() -> (World, Tenant, Tenant) {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let (a, b) = (operator.tenant("dba").await, operator.tenant("dbb").await);
    for tenant in [&a, &b] {
        tenant.help_desk().await;
        tenant.ticket("one").await;
    }
    (world, a, b)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_opens_its_own_tenant_and_nothing_else() {
    let (world, a, b) = two_tenants().await;
    let mut connection = business(&world).await;
    let (of_a, of_b) = (
        context(&world, "business", &a).await,
        context(&world, "business", &b).await,
    );
    assert_eq!(
        count(&mut connection, &a, Some(&of_a)).await.unwrap(),
        1,
        "the rightful context sees its row"
    );
    assert_eq!(
        count(&mut connection, &a, Some(&of_b)).await.unwrap(),
        0,
        "B's context in A's schema"
    );
    assert_eq!(count(&mut connection, &a, None).await.unwrap(), 0, "no context");
    assert_eq!(
        count(&mut connection, &a, Some("")).await.unwrap(),
        0,
        "an empty context"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_edited_or_borrowed_context_is_an_error() {
    let (world, a, b) = two_tenants().await;
    let mut connection = business(&world).await;
    let of_b = context(&world, "business", &b).await;
    let parts: Vec<&str> = of_b.split('.').collect();
    let edited = of_b.replace(&b.id, &a.id);
    assert_ne!(edited, of_b, "the context names its tenant");
    let last = parts.len() - 1;
    let later = of_b.replace(parts[last - 1], "99999999999");
    let expired = of_b.replace(parts[last - 1], "1000000000");
    let flipped = format!(
        "{}{}",
        &of_b[..of_b.len() - 1],
        if of_b.ends_with('0') { '1' } else { '0' }
    );
    let borrowed = context(&world, "registry", &a).await;
    for (what, forged) in [
        ("edited tenant", edited),
        ("later expiry", later),
        ("expired", expired),
        ("flipped mac", flipped),
        ("another service's", borrowed),
        ("garbage", "v1.x".to_owned()),
    ] {
        let error = count(&mut connection, &a, Some(&forged)).await.expect_err(what);
        assert_eq!(state(&error), "28000", "{what}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_cannot_cross_either() {
    let (world, a, b) = two_tenants().await;
    let mut connection = business(&world).await;
    let of_b = context(&world, "business", &b).await;
    for (what, sql, expected) in [
        (
            "insert for A",
            format!(
                "INSERT INTO {} (tenant_id, id, f_title, version, create_time, update_time, creator) VALUES ('{}', pg_catalog.gen_random_uuid(), 'x', 1, now(), now(), pg_catalog.gen_random_uuid())",
                table(&a),
                a.id
            ),
            Err("42501"),
        ),
        (
            "move a row to A",
            format!("UPDATE {} SET tenant_id = '{}'", table(&b), a.id),
            Err("42501"),
        ),
        (
            "update A's rows",
            format!("UPDATE {} SET f_title = 'x'", table(&a)),
            Ok(0),
        ),
        ("delete A's rows", format!("DELETE FROM {}", table(&a)), Ok(0)),
        ("truncate", format!("TRUNCATE {}", table(&b)), Err("42501")),
        (
            "disable RLS",
            format!("ALTER TABLE {} DISABLE ROW LEVEL SECURITY", table(&b)),
            Err("42501"),
        ),
        (
            "drop the policy",
            format!("DROP POLICY tenant_isolation ON {}", table(&b)),
            Err("42501"),
        ),
        ("become the owner", "SET ROLE tenantry_owner".to_owned(), Err("42501")),
        (
            "read the keys",
            "SELECT * FROM tenancy.context_keys".to_owned(),
            Err("42501"),
        ),
        (
            "temporary objects",
            "CREATE TEMPORARY TABLE x (y int)".to_owned(),
            Err("42501"),
        ),
        (
            "a function of its own",
            "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'".to_owned(),
            Err("42501"),
        ),
        (
            "kill another session",
            "SELECT pg_catalog.pg_terminate_backend(1)".to_owned(),
            Err("42501"),
        ),
        (
            "read statements of others",
            "SELECT * FROM pg_catalog.pg_stat_get_activity(NULL)".to_owned(),
            Err("42501"),
        ),
    ] {
        let mut tx = connection.begin().await.unwrap();
        sqlx::query("SELECT pg_catalog.set_config('tenancy.ctx', $1, true)")
            .bind(&of_b)
            .execute(&mut *tx)
            .await
            .unwrap();
        let outcome = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await;
        match (outcome, expected) {
            (Ok(done), Ok(rows)) => assert_eq!(done.rows_affected(), rows, "{what}"),
            (Err(error), Err(code)) => assert_eq!(state(&error), code, "{what}: {error}"),
            (seen, expected) => panic!("{what}: expected {expected:?}, saw {seen:?}"),
        }
    }
    // A's row is as it was.
    let list = a.rest().get("/v1/objectTypes/tickets/records").await.ok();
    assert_eq!(text(&list["records"][0]["fields"]["title"]), "one");
    assert_eq!(list["records"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["nextPageToken"].as_str().unwrap_or_default(), "");
    assert_ne!(list, json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_connection_remembers_nothing() {
    let (world, a, _) = two_tenants().await;
    let mut connection = business(&world).await;
    let of_a = context(&world, "business", &a).await;
    assert_eq!(count(&mut connection, &a, Some(&of_a)).await.unwrap(), 1);
    assert_eq!(
        count(&mut connection, &a, None).await.unwrap(),
        0,
        "the context ended with its transaction"
    );
}
