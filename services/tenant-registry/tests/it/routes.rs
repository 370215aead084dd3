//! Routes reach every replica, whoever made the change.

use crate::world::{World, no_key, operator};
use std::{collections::BTreeSet, sync::Arc};
use tenantry_kernel::{Limits, Reason, Resolve, TenantId, TenantStatus};
use tenantry_registry::{
    app::{BrandingChange, Change, PlanChange, Routes, TenantChange},
    domain::TenantName,
};

#[tokio::test]
async fn another_replica_follows_every_kind_of_change() {
    let world = World::new().await;
    let other = Routes::new(world.store.clone());
    assert_eq!(
        other.watch().err().unwrap().reason(),
        Reason::Unavailable,
        "nothing known is not 'no tenants'"
    );
    assert_eq!(other.follow().await.unwrap(), 1, "the platform itself");
    assert_eq!(other.by_slug("operator").await.unwrap().tenant, TenantId::PLATFORM);

    let id = world.active("acme").await;
    let name = TenantName::Id(id);
    other.follow().await.unwrap();
    let mut watch = other.watch().unwrap();
    assert_eq!(watch.snapshot.len(), 2);
    let mut epoch = other.by_id(id).await.unwrap().epoch;
    let mut newer = |route: &Arc<tenantry_kernel::TenantRoute>| {
        assert!(route.epoch > epoch, "{} after {epoch}", route.epoch);
        epoch = route.epoch;
    };

    let change = TenantChange {
        display_name: Some("Acme Ltd".into()),
        plan: Some("enterprise".into()),
        etag: String::new(),
    };
    world
        .tenants
        .update(&operator(), &name, change, &no_key())
        .await
        .unwrap();
    other.follow().await.unwrap();
    let route = other.by_id(id).await.unwrap();
    newer(&route);
    assert_eq!(
        (route.plan.as_str(), route.brand.display_name.as_str()),
        ("enterprise", "Acme Ltd")
    );
    assert!(route.limits.requests_per_second >= 500 && route.features.contains("custom_domain"));

    let limits = Limits {
        requests_per_second: 777,
        ..route.limits
    };
    let change = PlanChange {
        limits: Some(limits),
        features: Some(BTreeSet::from(["custom_domain".into()])),
        ..PlanChange::default()
    };
    world
        .plans
        .update(&operator(), "enterprise", change, &no_key())
        .await
        .unwrap();
    assert_eq!(other.follow().await.unwrap(), 1);
    newer(&other.by_id(id).await.unwrap());
    assert_eq!(other.by_id(id).await.unwrap().limits.requests_per_second, 777);

    let change = BrandingChange {
        primary_color: Some("#AB12cd".into()),
        ..BrandingChange::default()
    };
    world
        .branding
        .update(&world.call(id).await, change, &no_key())
        .await
        .unwrap();
    world.routes.follow().await.unwrap();
    world
        .domains
        .create(&world.call(id).await, "Help.Acme.Example", &no_key())
        .await
        .unwrap();
    other.follow().await.unwrap();
    newer(&other.by_id(id).await.unwrap());
    assert_eq!(other.by_id(id).await.unwrap().brand.primary_color, "#ab12cd");
    assert_eq!(
        other.by_domain("help.acme.example").await.unwrap_err().reason(),
        Reason::TenantNotFound,
        "not verified"
    );
    world
        .domains
        .verify(&operator(), &name, "help.acme.example", &no_key())
        .await
        .unwrap();
    assert_eq!(
        other.by_domain("help.acme.example").await.unwrap().tenant,
        id,
        "a miss asks the table"
    );
    other.follow().await.unwrap();
    newer(&other.by_id(id).await.unwrap());

    world.tenants.suspend(&operator(), &name, "", &no_key()).await.unwrap();
    other.follow().await.unwrap();
    assert_eq!(other.by_id(id).await.unwrap().status, TenantStatus::Suspended);
    world.settle().await;
    world
        .tenants
        .delete(&operator(), &name, "", true, &no_key())
        .await
        .unwrap();
    world.settle().await;
    other.follow().await.unwrap();
    for gone in [
        other.by_id(id).await,
        other.by_slug("acme").await,
        other.by_domain("help.acme.example").await,
    ] {
        assert_eq!(gone.unwrap_err().reason(), Reason::TenantNotFound);
    }
    let mut last = None;
    while let Ok(batch) = watch.changes.try_recv() {
        last = batch.last().cloned().or(last);
    }
    assert!(
        matches!(last, Some(Change::Removed { tenant, .. }) if tenant == id),
        "{last:?}"
    );
    world.drop().await;
}

#[tokio::test]
async fn changes_at_the_same_time_are_all_seen() {
    let world = World::new().await;
    let other = Arc::new(Routes::new(world.store.clone()));
    let follower = tokio::spawn({
        let other = Arc::clone(&other);
        async move {
            loop {
                other.follow().await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    let onboard = |from: usize| {
        let world = &world;
        async move {
            for n in 0..15 {
                world.onboard(&format!("t{from}-{n}x")).await;
            }
        }
    };
    tokio::join!(onboard(0), onboard(1), onboard(2), onboard(3));
    world.settle().await;
    follower.abort();
    drop(follower.await);
    other.follow().await.unwrap();
    let watch = other.watch().unwrap();
    assert_eq!(watch.snapshot.len(), 61);
    let active = watch
        .snapshot
        .iter()
        .filter(|route| route.status == TenantStatus::Active)
        .count();
    assert_eq!(active, 61, "no change was read past");
    world.drop().await;
}
