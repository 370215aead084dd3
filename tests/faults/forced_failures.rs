//! A step of onboarding that can never succeed: the operation says why, and nothing of the tenant is left anywhere.

use crate::{
    customers::{ask_for_tenant, done, moves_in},
    lab::Lab,
    patient::Patient,
};
use serde_json::Value;
use sqlx::{PgPool, Row};
use tenantry_tests::{Rest, unique};

/// What may remember a tenant that never was: that somebody asked, and what was answered.
/// business.tenants keeps a tombstone, so that a provisioning that comes late cannot bring the schema back.
const MEMORY: [&str; 7] = [
    "inbox",
    "outbox",
    "idempotency",
    "security_events",
    "audit",
    "revocations",
    "tenants",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_cannot_be_made_leaves_nothing() {
    fails_cleanly("business.provision_data.before").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_that_cannot_be_made_leaves_nothing() {
    fails_cleanly("auth.create_realm.before").await;
}

async fn fails_cleanly(point: &str) {
    let lab = Lab::enter().await;
    let (operator, slug) = (Patient::operator(&lab.world), unique("fail"));
    lab.arm(point, "error").await;
    let operation = done(&operator, &ask_for_tenant(&operator, &slug).await).await;
    says_why(&operation);
    let tenant = tenant_of(&operation);

    let (data, platform) = (lab.superuser("tenantry_data").await, lab.superuser("tenantry").await);
    let schema = format!("t_{}", tenant.replace('-', ""));
    assert!(!schema_exists(&data, &schema).await, "{schema} is still there");
    assert_eq!(rows_of(&platform, "auth", &tenant).await, Vec::<String>::new());
    assert_eq!(rows_of(&data, "business", &tenant).await, Vec::<String>::new());
    assert_eq!(state_of(&data, &tenant).await, "dropped");

    neutral_404(&lab, &slug).await;
    let again = done(&operator, &ask_for_tenant(&operator, &slug).await).await;
    moves_in(&lab.world, &slug, &again).await;
}

fn says_why(operation: &Value) {
    let error = &operation["error"];
    assert!(error["code"].as_i64().is_some_and(|code| code > 0), "{operation}");
    assert!(
        error["message"].as_str().is_some_and(|text| !text.is_empty()),
        "{operation}"
    );
    let reason = error["details"]
        .as_array()
        .into_iter()
        .flatten()
        .find_map(|detail| detail["reason"].as_str());
    assert!(
        reason.is_some_and(|reason| !reason.is_empty()),
        "no reason: {operation}"
    );
}

fn tenant_of(operation: &Value) -> String {
    let target = operation["metadata"]["target"].as_str().unwrap_or_default();
    let id = target.strip_prefix("tenants/").unwrap_or_default();
    assert_eq!(id.len(), 36, "the operation names no tenant: {operation}");
    id.to_owned()
}

async fn schema_exists(data: &PgPool, schema: &str) -> bool {
    sqlx::query("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1")
        .bind(schema)
        .fetch_optional(data)
        .await
        .expect("the superuser may look")
        .is_some()
}

async fn state_of(data: &PgPool, tenant: &str) -> String {
    sqlx::query("SELECT state FROM business.tenants WHERE tenant_id::text = $1")
        .bind(tenant)
        .fetch_optional(data)
        .await
        .expect("the superuser may look")
        .map_or_else(|| "dropped".to_owned(), |row| row.get(0))
}

/// `table: n` for every table of a schema that still has rows of the tenant.
async fn rows_of(pool: &PgPool, schema: &str, tenant: &str) -> Vec<String> {
    let tables = sqlx::query(
        "SELECT c.table_name::text FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) \
         WHERE c.table_schema = $1 AND c.column_name = 'tenant_id' AND t.table_type = 'BASE TABLE'",
    )
    .bind(schema)
    .fetch_all(pool)
    .await
    .expect("the superuser may look");
    assert!(
        !tables.is_empty(),
        "{schema} has no table with tenant_id: look elsewhere"
    );
    let mut left = Vec::new();
    for table in tables.iter().map(|row| row.get::<String, _>(0)) {
        if MEMORY.iter().any(|name| table.contains(name)) {
            continue;
        }
        // Both names come from the catalogue.
        let sql = format!("SELECT count(*) FROM \"{schema}\".\"{table}\" WHERE tenant_id::text = $1");
        let count: i64 = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(tenant)
            .fetch_one(pool)
            .await
            .expect("the superuser may count")
            .get(0);
        if count > 0 {
            left.push(format!("{schema}.{table}: {count}"));
        }
    }
    left
}

/// The host answers as one that never was.
async fn neutral_404(lab: &Lab, slug: &str) {
    let never = unique("never");
    for path in ["/sign-in", "/v1/auth/jwks"] {
        let gone = Rest::new(&lab.world, &lab.world.host(slug)).get(path).await;
        let unknown = Rest::new(&lab.world, &lab.world.host(&never)).get(path).await;
        assert_eq!((gone.status, unknown.status), (404, 404), "{path}: {}", gone.text);
        let masked = |answer: &tenantry_tests::Answer, name: &str| {
            answer
                .text
                .replace(answer.header("x-request-id"), "-")
                .replace(name, "-")
        };
        assert_eq!(masked(&gone, slug), masked(&unknown, &never), "{path}");
    }
}
