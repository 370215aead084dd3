//! Tenant rows under the signed context, and what the tenant-bound login cannot do.

use crate::world::{World, no_key, operator};
use sqlx::{AssertSqlSafe, Row};
use tenantry_kernel::{Kind, Reason};
use tenantry_registry::{
    app::{BrandingChange, Query, TenantChange},
    domain::{DomainState, TenantName},
};

#[tokio::test]
async fn one_tenant_never_meets_anothers_domains_or_branding() {
    let world = World::new().await;
    let (acme, globex) = (world.active("acme").await, world.active("globex").await);
    for id in [acme, globex] {
        let change = TenantChange {
            plan: Some("team".into()),
            ..TenantChange::default()
        };
        world
            .tenants
            .update(&operator(), &TenantName::Id(id), change, &no_key())
            .await
            .unwrap();
    }
    world.routes.follow().await.unwrap();
    let (a, b) = (world.call(acme).await, world.call(globex).await);
    // Both may claim, the first to be verified has it.
    world.domains.create(&a, "help.example.com", &no_key()).await.unwrap();
    world.domains.create(&b, "help.example.com", &no_key()).await.unwrap();
    world.domains.create(&b, "only-b.example.com", &no_key()).await.unwrap();
    let twice = world
        .domains
        .create(&a, "HELP.example.com", &no_key())
        .await
        .unwrap_err();
    assert_eq!(twice.reason(), Reason::AlreadyExists);
    world
        .domains
        .verify(&operator(), &TenantName::Id(acme), "help.example.com", &no_key())
        .await
        .unwrap();
    let second = world
        .domains
        .verify(&operator(), &TenantName::Id(globex), "help.example.com", &no_key())
        .await
        .unwrap_err();
    assert_eq!(second.reason(), Reason::AlreadyExists);
    let own = world.domains.list(&a, "test/List", &Query::default()).await.unwrap();
    assert_eq!(own.items.len(), 1);
    let (ctx, all) = (operator(), Query::default());
    let seen = async |tenant| {
        let name = TenantName::Id(tenant);
        let page = world.domains.list_of(&ctx, "test/ListOf", &name, &all).await.unwrap();
        let states = page.items.into_iter();
        states
            .map(|claim| (claim.domain, claim.state == DomainState::Verified))
            .collect::<Vec<_>>()
    };
    assert_eq!(seen(acme).await, [("help.example.com".to_owned(), true)]);
    let both = ["help.example.com", "only-b.example.com"].map(|domain| (domain.to_owned(), false));
    assert_eq!(seen(globex).await, both, "pending ones too, of that tenant alone");
    let nobody = TenantName::Slug("nobody".into());
    let missing = world.domains.list_of(&ctx, "test/ListOf", &nobody, &all).await;
    assert_eq!(missing.unwrap_err().kind(), Kind::NotFound);
    let foreign = world
        .domains
        .delete(&a, "only-b.example.com", &no_key())
        .await
        .unwrap_err();
    assert_eq!(foreign.kind(), Kind::NotFound);
    world.domains.delete(&a, "help.example.com", &no_key()).await.unwrap();
    world
        .domains
        .verify(&operator(), &TenantName::Id(globex), "help.example.com", &no_key())
        .await
        .unwrap();

    let blue = BrandingChange {
        primary_color: Some("#0000ff".into()),
        ..BrandingChange::default()
    };
    let stored = world.branding.update(&a, blue.clone(), &no_key()).await.unwrap();
    assert_eq!(world.branding.get(&b).await.unwrap().version, 0);
    let stale = BrandingChange {
        etag: "\"0\"".into(),
        ..blue
    };
    assert_eq!(
        world.branding.update(&a, stale, &no_key()).await.unwrap_err().reason(),
        Reason::EtagMismatch
    );
    assert_eq!(world.branding.get(&a).await.unwrap(), stored);
    world.drop().await;
}

#[tokio::test]
async fn the_tenant_bound_login_sees_no_row_without_a_context_and_no_platform_table() {
    let world = World::new().await;
    let id = world.active("acme").await;
    let blue = BrandingChange {
        primary_color: Some("#0000ff".into()),
        ..BrandingChange::default()
    };
    world
        .branding
        .update(&world.call(id).await, blue, &no_key())
        .await
        .unwrap();
    let mut conn = world.connect("tenantry_registry").await;
    for table in ["domains", "branding", "outbox", "idempotency"] {
        let row = sqlx::query(AssertSqlSafe(format!("SELECT count(*) FROM registry.{table}")))
            .fetch_one(&mut conn)
            .await
            .unwrap();
        assert_eq!(row.get::<i64, _>(0), 0, "{table}");
    }
    for refused in [
        "SELECT slug FROM registry.tenants",
        "SELECT 1 FROM registry.operations",
        "SELECT 1 FROM registry.plans",
        "SELECT 1 FROM registry.route_clock",
        "UPDATE registry.tenants SET plan_id = 'enterprise'",
        "UPDATE registry.domains SET state = 'verified'",
        "DELETE FROM registry.tenants",
        "SET ROLE tenantry_owner",
    ] {
        let error = sqlx::query(refused).execute(&mut conn).await.unwrap_err();
        let code = error
            .as_database_error()
            .and_then(|db| db.code().map(std::borrow::Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{refused}");
    }
    // Every table is owned by the owner, and those with tenants force row security.
    let bare = world
        .count(
            "SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' \
             WHERE c.relnamespace = 'registry'::regnamespace AND c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
        )
        .await;
    assert_eq!(bare, 0);
    let mut tx = world.store.begin_job("lint").await.unwrap();
    let findings = tenantry_db::lint(&mut tx, &["registry"]).await.unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    drop(tx);
    world.drop().await;
}

#[tokio::test]
async fn a_plan_without_custom_domains_says_so() {
    let world = World::new().await;
    let id = world.active("acme").await;
    let refused = world
        .domains
        .create(&world.call(id).await, "help.example.com", &no_key())
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::FeatureNotInPlan);
    world.drop().await;
}

#[tokio::test]
async fn an_etag_that_was_read_before_another_change_is_refused() {
    let world = World::new().await;
    let name = TenantName::Id(world.active("acme").await);
    let read = world.tenants.get(&operator(), &name).await.unwrap();
    let change = |text: &str| TenantChange {
        display_name: Some(text.into()),
        etag: format!("\"{}\"", read.version),
        plan: None,
    };
    world
        .tenants
        .update(&operator(), &name, change("One"), &no_key())
        .await
        .unwrap();
    let second = world
        .tenants
        .update(&operator(), &name, change("Two"), &no_key())
        .await
        .unwrap_err();
    assert_eq!(second.reason(), Reason::EtagMismatch);
    let stale = world
        .tenants
        .delete(&operator(), &name, &format!("\"{}\"", read.version), false, &no_key())
        .await
        .unwrap_err();
    assert_eq!(stale.reason(), Reason::EtagMismatch);
    let unknown = TenantChange {
        plan: Some("platform".into()),
        ..TenantChange::default()
    };
    assert_eq!(
        world
            .tenants
            .update(&operator(), &name, unknown, &no_key())
            .await
            .unwrap_err()
            .kind(),
        Kind::InvalidArgument
    );
    world.drop().await;
}
