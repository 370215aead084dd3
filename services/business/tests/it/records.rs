//! Records: values, constraints, versions, idempotency, batches, cache and walls.

use crate::world::{World, count, map, run, token};
use serde_json::json;
use tenantry_business::app::{once::Once, records::Update};
use tenantry_kernel::Reason;
use uuid::Uuid;

fn once(key: &str, fingerprint: u8) -> Once {
    Once {
        schema: "business",
        method: "test/Create",
        key: key.to_owned(),
        fingerprint: [fingerprint; 32],
    }
}

fn update(id: Uuid, fields: serde_json::Value, etag: &str) -> Update {
    Update {
        id,
        fields: map(fields),
        mask: Vec::new(),
        etag: etag.to_owned(),
    }
}

#[tokio::test]
async fn what_is_written_is_what_is_read() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let person = world
        .records
        .create(&ctx, "people", &map(json!({"email": "a@x.org", "name": "Ä"})), None)
        .await
        .unwrap();
    let given = json!({"title": "one", "owner": person.name(), "price": "12.50", "priority": "9223372036854775807", "score": 0.1, "due": "2026-11-23", "extra": {"a": [1, null, 1.5]}});
    let made = world
        .records
        .create(&ctx, "tickets", &map(given.clone()), None)
        .await
        .unwrap();
    let mut expected = map(given);
    expected.insert("status".into(), json!("open"));
    assert_eq!(
        (made.version, &made.fields, made.creator.as_str()),
        (1, &expected, "users/00000000-0000-0000-0000-000000000007")
    );
    assert_eq!(world.records.get(&ctx, "tickets", made.id).await.unwrap(), made);

    let closed = world
        .records
        .update(
            &ctx,
            "tickets",
            &update(made.id, json!({"status": "closed", "owner": null}), "\"1\""),
            None,
        )
        .await
        .unwrap();
    assert_eq!(
        (closed.version, closed.fields.get("owner"), &closed.fields["status"]),
        (2, None, &json!("closed"))
    );
    assert_eq!(world.records.get(&ctx, "tickets", made.id).await.unwrap(), closed);
    let stale = world
        .records
        .update(&ctx, "tickets", &update(made.id, json!({"title": "x"}), "\"1\""), None)
        .await
        .unwrap_err();
    assert_eq!(stale.reason(), Reason::EtagMismatch);
    assert_eq!(
        world
            .records
            .delete(&ctx, "tickets", made.id, "\"1\"", None)
            .await
            .unwrap_err()
            .reason(),
        Reason::EtagMismatch
    );
    world
        .records
        .delete(&ctx, "tickets", made.id, "\"2\"", None)
        .await
        .unwrap();
    assert_eq!(
        world.records.get(&ctx, "tickets", made.id).await.unwrap_err().reason(),
        Reason::NotFound
    );
    assert_eq!(
        world
            .records
            .delete(&ctx, "tickets", made.id, "", None)
            .await
            .unwrap_err()
            .reason(),
        Reason::NotFound
    );
    world.drop().await;
}

#[tokio::test]
async fn a_second_get_asks_no_database_and_an_update_is_seen_by_the_next() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let made = world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "one"})), None)
        .await
        .unwrap();
    world.records.get(&world.ctx(1), "tickets", made.id).await.unwrap();
    let second = world.ctx(1);
    world.records.get(&second, "tickets", made.id).await.unwrap();
    assert_eq!((second.tally().queries(), second.tally().cache().0), (0, 2));
    world
        .records
        .update(
            &world.ctx(1),
            "tickets",
            &update(made.id, json!({"title": "two"}), ""),
            None,
        )
        .await
        .unwrap();
    let third = world.ctx(1);
    assert_eq!(
        world.records.get(&third, "tickets", made.id).await.unwrap().fields["title"],
        json!("two")
    );
    // Another tenant with the same ids sees neither the record nor the cache.
    assert_eq!(
        world
            .records
            .get(&world.ctx(2), "tickets", made.id)
            .await
            .unwrap_err()
            .reason(),
        Reason::NotFound
    );
    world.help_desk(&world.ctx(2)).await;
    assert_eq!(
        world
            .records
            .get(&world.ctx(2), "tickets", made.id)
            .await
            .unwrap_err()
            .reason(),
        Reason::NotFound
    );
    world.drop().await;
}

