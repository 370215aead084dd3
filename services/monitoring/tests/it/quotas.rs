//! Quotas follow the months and the plans.

use crate::world::{World, delta, report, tenant};
use chrono::Duration;

async fn over(world: &World) -> Vec<tenantry_kernel::TenantId> {
    world.quotas.refresh().await.expect("compares");
    let over = world.quotas.watch().expect("compared").borrow().clone();
    over.expect("compared").keys().copied().collect()
}

#[tokio::test]
async fn a_tenant_is_over_until_its_plan_grows_or_the_month_ends() {
    let world = World::new().await;
    assert!(
        world.quotas.watch().is_err(),
        "nothing is claimed before the first comparison"
    );
    world.plans.set(tenant(1), 10);
    world.plans.set(tenant(2), 0);
    let many = |sequence, n| {
        report(
            sequence,
            "2026-03-15T12:30:10Z",
            vec![delta(1, &vec![1; n]), delta(2, &vec![1; n])],
        )
    };
    world.ingest.take("gateway", &many(1, 9)).await.expect("counts");
    assert_eq!(over(&world).await, []);
    world.ingest.take("gateway", &many(2, 1)).await.expect("counts");
    assert_eq!(over(&world).await, [tenant(1)], "and not the one without a limit");
    let exceeded = world
        .quotas
        .watch()
        .expect("compared")
        .borrow()
        .clone()
        .expect("compared")[&tenant(1)]
        .clone();
    assert_eq!((exceeded.plan.as_str(), exceeded.allowed), ("trial", 10));

    world.plans.set(tenant(1), 20);
    assert_eq!(over(&world).await, []);
    world.plans.set(tenant(1), 10);
    assert_eq!(over(&world).await, [tenant(1)]);
    world.clock.advance(Duration::days(17));
    assert_eq!(over(&world).await, [], "April has its own counts");
    world.end().await;
}

#[tokio::test]
async fn refused_requests_and_strangers_do_not_use_the_quota_up() {
    let world = World::new().await;
    world.plans.set(tenant(1), 10);
    let mut one = delta(1, &[1; 50]);
    (one.admitted, one.limited) = (9, 20);
    world
        .ingest
        .take("gateway", &report(1, "2026-03-15T12:30:10Z", vec![one]))
        .await
        .expect("counts");
    assert_eq!(over(&world).await, []);
    world.end().await;
}
