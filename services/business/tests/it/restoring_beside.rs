//! A restore takes time; whoever is not restored must not notice.

#![expect(clippy::disallowed_methods, reason = "tests may use random ids")]

use crate::{
    restoring::{export, restore},
    world::{World, map},
};
use serde_json::json;
use tenantry_business::app::records::Page;
use tenantry_kernel::Ctx;
use uuid::Uuid;

#[tokio::test]
async fn requests_are_answered_while_a_tenant_is_restored() {
    let world = World::new().await;
    let (ctx, neighbour) = (world.ctx(1), world.ctx(2));
    for ctx in [&ctx, &neighbour] {
        world.help_desk(ctx).await;
        let many: Vec<_> = (0..100).map(|i| map(json!({"title": format!("m{i}")}))).collect();
        world.records.batch_create(ctx, "tickets", &many, None).await.unwrap();
    }
    let parts = export(&world, 1).await;
    let reading = async |ctx: &Ctx| {
        let page = Page {
            size: 200,
            ..Page::default()
        };
        let listed = world.records.list(ctx, "tickets", &page).await.expect("served").0;
        assert_eq!(listed.len(), 100, "all of the old or all of the restored");
        let one = world.records.get(ctx, "tickets", listed[0].id).await.expect("served");
        assert_eq!(one.id, listed[0].id);
    };
    let restoring = async {
        for _ in 0..3 {
            restore(&world, 1, Uuid::now_v7(), &parts).await.unwrap();
        }
    };
    let mut answered = 0;
    let asking = async {
        loop {
            reading(&ctx).await;
            reading(&neighbour).await;
            answered += 1;
        }
    };
    tokio::select! {
        () = restoring => {}
        () = asking => {}
    }
    assert!(answered > 0);
    world.drop().await;
}
