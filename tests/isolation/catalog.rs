//! The catalog of the running databases: what every tenant table and service role must look like.

use sqlx::{Connection, PgConnection, Row};
use tenantry_testkit::World;
use tenantry_tests::Operator;

const TABLES: &str = "
    SELECT n.nspname || '.' || c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced, pg_get_userbyid(c.relowner) AS owner,
           (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
           (SELECT coalesce(string_agg(DISTINCT pg_get_userbyid(a.grantee) || ' ' || a.privilege_type, ', '), '')
              FROM aclexplode(c.relacl) a
             WHERE a.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') AND pg_get_userbyid(a.grantee) <> 'tenantry_owner') AS excess
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND (n.nspname IN ('registry', 'auth', 'business') OR n.nspname LIKE 't\\_%')
       AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)";

/// Platform tables that name a tenant but are the operator's, reached by the system role only. This list only shrinks.
const PLATFORM_TABLES: &[&str] = &[];

async fn superuser(world: &World, database: &str) -> PgConnection {
    PgConnection::connect(&world.db.superuser[database])
        .await
        .expect("the superuser can connect")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_with_a_tenant_is_behind_forced_row_level_security() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("cat").await;
    tenant.help_desk().await;
    let mut seen = 0;
    let mut findings = Vec::new();
    for database in ["tenantry", "tenantry_data"] {
        let mut connection = superuser(&world, database).await;
        for row in sqlx::query(TABLES).fetch_all(&mut connection).await.unwrap() {
            let name: String = row.get("name");
            if PLATFORM_TABLES.contains(&name.as_str()) {
                continue;
            }
            seen += 1;
            let (enabled, forced): (bool, bool) = (row.get("enabled"), row.get("forced"));
            let (owner, excess): (String, String) = (row.get("owner"), row.get("excess"));
            if !enabled || !forced || row.get::<i64, _>("policies") == 0 {
                findings.push(format!(
                    "{name}: enabled {enabled}, forced {forced}, policies {}",
                    row.get::<i64, _>("policies")
                ));
            }
            if owner != "tenantry_owner" {
                findings.push(format!("{name} is owned by {owner}"));
            }
            if !excess.is_empty() {
                findings.push(format!("{name} grants {excess}"));
            }
        }
    }
    assert!(seen > 15, "the query found only {seen} tables");
    assert!(findings.is_empty(), "{findings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn service_roles_own_nothing_and_bypass_nothing() {
    let world = World::load();
    for database in ["tenantry", "tenantry_data"] {
        let mut connection = superuser(&world, database).await;
        let roles = sqlx::query(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname LIKE 'tenantry\\_%'",
        );
        let roles = roles.fetch_all(&mut connection).await.unwrap();
        assert!(roles.len() >= 7, "only {} roles", roles.len());
        for row in roles {
            let name: String = row.get(0);
            for attribute in 1..=5 {
                assert!(!row.get::<bool, _>(attribute), "{name} has attribute {attribute}");
            }
        }
        let owned = sqlx::query(
            "SELECT pg_get_userbyid(relowner) || ' owns ' || relname FROM pg_class WHERE pg_get_userbyid(relowner) LIKE 'tenantry\\_%' AND pg_get_userbyid(relowner) <> 'tenantry_owner'",
        );
        let owned: Vec<String> = owned
            .fetch_all(&mut connection)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert!(owned.is_empty(), "{owned:?}");
        let members = sqlx::query(
            "SELECT pg_get_userbyid(member) FROM pg_auth_members WHERE pg_get_userbyid(roleid) = 'tenantry_owner'",
        );
        let members: Vec<String> = members
            .fetch_all(&mut connection)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert_eq!(members, ["tenantry_ddl"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn definer_functions_have_a_fixed_search_path_and_policies_ask_once_a_statement() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("pol").await;
    tenant.help_desk().await;
    for database in ["tenantry", "tenantry_data"] {
        let mut connection = superuser(&world, database).await;
        let loose = sqlx::query(
            "SELECT proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT coalesce(array_to_string(proconfig, ',') LIKE '%search_path=%', false)",
        );
        let loose: Vec<String> = loose
            .fetch_all(&mut connection)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert!(loose.is_empty(), "no search_path: {loose:?}");
        let policies = sqlx::query(
            "SELECT schemaname || '.' || tablename, coalesce(qual, ''), coalesce(with_check, '') FROM pg_policies WHERE policyname = 'tenant_isolation'",
        );
        let policies = policies.fetch_all(&mut connection).await.unwrap();
        assert!(!policies.is_empty());
        for row in policies {
            for column in 1..=2 {
                let text: String = row.get(column);
                assert!(
                    text.contains("SELECT tenancy.current_tenant()"),
                    "{}: {text}",
                    row.get::<String, _>(0)
                );
            }
        }
    }
}
