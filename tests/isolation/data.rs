//! The whole data of a tenant in one call: only the backup service may ask for it, whoever else is trusted otherwise.

use tenantry_testkit::World;
use tenantry_tests::{Data, Operator};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn only_the_backup_service_exports_and_restores() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let (a, b) = (operator.tenant("dexa").await, operator.tenant("dexb").await);
    for tenant in [&a, &b] {
        tenant.help_desk().await;
        tenant.ticket(&format!("of {}", tenant.slug)).await;
    }
    let backup = Data::of(&world, "backup");
    let parts = backup.export(&a.id).await.expect("the backup service may");
    let sent = format!("{parts:?}");
    assert!(!sent.contains(&b.id), "nothing names the neighbour");

    let restore_id = "01890000-0000-7000-8000-000000000001";
    for service in ["gateway", "registry", "auth", "business", "monitoring"] {
        let other = Data::of(&world, service);
        // A service that auth gives no such token to is stopped even earlier.
        let Ok(token) = other.token().await else { continue };
        let seen = other.export_with(&a.id, &token).await.expect_err(service);
        assert_eq!(seen.code(), Code::PermissionDenied, "{service}: {seen:?}");
        let seen = other
            .restore_with(&b.id, restore_id, &parts, &token)
            .await
            .expect_err(service);
        assert_eq!(seen.code(), Code::PermissionDenied, "{service}: {seen:?}");
    }
    for stranger in [a.owner.token.as_str(), operator.token.as_str(), "x"] {
        let seen = backup.export_with(&a.id, stranger).await.expect_err("no service");
        assert_eq!(seen.code(), Code::Unauthenticated, "{seen:?}");
    }
    let titles = b.rest().get("/v1/objectTypes/tickets/records").await.ok();
    assert!(titles.to_string().contains(&format!("of {}", b.slug)), "{titles}");
}
