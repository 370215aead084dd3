//! Provisioning and dropping.

#![expect(clippy::disallowed_methods, reason = "tests may use random ids")]

use crate::world::{World, count, map, run};
use serde_json::json;
use tenantry_business::app::provisioning::{Command, is_permanent};
use tenantry_kernel::TenantId;
use uuid::Uuid;

fn command(tenant: TenantId) -> Command {
    Command {
        id: Uuid::now_v7(),
        tenant,
        traceparent: None,
    }
}

#[tokio::test]
async fn a_command_is_done_once_and_answered_every_time() {
    let world = World::new().await;
    let tenant = world.tenant(5);
    let provision = command(tenant);
    assert!(!world.provisioning.repeat(&provision).await.unwrap());
    world.provisioning.provision(&provision, b"reply").await.unwrap();
    assert!(world.provisioning.repeat(&provision).await.unwrap());
    let mut admin = world.superuser().await;
    let replies = format!(
        "SELECT count(DISTINCT id) FROM business.outbox WHERE tenant_id = '{tenant}' AND payload = 'reply' AND routing_key = 'registry'"
    );
    assert_eq!(count(&mut admin, &replies).await, 2);
    assert_eq!(
        count(
            &mut admin,
            &format!(
                "SELECT count(*) FROM pg_namespace WHERE nspname = '{}'",
                tenant.schema()
            )
        )
        .await,
        1
    );
    drop(admin);
    world.drop().await;
}

#[tokio::test]
async fn a_dropped_tenant_leaves_nothing_and_does_not_come_back() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    world.help_desk(&world.ctx(2)).await;
    let person = world
        .records
        .create(&ctx, "people", &map(json!({"email": "a"})), None)
        .await
        .unwrap();
    world
        .records
        .create(
            &ctx,
            "tickets",
            &map(json!({"title": "t", "owner": person.name()})),
            None,
        )
        .await
        .unwrap();
    world
        .records
        .create(&world.ctx(2), "people", &map(json!({"email": "a"})), None)
        .await
        .unwrap();
    let tenant = world.tenant(1);
    let mut admin = world.superuser().await;
    // More tables than one chunk.
    for i in 0..60 {
        run(
            &mut admin,
            &format!(
                "CREATE TABLE {}.o_x{i} (id int); ALTER TABLE {0}.o_x{i} OWNER TO tenantry_owner",
                tenant.schema()
            ),
        )
        .await;
    }
    world.provisioning.drop_data(&command(tenant), b"done").await.unwrap();
    assert_eq!(
        count(
            &mut admin,
            &format!(
                "SELECT count(*) FROM pg_namespace WHERE nspname = '{}'",
                tenant.schema()
            )
        )
        .await,
        0
    );
    for table in [
        "object_types",
        "changes",
        "usage",
        "operations",
        "imports",
        "import_chunks",
        "idempotency",
    ] {
        assert_eq!(
            count(
                &mut admin,
                &format!("SELECT count(*) FROM business.{table} WHERE tenant_id = '{tenant}'")
            )
            .await,
            0,
            "{table}"
        );
    }
    let late = world
        .provisioning
        .provision(&command(tenant), b"done")
        .await
        .unwrap_err();
    assert!(is_permanent(&late), "{late}");
    assert_eq!(
        count(&mut admin, "SELECT count(*) FROM business.object_types").await,
        2,
        "the other tenant keeps its own"
    );
    // Compensation of a step that was never done.
    world
        .provisioning
        .drop_data(&command(world.tenant(9)), b"done")
        .await
        .unwrap();
    drop(admin);
    world.drop().await;
}