#[tokio::test]
async fn without_redis_the_answers_are_the_same() {
    let world = World::with_cache(false).await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let made = world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "one"})), None)
        .await
        .unwrap();
    assert_eq!(world.records.get(&ctx, "tickets", made.id).await.unwrap(), made);
    let changed = world
        .records
        .update(&ctx, "tickets", &update(made.id, json!({"title": "two"}), ""), None)
        .await
        .unwrap();
    assert_eq!(world.records.get(&ctx, "tickets", made.id).await.unwrap(), changed);
    world.drop().await;
}

#[tokio::test]
async fn violations_name_the_field() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let person = world
        .records
        .create(&ctx, "people", &map(json!({"email": "a@x.org"})), None)
        .await
        .unwrap();
    let twice = world
        .records
        .create(&ctx, "people", &map(json!({"email": "a@x.org"})), None)
        .await
        .unwrap_err();
    assert_eq!(
        (twice.reason(), twice.fields()[0].field.as_str()),
        (Reason::UniqueViolation, "record.fields.email")
    );
    // The same e-mail at another tenant is another person.
    world.help_desk(&world.ctx(2)).await;
    let other = world
        .records
        .create(&world.ctx(2), "people", &map(json!({"email": "a@x.org"})), None)
        .await
        .unwrap();
    let missing = map(json!({"title": "t", "owner": other.name()}));
    let refused = world.records.create(&ctx, "tickets", &missing, None).await.unwrap_err();
    assert_eq!(
        (refused.reason(), refused.fields()[0].field.as_str()),
        (Reason::ReferenceNotFound, "record.fields.owner")
    );
    let ticket = world
        .records
        .create(
            &ctx,
            "tickets",
            &map(json!({"title": "t", "owner": person.name()})),
            None,
        )
        .await
        .unwrap();
    let refused = world
        .records
        .delete(&ctx, "people", person.id, "", None)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::StillReferenced);
    assert!(refused.public().contains("objectTypes/tickets"), "{}", refused.public());
    let wrong = world
        .records
        .update(
            &ctx,
            "tickets",
            &update(ticket.id, json!({"priority": "high", "colour": 1, "title": null}), ""),
            None,
        )
        .await
        .unwrap_err();
    assert_eq!((wrong.reason(), wrong.fields().len()), (Reason::UnknownField, 3));
    world.drop().await;
}

#[tokio::test]
async fn a_request_id_runs_once() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let fields = map(json!({"title": "one"}));
    let first = world
        .records
        .create(&ctx, "tickets", &fields, Some(&once("k", 1)))
        .await
        .unwrap();
    let again = world
        .records
        .create(&ctx, "tickets", &fields, Some(&once("k", 1)))
        .await
        .unwrap();
    assert_eq!(first, again);
    let other = world
        .records
        .create(&ctx, "tickets", &fields, Some(&once("k", 2)))
        .await
        .unwrap_err();
    assert_eq!(other.reason(), Reason::IdempotencyKeyReused);
    let (one, two) = (once("race", 1), once("race", 1));
    let (a, b) = tokio::join!(
        world.records.create(&ctx, "tickets", &fields, Some(&one)),
        world.records.create(&ctx, "tickets", &fields, Some(&two))
    );
    assert_eq!(a.unwrap().id, b.unwrap().id);
    let mut admin = world.superuser().await;
    assert_eq!(count(&mut admin, "SELECT count(*) FROM business.changes").await, 2);
    assert_eq!(
        count(&mut admin, "SELECT sum(records)::int8 FROM business.usage").await,
        2
    );
    drop(admin);
    world.drop().await;
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_counts_against_the_plan() {
    let world = World::new().await;
    let ctx = world.ctx_with(1, 3);
    world.help_desk(&ctx).await;
    let person = |email: &str| map(json!({"email": email}));
    let made = world
        .records
        .batch_create(&ctx, "people", &[person("a"), person("b")], None)
        .await
        .unwrap();
    let twice = world
        .records
        .batch_create(&ctx, "people", &[person("c"), person("a")], None)
        .await
        .unwrap_err();
    assert_eq!(
        (twice.reason(), twice.fields()[0].field.as_str()),
        (Reason::UniqueViolation, "requests[1].record.fields.email")
    );
    let over = world
        .records
        .batch_create(&ctx, "people", &[person("c"), person("d")], None)
        .await
        .unwrap_err();
    assert_eq!(over.reason(), Reason::QuotaExceeded);
    let swap = [
        update(made[0].id, json!({"name": "A"}), "\"1\""),
        update(made[1].id, json!({"name": "B"}), "\"9\""),
    ];
    let stale = world
        .records
        .batch_update(&ctx, "people", &swap, None)
        .await
        .unwrap_err();
    assert_eq!(
        (stale.reason(), stale.fields()[0].field.as_str()),
        (Reason::EtagMismatch, "requests[1]")
    );
    assert_eq!(world.records.get(&ctx, "people", made[0].id).await.unwrap().version, 1);
    let missing = world
        .records
        .batch_delete(&ctx, "people", &[made[0].id, Uuid::from_u128(1)], None)
        .await
        .unwrap_err();
    assert_eq!(
        (missing.reason(), missing.fields()[0].field.as_str()),
        (Reason::NotFound, "names[1]")
    );
    world
        .records
        .batch_delete(&ctx, "people", &[made[0].id, made[1].id], None)
        .await
        .unwrap();
    world
        .records
        .batch_create(&ctx, "people", &[person("a"), person("b"), person("c")], None)
        .await
        .unwrap();
    for bad in [
        world.records.batch_create(&ctx, "people", &[], None).await,
        world
            .records
            .batch_create(&ctx, "people", &vec![person("x"); 101], None)
            .await,
    ] {
        assert_eq!(bad.unwrap_err().reason(), Reason::InvalidArgument);
    }
    world.drop().await;
}

