//! The life of a tenant, as the operator sees it.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};
use tenantry_testkit::{World, eventually};
use tenantry_tests::{Operator, Rest, Tenant, unique};

async fn operator() -> (World, Operator) {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    (world, operator)
}

async fn run(operator: &Operator, operation: Value) -> Value {
    operator.wait(operation["name"].as_str().expect("an operation")).await
}

async fn tenant_schemas(world: &World, tenant: &Tenant) -> i64 {
    let mut data = PgConnection::connect(&world.db.superuser["tenantry_data"])
        .await
        .expect("the superuser can connect");
    let name = format!("t_{}", tenant.id.replace('-', ""));
    sqlx::query("SELECT count(*) FROM pg_namespace WHERE nspname = $1")
        .bind(name)
        .fetch_one(&mut data)
        .await
        .expect("a count")
        .get(0)
}

async fn answers(tenant: &Tenant, wanted: u16, reason: &str) {
    eventually("the state is in force", || async {
        let answer = tenant.rest().get("/v1/sessions/current").await;
        if answer.status == wanted && (reason.is_empty() || answer.reason() == reason) {
            Ok(())
        } else {
            Err(answer.text)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_made_used_suspended_resumed_deleted_and_brought_back() {
    let (world, operator) = operator().await;
    let tenant = operator.tenant("life").await;
    assert_eq!(tenant_schemas(&world, &tenant).await, 1);
    answers(&tenant, 200, "").await;
    let path = format!("/v1/tenants/{}", tenant.id);
    let by_slug = operator.rest.get(&format!("/v1/tenants/{}", tenant.slug)).await.ok();
    assert_eq!(by_slug, operator.rest.get(&path).await.ok());
    assert_eq!(by_slug["state"], "TENANT_STATE_ACTIVE");

    run(
        &operator,
        operator
            .rest
            .post(&format!("{path}:suspend"), json!({"reason": "unpaid"}))
            .await
            .ok(),
    )
    .await;
    answers(&tenant, 403, "TENANT_SUSPENDED").await;
    let sign_in = Rest::new(&world, &tenant.host)
        .post(
            "/v1/auth:signIn",
            json!({"email": tenant.owner.email, "password": tenant.owner.password}),
        )
        .await;
    sign_in.refused(403, "TENANT_SUSPENDED");

    run(
        &operator,
        operator.rest.post(&format!("{path}:resume"), json!({})).await.ok(),
    )
    .await;
    let owner = eventually("sign-in works again", || async {
        let answer = Rest::new(&world, &tenant.host)
            .post(
                "/v1/auth:signIn",
                json!({"email": tenant.owner.email, "password": tenant.owner.password}),
            )
            .await;
        if answer.status == 200 {
            Ok(answer.json())
        } else {
            Err(answer.text)
        }
    })
    .await;
    let fresh = Rest::new(&world, &tenant.host).bearer(owner["accessToken"].as_str().unwrap());
    eventually("the new session works", || async {
        let answer = fresh.get("/v1/sessions/current").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;

    let deleted = run(&operator, operator.rest.delete(&path).await.ok()).await;
    assert_eq!(deleted["response"]["state"], "TENANT_STATE_DELETED", "{deleted}");
    assert!(deleted["response"]["purgeTime"].is_string());
    eventually("a deleted tenant's host is nobody's", || async {
        let answer = fresh.get("/v1/sessions/current").await;
        if answer.status == 404 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    assert_eq!(tenant_schemas(&world, &tenant).await, 1, "soft-deleted data is kept");

    run(
        &operator,
        operator.rest.post(&format!("{path}:undelete"), json!({})).await.ok(),
    )
    .await;
    eventually("the tenant is back", || async {
        let answer = Rest::new(&world, &tenant.host)
            .post(
                "/v1/auth:signIn",
                json!({"email": tenant.owner.email, "password": tenant.owner.password}),
            )
            .await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_destroys_everything_and_frees_the_slug() {
    let (world, operator) = operator().await;
    let tenant = operator.tenant("purge").await;
    tenant.help_desk().await;
    tenant.ticket("soon gone").await;
    let done = run(
        &operator,
        operator
            .rest
            .delete(&format!("/v1/tenants/{}?purge=true", tenant.id))
            .await
            .ok(),
    )
    .await;
    assert!(done["error"].is_null(), "{done}");
    assert_eq!(tenant_schemas(&world, &tenant).await, 0);
    for (database, schema) in [("tenantry", "auth"), ("tenantry_data", "business")] {
        let mut connection = PgConnection::connect(&world.db.superuser[database]).await.unwrap();
        let tables = sqlx::query(
            "SELECT table_name::text FROM information_schema.columns WHERE table_schema = $1 AND column_name = 'tenant_id'",
        );
        let tables: Vec<String> = tables
            .bind(schema)
            .fetch_all(&mut connection)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert!(tables.len() > 3, "{schema}: {tables:?}");
        for table in tables {
            // What is left on purpose: ids of what was revoked or dropped (a late command must not bring it back), no content.
            if ["revocations", "inbox", "outbox", "security_events", "tenants"].contains(&table.as_str()) {
                continue;
            }
            let sql = format!("SELECT count(*) FROM {schema}.{table} WHERE tenant_id::text = $1");
            let left: i64 = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(&tenant.id)
                .fetch_one(&mut connection)
                .await
                .unwrap()
                .get(0);
            assert_eq!(left, 0, "{schema}.{table} still holds rows");
        }
    }
    operator
        .rest
        .get(&format!("/v1/tenants/{}", tenant.id))
        .await
        .refused(404, "NOT_FOUND");
    let again = run(&operator, operator.start(&tenant.slug, "enterprise").await).await;
    assert!(again["response"]["tenant"]["tenantId"].is_string(), "{again}");
    assert_ne!(
        again["response"]["tenant"]["tenantId"].as_str(),
        Some(tenant.id.as_str())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_makes_one_tenant_and_a_taken_slug_is_said() {
    let (_, operator) = operator().await;
    let slug = unique("once");
    let key = "6f3f5d6e-0f57-4f3f-8a6b-3a9a3b8f7c11".replace("6f3f", &slug[slug.len() - 4..]);
    let path = format!("/v1/tenants?adminEmail=o@{slug}.example");
    let create = || {
        let rest = operator.rest.clone().header("idempotency-key", &key);
        let (path, slug) = (path.clone(), slug.clone());
        async move { rest.post(&path, json!({"slug": slug, "plan": "plans/free"})).await }
    };
    let (one, two) = (create().await.ok(), create().await.ok());
    assert_eq!(one["name"], two["name"], "the same operation twice");
    run(&operator, one).await;
    operator
        .rest
        .post(&path, json!({"slug": slug, "plan": "plans/free"}))
        .await
        .refused(409, "ALREADY_EXISTS");
    let other = operator.rest.clone().header("idempotency-key", &key);
    other
        .post(&path, json!({"slug": unique("other"), "plan": "plans/free"}))
        .await
        .refused(422, "IDEMPOTENCY_KEY_REUSED");
    for bad in ["Acme", "a", "operator", "-x", "a b"] {
        let refused = operator
            .rest
            .post(&path, json!({"slug": bad, "plan": "plans/free"}))
            .await;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.text);
        assert_eq!(refused.json()["violations"][0]["field"], "tenant.slug");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_page_through_all_tenants_without_repeating_one() {
    let (_, operator) = operator().await;
    for _ in 0..2 {
        operator.tenant("lst").await;
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = operator
            .rest
            .get(&format!("/v1/tenants?pageSize=1&slugPrefix=lst&pageToken={token}"))
            .await
            .ok();
        for tenant in page["tenants"].as_array().into_iter().flatten() {
            seen.push(tenant["slug"].as_str().unwrap().to_owned());
        }
        token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            break;
        }
    }
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(seen, unique, "in order, none twice");
    assert!(seen.len() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_change_reaches_the_limits_and_a_429_names_limit_and_plan() {
    let (world, operator) = operator().await;
    let tenant = operator.tenant("lim").await;
    let plan = unique("tiny");
    let limits = json!({"requestsPerSecond": 1, "burst": 2, "users": 5, "objectTypes": 1, "records": 1, "apiKeys": 5});
    operator
        .rest
        .post(
            "/v1/plans",
            json!({"name": format!("plans/{plan}"), "displayName": "Tiny", "limits": limits}),
        )
        .await
        .ok();
    let etag = operator.rest.get(&format!("/v1/tenants/{}", tenant.id)).await.ok()["etag"].clone();
    let change = json!({"plan": format!("plans/{plan}"), "etag": etag});
    operator
        .rest
        .patch(&format!("/v1/tenants/{}?updateMask=plan", tenant.id), change.clone())
        .await
        .ok();
    operator
        .rest
        .patch(&format!("/v1/tenants/{}?updateMask=plan", tenant.id), change)
        .await
        .refused(412, "ETAG_MISMATCH");
    let limited = eventually("the limit is in force", || async {
        let answer = tenant.rest().get("/v1/sessions/current").await;
        if answer.status == 429 {
            Ok(answer)
        } else {
            Err(answer.status)
        }
    })
    .await;
    limited.refused(429, "RATE_LIMITED");
    assert!(limited.text.contains(&plan), "{}", limited.text);
    assert!(
        !limited.header("retry-after").is_empty() && !limited.header("ratelimit").is_empty(),
        "{:?}",
        limited.headers
    );
    // The neighbour notices nothing.
    let neighbour = operator.tenant("nei").await;
    for _ in 0..20 {
        assert_eq!(neighbour.rest().get("/v1/sessions/current").await.status, 200);
    }
    drop(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_domain_serves_its_tenant_once_verified() {
    let (world, operator) = operator().await;
    let (a, b) = (operator.tenant("doma").await, operator.tenant("domb").await);
    let domain = format!("{}.example", unique("desk"));
    for tenant in [&a, &b] {
        let made = tenant
            .rest()
            .post("/v1/domains", json!({"name": format!("domains/{domain}")}))
            .await
            .ok();
        assert_eq!(made["state"], "DOMAIN_STATE_PENDING");
    }
    Rest::new(&world, &domain).get("/sign-in").await;
    let verified = operator
        .rest
        .post(&format!("/v1/tenants/{}/domains/{domain}:verify", a.id), json!({}))
        .await
        .ok();
    assert_eq!(verified["state"], "DOMAIN_STATE_VERIFIED");
    let second = operator
        .rest
        .post(&format!("/v1/tenants/{}/domains/{domain}:verify", b.id), json!({}))
        .await;
    assert_eq!(second.status, 409, "two tenants cannot both prove it: {}", second.text);
    let at_domain = Rest::new(&world, &domain).bearer(&a.owner.token);
    eventually("the domain is routed", || async {
        let answer = at_domain.get("/v1/sessions/current").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    Rest::new(&world, &domain)
        .bearer(&b.owner.token)
        .get("/v1/sessions/current")
        .await
        .refused(404, "NOT_FOUND");
}
