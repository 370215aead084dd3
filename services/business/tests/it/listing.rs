//! Lists: filter, order, pages.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail by panic")]

use crate::world::{World, map};
use serde_json::json;
use tenantry_business::app::records::Page;
use tenantry_kernel::{Ctx, Reason};

async fn fill(world: &World, ctx: &Ctx) {
    world.help_desk(ctx).await;
    let row = |i: i64| {
        let mut fields = json!({"title": format!("t{i}"), "status": if i % 3 == 0 { "closed" } else { "open" }});
        if i % 4 != 0 {
            fields["priority"] = json!(i % 5);
        }
        if i % 5 != 0 {
            fields["due"] = json!(format!("2026-11-{:02}", 1 + i % 7));
        }
        fields["score"] = json!(0.1 * i as f64);
        map(fields)
    };
    world
        .records
        .batch_create(ctx, "tickets", &(0..60).map(row).collect::<Vec<_>>(), None)
        .await
        .unwrap();
}

async fn all(
    world: &World,
    ctx: &Ctx,
    filter: &str,
    order_by: &str,
    size: i32,
) -> Vec<serde_json::Map<String, serde_json::Value>> {
    let mut page = Page {
        size,
        filter: filter.to_owned(),
        order_by: order_by.to_owned(),
        ..Page::default()
    };
    let mut rows = Vec::new();
    loop {
        let (records, next) = world
            .records
            .list(ctx, "tickets", &page)
            .await
            .unwrap_or_else(|error| panic!("{filter} {order_by}: {error}"));
        rows.extend(records.into_iter().map(|record| record.fields));
        if next.is_empty() {
            return rows;
        }
        page.token = next;
    }
}

#[tokio::test]
async fn pages_join_to_the_whole_list_in_every_order() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    fill(&world, &ctx).await;
    for order in [
        "",
        "priority",
        "priority desc",
        "due desc, priority",
        "status, due, priority desc",
        "create_time desc",
        "score",
        "score desc",
        "creator",
    ] {
        let whole = all(&world, &ctx, "", order, 500).await;
        assert_eq!(whole.len(), 60);
        for size in [1, 7] {
            assert_eq!(all(&world, &ctx, "", order, size).await, whole, "{order} by {size}");
        }
    }
    let by_priority = all(&world, &ctx, "", "priority", 500).await;
    let keys: Vec<_> = by_priority
        .iter()
        .map(|row| {
            row.get("priority")
                .and_then(serde_json::Value::as_i64)
                .unwrap_or(i64::MAX)
        })
        .collect();
    assert!(keys.is_sorted(), "NULLs come last: {keys:?}");
    world.drop().await;
}

#[tokio::test]
async fn filters_find_what_they_say() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    fill(&world, &ctx).await;
    for (filter, expected) in [
        ("status = \"closed\"", 20),
        ("status != \"closed\"", 40),
        ("priority = null", 15),
        ("priority != null AND status = open", 30),
        ("priority != 1", 51),
        ("priority >= 3 AND priority < 4", 9),
        ("due > 2026-11-06", 6),
        ("score <= 0.1", 2),
        ("title = \"t7\"", 1),
        ("title = \"'; DROP TABLE x; --\"", 0),
        ("create_time > \"2020-01-01T00:00:00Z\"", 60),
        ("creator = \"users/00000000-0000-0000-0000-000000000007\"", 60),
        ("owner = null", 60),
    ] {
        assert_eq!(
            all(&world, &ctx, filter, "priority desc", 11).await.len(),
            expected,
            "{filter}"
        );
    }
    world.drop().await;
}

#[tokio::test]
async fn a_page_token_belongs_to_its_call() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    fill(&world, &ctx).await;
    let page = Page {
        size: 5,
        filter: "status = open".into(),
        ..Page::default()
    };
    let (_, token) = world.records.list(&ctx, "tickets", &page).await.unwrap();
    let with = |filter: &str, order_by: &str| Page {
        size: 5,
        token: token.clone(),
        filter: filter.to_owned(),
        order_by: order_by.to_owned(),
    };
    world
        .records
        .list(&ctx, "tickets", &with("status = open", ""))
        .await
        .unwrap();
    world.help_desk(&world.ctx(2)).await;
    for (ctx, page) in [
        (world.ctx(1), with("status = closed", "")),
        (world.ctx(1), with("status = open", "title")),
        (world.ctx(2), with("status = open", "")),
        (
            world.ctx(1),
            Page {
                token: "AAAA".into(),
                ..with("status = open", "")
            },
        ),
    ] {
        assert_eq!(
            world.records.list(&ctx, "tickets", &page).await.unwrap_err().reason(),
            Reason::InvalidPageToken
        );
    }
    let negative = world
        .records
        .list(
            &ctx,
            "tickets",
            &Page {
                size: -1,
                ..Page::default()
            },
        )
        .await
        .unwrap_err();
    assert_eq!(negative.reason(), Reason::InvalidArgument);
    world.drop().await;
}