#[tokio::test]
async fn the_service_login_alone_opens_nothing() {
    let world = World::new().await;
    world.help_desk(&world.ctx(1)).await;
    world
        .records
        .create(&world.ctx(1), "tickets", &map(json!({"title": "secret"})), None)
        .await
        .unwrap();
    let table = format!("{}.o_tickets", world.tenant(1).schema());
    let mut conn = world.raw("tenantry_business").await;
    assert_eq!(count(&mut conn, &format!("SELECT count(*) FROM {table}")).await, 0);
    run(&mut conn, "BEGIN").await;
    run(
        &mut conn,
        &format!(
            "SELECT pg_catalog.set_config('tenancy.ctx', '{}', true)",
            token(world.tenant(2)).expose()
        ),
    )
    .await;
    assert_eq!(count(&mut conn, &format!("SELECT count(*) FROM {table}")).await, 0);
    run(&mut conn, "ROLLBACK").await;
    for attempt in [
        format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"),
        format!("TRUNCATE {table}"),
        "DELETE FROM business.changes".to_owned(),
        "UPDATE business.object_types SET version = 0".to_owned(),
        "SELECT * FROM business.tenants".to_owned(),
    ] {
        assert!(
            sqlx::raw_sql(sqlx::AssertSqlSafe(attempt.clone()))
                .execute(&mut conn)
                .await
                .is_err(),
            "{attempt}"
        );
    }
    let mut sys = world.raw("tenantry_business_sys").await;
    for attempt in [
        format!("SELECT * FROM {table}"),
        "SELECT record FROM business.changes".to_owned(),
        "SELECT input FROM business.operations".to_owned(),
        "SELECT * FROM business.import_chunks".to_owned(),
    ] {
        assert!(
            sqlx::raw_sql(sqlx::AssertSqlSafe(attempt.clone()))
                .execute(&mut sys)
                .await
                .is_err(),
            "{attempt}"
        );
    }
    assert_eq!(
        count(&mut sys, "SELECT count(change_time) FROM business.changes").await,
        0,
        "young changes are invisible to the janitor"
    );
    drop((conn, sys));
    tenantry_business::jobs::janitor::run_once(&world.parts.store)
        .await
        .unwrap();
    let mut admin = world.superuser().await;
    run(
        &mut admin,
        "UPDATE business.changes SET change_time = now() - interval '8 days'",
    )
    .await;
    tenantry_business::jobs::janitor::run_once(&world.parts.store)
        .await
        .unwrap();
    assert_eq!(count(&mut admin, "SELECT count(*) FROM business.changes").await, 0);
    drop(admin);
    world.drop().await;
}
