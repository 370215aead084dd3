//! Ten thousand tenants page by an index, in order, each exactly once.

use crate::world::{World, call, operator, run};
use sqlx::{AssertSqlSafe, Row};
use std::sync::Arc;
use tenantry_kernel::{Reason, TenantRoute};
use tenantry_registry::{
    app::{Query, TenantFilter},
    store::{self, ListFilter},
};

const METHOD: &str = "test/ListTenants";
/// Every third one is deleted.
const FILL: &str =
    "INSERT INTO registry.tenants (tenant_id, slug, display_name, plan_id, state, placement, cell, epoch)
    SELECT gen_random_uuid(), 'tenant-' || lpad(n::text, 5, '0'), 'Tenant ' || n, 'free',
           CASE WHEN n % 3 = 0 THEN 'deleted' ELSE 'active' END, 'schema', 'default', n + 10
      FROM generate_series(1, 10000) n;
    ANALYZE registry.tenants";

fn deleted(slug_prefix: &str) -> TenantFilter {
    TenantFilter {
        show_deleted: true,
        slug_prefix: slug_prefix.to_owned(),
        text: String::new(),
    }
}

/// Where somebody looks for `text`.
fn found(text: &str) -> TenantFilter {
    TenantFilter {
        text: text.to_owned(),
        ..TenantFilter::default()
    }
}

#[tokio::test]
async fn ten_thousand_tenants_page_by_index() {
    let world = World::new().await;
    run(&mut world.connect("postgres").await, FILL).await;

    let mut slugs = Vec::new();
    let mut query = Query {
        page_size: 500,
        page_token: String::new(),
    };
    loop {
        let page = world
            .tenants
            .list(&operator(), METHOD, &query, &TenantFilter::default())
            .await
            .unwrap();
        assert!(page.items.len() <= 500);
        slugs.extend(page.items.into_iter().map(|tenant| tenant.slug));
        query.page_token = page.next;
        if query.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(slugs.len(), 6667, "neither the deleted ones nor the platform");
    assert!(slugs.is_sorted() && slugs.iter().all(|slug| slug != "operator"));
    let all = world
        .tenants
        .list(&operator(), METHOD, &Query::default(), &deleted("tenant-0999"))
        .await
        .unwrap();
    assert_eq!(all.items.len(), 10);

    // The plan of the statement with its values, as the role that runs it: an index, no sort, no scan.
    let mut conn = world.connect("tenantry_registry_sys").await;
    let sought = |text: &str| {
        format!(
            "('{text}' = '' OR strpos(slug, lower('{text}')) > 0 OR strpos(lower(display_name), lower('{text}')) > 0)"
        )
    };
    for (listed, index, sought) in [
        (true, "tenants_listed", sought("")),
        (false, "tenants_slug_key", sought("")),
    ] {
        let which = if listed {
            "state IN ('creating', 'active', 'suspended') AND "
        } else {
            ""
        };
        let sql = format!(
            "EXPLAIN SELECT slug FROM registry.tenants WHERE {which} tenant_id <> '00000000-0000-7000-8000-000000000001' \
             AND slug > 'tenant-05000' AND slug >= '' AND ('' = '' OR slug < '') AND {sought} ORDER BY slug LIMIT 51"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut conn).await.unwrap();
        let plan = rows
            .iter()
            .map(|row| row.get::<String, _>(0))
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            plan.contains(index) && !plan.contains("Seq Scan") && !plan.contains("Sort"),
            "{plan}"
        );
    }
    // And it reads one page, not the table.
    let mut tx = world.store.begin_job("test").await.unwrap();
    let filter = ListFilter {
        after: "tenant-05000".into(),
        ..ListFilter::default()
    };
    assert_eq!(store::tenant_list(&mut tx, &filter, 51).await.unwrap().len(), 51);
    drop(tx);
    world.drop().await;
}

#[tokio::test]
async fn a_page_token_is_of_use_to_its_caller_and_query_only() {
    let world = World::new().await;
    run(&mut world.connect("postgres").await, FILL).await;
    let first = Query {
        page_size: 5,
        page_token: String::new(),
    };
    let page = world
        .tenants
        .list(&operator(), METHOD, &first, &TenantFilter::default())
        .await
        .unwrap();
    let next = Query {
        page_size: 5,
        page_token: page.next,
    };
    assert!(
        world
            .tenants
            .list(&operator(), METHOD, &next, &TenantFilter::default())
            .await
            .is_ok()
    );
    let mut refused = vec![
        world
            .tenants
            .list(&operator(), METHOD, &next, &deleted(""))
            .await
            .unwrap_err(),
        world
            .tenants
            .list(&operator(), "test/Other", &next, &TenantFilter::default())
            .await
            .unwrap_err(),
        world
            .tenants
            .list(&operator(), METHOD, &next, &found("tenant"))
            .await
            .unwrap_err(),
    ];
    let tenant = world.active("acme").await;
    let route = TenantRoute::clone(world.call(tenant).await.route().unwrap());
    refused.push(
        world
            .tenants
            .list(&call(Arc::new(route), None), METHOD, &next, &TenantFilter::default())
            .await
            .unwrap_err(),
    );
    assert!(
        refused.iter().all(|error| error.reason() == Reason::InvalidPageToken),
        "{refused:?}"
    );
    let negative = Query {
        page_size: -1,
        page_token: String::new(),
    };
    let error = world
        .tenants
        .list(&operator(), METHOD, &negative, &TenantFilter::default())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidArgument);
    world.drop().await;
}

#[tokio::test]
async fn a_tenant_is_found_by_a_part_of_its_name_or_slug() {
    let world = World::new().await;
    run(&mut world.connect("postgres").await, FILL).await;
    let names = "UPDATE registry.tenants SET display_name = 'Müller & 50% _Söhne' WHERE slug = 'tenant-05000'";
    run(&mut world.connect("postgres").await, names).await;
    let slugs = async |text: &str| {
        let page = world
            .tenants
            .list(&operator(), METHOD, &Query::default(), &found(text))
            .await;
        let page = page.unwrap();
        page.items.into_iter().map(|tenant| tenant.slug).collect::<Vec<_>>()
    };
    for text in ["Müller", "MÜLLER", "söhne", "50% _S", "tenant-05000", "TENANT-05000"] {
        assert_eq!(slugs(text).await, ["tenant-05000"], "{text}");
    }
    assert_eq!(slugs("Tenant 4000").await, ["tenant-04000"], "the others are not it");
    assert!(slugs("%").await == ["tenant-05000"] && slugs("nobody").await.is_empty());
    for refused in ["x".repeat(101), "a\0b".to_owned(), "a\nb".to_owned()] {
        let error = world
            .tenants
            .list(&operator(), METHOD, &Query::default(), &found(&refused))
            .await;
        assert_eq!(error.unwrap_err().reason(), Reason::InvalidArgument, "{refused:?}");
    }
    world.drop().await;
}
