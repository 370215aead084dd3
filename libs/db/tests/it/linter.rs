//! The linter passes what we make and finds what was planted.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use crate::world::{World, run};
use tenantry_db::{ensure_clean, lint};
use tenantry_kernel::Reason;

async fn findings(world: &World) -> Vec<(String, String)> {
    let mut tx = world.system().begin("lint").await.unwrap();
    lint(&mut tx, &["app", "t\\_%"])
        .await
        .unwrap()
        .into_iter()
        .map(|finding| (finding.rule, finding.object))
        .collect()
}

#[tokio::test]
async fn what_our_helpers_make_is_clean() {
    let world = World::new().await;
    assert_eq!(findings(&world).await, []);
    ensure_clean(&mut world.system().begin("lint").await.unwrap(), &["app"])
        .await
        .unwrap();
    world.drop().await;
}

#[tokio::test]
async fn every_planted_fault_is_found() {
    let world = World::new().await;
    let planted = [
        (
            "CREATE TABLE app.bare (tenant_id uuid)",
            &[("rls_disabled", "app.bare"), ("rls_not_forced", "app.bare")][..],
        ),
        (
            "DROP TABLE app.bare; ALTER TABLE app.notes NO FORCE ROW LEVEL SECURITY",
            &[("rls_not_forced", "app.notes")],
        ),
        (
            "ALTER TABLE app.notes FORCE ROW LEVEL SECURITY; CREATE POLICY open ON app.notes USING (true)",
            &[("policy_open", "app.notes")],
        ),
        (
            "DROP POLICY open ON app.notes; GRANT TRUNCATE ON app.notes TO tenantry_business",
            &[("wide_grant", "app.notes")],
        ),
        (
            "REVOKE TRUNCATE ON app.notes FROM tenantry_business; CREATE VIEW app.peek AS SELECT * FROM app.notes",
            &[("view_as_owner", "app.peek")],
        ),
        ("ALTER VIEW app.peek SET (security_invoker = true)", &[]),
        (
            "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1'",
            &[("definer_search_path", "app.f()")],
        ),
        (
            "DROP FUNCTION app.f(); GRANT CREATE ON SCHEMA app TO tenantry_business",
            &[("role_creates", "tenantry_business in app")],
        ),
        ("REVOKE CREATE ON SCHEMA app FROM tenantry_business", &[]),
    ];
    for (script, expected) in planted {
        world.ddl(script).await;
        let expected: Vec<_> = expected
            .iter()
            .map(|(rule, object)| ((*rule).to_owned(), (*object).to_owned()))
            .collect();
        assert_eq!(findings(&world).await, expected, "{script}");
    }
    let mut admin = world.superuser().await;
    run(
        &mut admin,
        &format!("GRANT TEMPORARY ON DATABASE {} TO PUBLIC", world.database),
    )
    .await;
    run(&mut admin, "CREATE TABLE app.mine (i int)").await;
    run(
        &mut admin,
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_terminate_backend TO PUBLIC",
    )
    .await;
    let found = findings(&world).await;
    for rule in [
        "public_temporary",
        "role_temporary",
        "foreign_owner",
        "dangerous_function",
    ] {
        assert!(found.iter().any(|(found, _)| found == rule), "{rule} in {found:?}");
    }
    let refused = ensure_clean(&mut world.system().begin("lint").await.unwrap(), &["app"])
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::FailedPrecondition);
    drop(admin);
    world.drop().await;
}
