//! Row security, the boot-time linter, the janitor, and bootstrap.

use crate::world::{PASSWORD, World};
use tenantry_auth::{app::bootstrap, domain::SessionKind, store::janitor};
use tenantry_db::lint;
use tenantry_kernel::{Role, TenantId};
use zeroize::Zeroizing;

#[tokio::test]
async fn the_schema_keeps_the_rules() {
    let world = World::new().await;
    let mut tx = world.store.begin_system("lint").await.unwrap();
    let findings = lint(&mut tx, &["auth", "tenancy"]).await.unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    world.drop().await;
}

#[tokio::test]
async fn without_a_context_the_login_sees_nothing_and_the_janitor_only_what_is_over() {
    let world = World::new().await;
    let (acme, _) = world.tenant("acme").await;
    world
        .sign_in(acme, "owner@acme.test", PASSWORD, SessionKind::Tokens)
        .await
        .unwrap();
    for role in ["tenantry_auth", "tenantry_auth_sys"] {
        let mut raw = <sqlx::PgConnection as sqlx::Connection>::connect(&world.url(role))
            .await
            .unwrap();
        for table in [
            "users",
            "credentials",
            "sessions",
            "refresh_tokens",
            "one_time_links",
            "api_keys",
            "tenant_keys",
            "security_events",
        ] {
            let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM auth.{table}"));
            match sqlx::query(sql).fetch_one(&mut raw).await {
                Ok(row) => assert_eq!(sqlx::Row::get::<i64, _>(&row, 0), 0, "{role} {table}"),
                Err(error) => assert!(
                    error.to_string().contains("permission denied"),
                    "{role} {table}: {error}"
                ),
            }
        }
    }
    assert_eq!(janitor::sweep(world.store.system()).await.unwrap(), 0);
    world
        .run("UPDATE auth.sessions SET expire_time = now() - interval '8 days'")
        .await;
    assert!(janitor::sweep(world.store.system()).await.unwrap() >= 1);
    assert_eq!(world.count("SELECT count(*) FROM auth.sessions").await, 0);
    assert_eq!(
        world.count("SELECT count(*) FROM auth.refresh_tokens").await,
        0,
        "the family goes with its session"
    );
    assert_eq!(world.count("SELECT count(*) FROM auth.users").await, 1);
    world.drop().await;
}

#[tokio::test]
async fn the_first_operator_is_made_once() {
    let world = World::new().await;
    for password in [PASSWORD, "another long password"] {
        let login = Some(("ops@example.org", Zeroizing::new(password.to_owned())));
        bootstrap::operator(&world.core, &world.hasher, login).await.unwrap();
    }
    let done = world
        .sign_in(TenantId::PLATFORM, "ops@example.org", PASSWORD, SessionKind::Tokens)
        .await
        .unwrap();
    assert_eq!(done.user.role, Role::Owner);
    assert!(
        world
            .sign_in(
                TenantId::PLATFORM,
                "ops@example.org",
                "another long password",
                SessionKind::Tokens
            )
            .await
            .is_err()
    );
    world.drop().await;
}
