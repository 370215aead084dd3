//! Ten thousand tenants page by an index, in order, each exactly once.

use crate::world::{World, call, operator, run};
use sqlx::{AssertSqlSafe, Row};
use std::sync::Arc;
use tenantry_kernel::{Reason, TenantRoute};
use tenantry_registry::{
    app::Query,
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
            .list(&operator(), METHOD, &query, false, String::new())
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
        .list(&operator(), METHOD, &Query::default(), true, "tenant-0999".into())
        .await
        .unwrap();
    assert_eq!(all.items.len(), 10);

    // The plan of the statement with its values, as the role that runs it: an index, no sort, no scan.
    let mut conn = world.connect("tenantry_registry_sys").await;
    for (listed, index) in [(true, "tenants_listed"), (false, "tenants_slug_key")] {
        let which = if listed {
            "state IN ('creating', 'active', 'suspended') AND "
        } else {
            ""
        };
        let sql = format!(
            "EXPLAIN SELECT slug FROM registry.tenants WHERE {which} tenant_id <> '00000000-0000-7000-8000-000000000001' \
             AND slug > 'tenant-05000' AND slug >= '' AND ('' = '' OR slug < '') ORDER BY slug LIMIT 51"
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
        .list(&operator(), METHOD, &first, false, String::new())
        .await
        .unwrap();
    let next = Query {
        page_size: 5,
        page_token: page.next,
    };
    assert!(
        world
            .tenants
            .list(&operator(), METHOD, &next, false, String::new())
            .await
            .is_ok()
    );
    let mut refused = vec![
        world
            .tenants
            .list(&operator(), METHOD, &next, true, String::new())
            .await
            .unwrap_err(),
        world
            .tenants
            .list(&operator(), "test/Other", &next, false, String::new())
            .await
            .unwrap_err(),
        world
            .tenants
            .list(&operator(), METHOD, &next, false, "tenant".into())
            .await
            .unwrap_err(),
    ];
    let tenant = world.active("acme").await;
    let route = TenantRoute::clone(world.call(tenant).await.route().unwrap());
    refused.push(
        world
            .tenants
            .list(&call(Arc::new(route), None), METHOD, &next, false, String::new())
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
        .list(&operator(), METHOD, &negative, false, String::new())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidArgument);
    world.drop().await;
}
