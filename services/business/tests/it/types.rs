//! Object types: definition and table.

use crate::world::{World, count, definition, map};
use serde_json::json;
use tenantry_business::domain::{Field, FieldType};
use tenantry_kernel::Reason;

#[tokio::test]
async fn a_type_is_a_definition_and_a_table_and_both_go_together() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let found = world.types.get(&ctx, "tickets").await.unwrap();
    assert_eq!(found.fields().len(), 8);
    assert_eq!(
        world
            .types
            .create(
                &ctx,
                "tickets",
                &definition(vec![Field::new("a", FieldType::Bool)]),
                None
            )
            .await
            .unwrap_err()
            .reason(),
        Reason::AlreadyExists
    );
    assert_eq!(
        world.types.get(&world.ctx(2), "tickets").await.unwrap_err().reason(),
        Reason::NotFound
    );

    let (page, next) = world.types.list(&ctx, 1, "").await.unwrap();
    assert_eq!((page[0].id.as_str(), page.len()), ("people", 1));
    let (page, end) = world.types.list(&ctx, 1, &next).await.unwrap();
    assert_eq!((page[0].id.as_str(), end.as_str()), ("tickets", ""));

    assert_eq!(
        world
            .types
            .delete(&ctx, "people", "", true, None)
            .await
            .unwrap_err()
            .reason(),
        Reason::StillReferenced
    );
    world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "a"})), None)
        .await
        .unwrap();
    assert_eq!(
        world
            .types
            .delete(&ctx, "tickets", "", false, None)
            .await
            .unwrap_err()
            .reason(),
        Reason::FailedPrecondition
    );
    assert_eq!(
        world
            .types
            .delete(&ctx, "tickets", "\"1\"", true, None)
            .await
            .unwrap_err()
            .reason(),
        Reason::EtagMismatch
    );
    world
        .types
        .delete(&ctx, "tickets", &found.etag(), true, None)
        .await
        .unwrap();
    assert_eq!(
        world.types.get(&ctx, "tickets").await.unwrap_err().reason(),
        Reason::NotFound
    );
    world.types.delete(&ctx, "people", "", false, None).await.unwrap();
    let mut admin = world.superuser().await;
    assert_eq!(
        count(&mut admin, "SELECT count(*) FROM pg_class WHERE relname LIKE 'o\\_%'").await,
        0
    );
    assert_eq!(count(&mut admin, "SELECT count(*) FROM business.usage").await, 0);
    drop(admin);
    world.drop().await;
}

#[tokio::test]
async fn a_type_grows_under_records_that_are_there() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let old = world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "old"})), None)
        .await
        .unwrap();
    world.records.get(&ctx, "tickets", old.id).await.unwrap();
    let before = world.types.get(&ctx, "tickets").await.unwrap();
    let mut next = before.definition.clone();
    let mut level = Field::new("level", FieldType::String);
    (level.required, level.default_value) = (true, json!("it's \\ok"));
    next.fields.push(level);
    let mut code = Field::new("code", FieldType::String);
    (code.unique, code.max_length) = (true, 20);
    next.fields.push(code);
    let after = world
        .types
        .update(&ctx, "tickets", &next, &["fields".to_owned()], &before.etag(), None)
        .await
        .unwrap();
    assert!(after.version > before.version);
    assert_eq!(
        world
            .types
            .update(&ctx, "tickets", &next, &[], &before.etag(), None)
            .await
            .unwrap_err()
            .reason(),
        Reason::EtagMismatch
    );
    // The cached record was rendered with the old definition and must not be answered.
    let read = world.records.get(&ctx, "tickets", old.id).await.unwrap();
    assert_eq!(read.fields["level"], json!("it's \\ok"));
    world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "new", "code": "x"})), None)
        .await
        .unwrap();
    let twice = world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "new", "code": "x"})), None)
        .await
        .unwrap_err();
    assert_eq!(
        (twice.reason(), twice.fields()[0].field.as_str()),
        (Reason::UniqueViolation, "record.fields.code")
    );
    world.drop().await;
}

#[tokio::test]
async fn limits_targets_and_foreign_schemas_are_respected() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    let mut dangling = Field::new("to", FieldType::Reference);
    dangling.reference_type = "nowhere".into();
    assert_eq!(
        world
            .types
            .create(&ctx, "a", &definition(vec![dangling]), None)
            .await
            .unwrap_err()
            .reason(),
        Reason::ReferenceNotFound
    );
    let mut own = Field::new("parent", FieldType::Reference);
    own.reference_type = "tree".into();
    world
        .types
        .create(&ctx, "tree", &definition(vec![own]), None)
        .await
        .unwrap();
    for id in ["b", "c", "d", "e"] {
        world
            .types
            .create(&ctx, id, &definition(vec![Field::new("x", FieldType::Bool)]), None)
            .await
            .unwrap();
    }
    let over = world
        .types
        .create(&ctx, "f", &definition(vec![Field::new("x", FieldType::Bool)]), None)
        .await
        .unwrap_err();
    assert_eq!(over.reason(), Reason::QuotaExceeded);
    assert!(
        over.public().contains("trial") && over.public().contains("object_types"),
        "{}",
        over.public()
    );
    let nobody = world.ctx(3);
    let refused = world
        .types
        .create(&nobody, "a", &definition(vec![Field::new("x", FieldType::Bool)]), None)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::TenantNotActive);
    let mut tx = world.parts.store.begin_system("lint").await.unwrap();
    let findings = tenantry_db::lint(&mut tx, &["business", "t\\_%"]).await.unwrap();
    tx.commit().await.unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
    world.drop().await;
}
