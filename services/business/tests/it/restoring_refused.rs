//! Restores that do not happen, happen once, or are killed on the way.

#![expect(clippy::disallowed_methods, reason = "tests may use random ids")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail by panic")]

use crate::{
    restoring::{content, export, nothing_left, restore},
    world::{World, count, definition, map, run},
};
use serde_json::json;
use tenantry_business::{
    app::restores,
    domain::{Field, FieldType, data::Part},
    store,
};
use tenantry_kernel::Reason;
use uuid::Uuid;

async fn desk(world: &World) -> Vec<Part> {
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let person = world
        .records
        .create(&ctx, "people", &map(json!({"email": "a"})), None)
        .await
        .unwrap();
    world
        .records
        .create(&ctx, "people", &map(json!({"email": "b"})), None)
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
    let parts = export(world, 1).await;
    world
        .records
        .create(&ctx, "people", &map(json!({"email": "live"})), None)
        .await
        .unwrap();
    parts
}

/// The parts with something wrong, and the reason it is refused for.
fn wrong(parts: &[Part]) -> Vec<(&'static str, Vec<Part>, Reason)> {
    use Reason::{InvalidArgument, MalformedRequest};
    let changed = |at: usize, change: &dyn Fn(&mut Part)| {
        let mut parts = parts.to_vec();
        change(&mut parts[at]);
        parts
    };
    let without = |at: usize| {
        let mut parts = parts.to_vec();
        parts.remove(at);
        parts
    };
    // 0 header, 1 people, 2 rows, 3 tickets, 4 rows, 5 footer
    assert!(matches!(
        parts,
        [
            Part::Header { .. },
            Part::Type { .. },
            Part::Rows { .. },
            Part::Type { .. },
            Part::Rows { .. },
            Part::Footer { .. }
        ]
    ));
    let rows = |new: &'static str, count: u64| {
        move |part: &mut Part| {
            if let Part::Rows { text, rows } = part {
                (*text, *rows) = (new.as_bytes().to_vec(), count);
            }
        }
    };
    let edit = |find: &'static str, put: &'static str| {
        move |part: &mut Part| {
            if let Part::Rows { text, .. } = part {
                let edited = String::from_utf8(text.clone()).unwrap().replace(find, put);
                assert_ne!(edited.as_bytes(), text.as_slice(), "{find}");
                *text = edited.into_bytes();
            }
        }
    };
    let fields = |change: fn(&mut Vec<Field>)| {
        move |part: &mut Part| {
            if let Part::Type { object_type, .. } = part {
                change(&mut object_type.definition.fields);
            }
        }
    };
    vec![
        ("nothing", vec![], MalformedRequest),
        ("cut off in the rows", parts[..4].to_vec(), MalformedRequest),
        ("cut off before the footer", parts[..5].to_vec(), MalformedRequest),
        ("no header", without(0), InvalidArgument),
        ("a type without its rows", without(4), InvalidArgument),
        ("rows without a type", without(1), InvalidArgument),
        ("a type twice", [&parts[..3], &parts[1..]].concat(), InvalidArgument),
        (
            "something behind the footer",
            [parts, &parts[5..]].concat(),
            InvalidArgument,
        ),
        (
            "another format",
            changed(0, &|part| {
                if let Part::Header { format, .. } = part {
                    *format = 2;
                }
            }),
            InvalidArgument,
        ),
        (
            "a wrong count of rows",
            changed(5, &|part| {
                if let Part::Footer { rows, .. } = part {
                    *rows += 1;
                }
            }),
            InvalidArgument,
        ),
        (
            "a wrong count of types",
            changed(5, &|part| {
                if let Part::Footer { object_types, .. } = part {
                    *object_types = 1;
                }
            }),
            InvalidArgument,
        ),
        (
            "a wrong count in a part",
            changed(2, &|part| {
                if let Part::Rows { rows, .. } = part {
                    *rows = 1;
                }
            }),
            InvalidArgument,
        ),
        ("no COPY text", changed(2, &rows("garbage\n", 1)), InvalidArgument),
        (
            "too few columns",
            changed(2, &rows("00000000-0000-0000-0000-000000000001\t1\tx\n", 1)),
            InvalidArgument,
        ),
        ("the end marker of COPY", changed(2, &rows("\\.\n", 1)), InvalidArgument),
        (
            "no line end",
            changed(2, &rows("00000000-0000-0000-0000-000000000001\t1\tx", 1)),
            InvalidArgument,
        ),
        (
            "a value of another type",
            changed(4, &edit("\topen\t", "\tnever\t")),
            InvalidArgument,
        ),
        (
            "a unique value twice",
            changed(2, &edit("\ta\t", "\tb\t")),
            InvalidArgument,
        ),
        (
            "a reference to nobody",
            changed(2, &|part| {
                if let Part::Rows { text, .. } = part {
                    // Every id differs from what the ticket refers to.
                    *text = String::from_utf8(text.clone())
                        .unwrap()
                        .lines()
                        .map(|line| format!("f{}\n", &line[1..]))
                        .collect::<String>()
                        .into_bytes();
                }
            }),
            InvalidArgument,
        ),
        (
            "an unknown column",
            changed(1, &|part| {
                if let Part::Type { columns, .. } = part {
                    columns.push("tenant_id".into());
                }
            }),
            InvalidArgument,
        ),
        (
            "a column less",
            changed(1, &|part| {
                if let Part::Type { columns, .. } = part {
                    columns.pop();
                }
            }),
            InvalidArgument,
        ),
        (
            "a type that cannot be called that",
            changed(1, &|part| {
                if let Part::Type { object_type, .. } = part {
                    object_type.id = "x; DROP SCHEMA business".into();
                }
            }),
            InvalidArgument,
        ),
        (
            "a field that cannot be called that",
            changed(1, &fields(|fields| fields[0].id = "a, b".into())),
            InvalidArgument,
        ),
        (
            "a field twice",
            changed(1, &fields(|fields| fields.push(fields[0].clone()))),
            InvalidArgument,
        ),
        ("a reference to no type", without_people(parts), InvalidArgument),
    ]
}

fn without_people(parts: &[Part]) -> Vec<Part> {
    let mut parts = parts.to_vec();
    parts.drain(1..3);
    if let Some(Part::Footer { object_types, rows }) = parts.last_mut() {
        (*object_types, *rows) = (1, 1);
    }
    parts
}

#[tokio::test]
async fn wrong_data_leaves_everything_as_it_was() {
    let world = World::new().await;
    let parts = desk(&world).await;
    let (mut admin, tenant) = (world.superuser().await, world.tenant(1));
    let before = content(&mut admin, tenant).await;
    for (what, parts, reason) in wrong(&parts) {
        let Err(error) = restore(&world, 1, Uuid::now_v7(), &parts).await else {
            panic!("{what} was restored");
        };
        assert_eq!(error.reason(), reason, "{what}: {error}");
        assert_eq!(content(&mut admin, tenant).await, before, "{what}");
        nothing_left(&mut admin).await;
    }
    let unknown = restore(&world, 9, Uuid::now_v7(), &parts).await.unwrap_err();
    assert_eq!(unknown.reason(), Reason::TenantNotActive);
    // The same parts as they came are fine.
    restore(&world, 1, Uuid::now_v7(), &parts).await.unwrap();
    drop(admin);
    world.drop().await;
}

#[tokio::test]
async fn a_restore_is_done_once() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    let parts = desk(&world).await;
    let id = Uuid::now_v7();
    let counts = restore(&world, 1, id, &parts).await.unwrap();
    world
        .records
        .create(&ctx, "people", &map(json!({"email": "after"})), None)
        .await
        .unwrap();
    let mut admin = world.superuser().await;
    let after = content(&mut admin, world.tenant(1)).await;
    assert_eq!(restore(&world, 1, id, &parts).await.unwrap(), counts);
    assert_eq!(
        restore(&world, 1, id, &[]).await.unwrap(),
        counts,
        "whatever comes with it"
    );
    assert_eq!(content(&mut admin, world.tenant(1)).await, after);
    // The id is the tenant's: for another one it is another restore.
    assert_eq!(restore(&world, 2, id, &parts).await.unwrap(), counts);
    let generations = format!(
        "SELECT max(generation) FROM business.restores WHERE tenant_id = '{}'",
        world.tenant(1)
    );
    restore(&world, 1, Uuid::now_v7(), &parts).await.unwrap();
    assert_eq!(count(&mut admin, &generations).await, 2);
    drop(admin);
    world.drop().await;
}

#[tokio::test]
async fn a_restore_that_fails_around_its_swap_is_repeated() {
    let world = World::new().await;
    let parts = desk(&world).await;
    let (mut admin, tenant) = (world.superuser().await, world.tenant(1));
    let live = content(&mut admin, tenant).await;
    let arm = |point: &str| {
        world
            .faults
            .arm(serde_json::from_value(json!({"point": point, "action": "error"})).unwrap());
    };
    let id = Uuid::now_v7();
    arm("business.restore.before_swap");
    restore(&world, 1, id, &parts).await.unwrap_err();
    assert_eq!(content(&mut admin, tenant).await, live);
    nothing_left(&mut admin).await;
    arm("business.restore.after_swap");
    restore(&world, 1, id, &parts).await.unwrap_err();
    let restored = content(&mut admin, tenant).await;
    assert_eq!((live.len(), restored.len()), (4, 3), "it is done all the same");
    nothing_left(&mut admin).await;
    assert_eq!(restore(&world, 1, id, &parts).await.unwrap().records, 3);
    assert_eq!(content(&mut admin, tenant).await, restored);
    drop(admin);
    world.drop().await;
}

/// What a process that was killed leaves: an attempt and its schema, half filled, or the live schema of before.
#[tokio::test]
async fn what_a_killed_restore_left_is_removed() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    let parts = desk(&world).await;
    let (mut admin, tenant) = (world.superuser().await, world.tenant(1));
    let killed = async || {
        let object_type = world.types.get(&ctx, "people").await.unwrap();
        let mut tx = world.parts.store.begin_restore("test").await.unwrap();
        let schema = store::restore::detached(tenant, Uuid::now_v7());
        let attempt = store::restore::begin(&mut tx, tenant, Uuid::now_v7(), schema)
            .await
            .unwrap();
        store::restore::create_table(&mut tx, &attempt, &object_type)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        attempt
    };
    // The next attempt takes its place, and the one before cannot go on.
    let attempt = killed().await;
    restore(&world, 1, Uuid::now_v7(), &parts).await.unwrap();
    nothing_left(&mut admin).await;
    let mut tx = world.parts.store.begin_restore("test").await.unwrap();
    let late = store::restore::touch(&mut tx, &attempt).await.unwrap_err();
    assert_eq!(late.reason(), Reason::FailedPrecondition);
    drop(tx);
    // The janitor leaves one alone that may be at work, and removes it when it has been silent.
    killed().await;
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'r\\_%'";
    restores::sweep_stale(&world.parts.store).await.unwrap();
    assert_eq!(count(&mut admin, schemas).await, 1);
    run(
        &mut admin,
        "UPDATE business.restores SET update_time = now() - interval '11 minutes' WHERE state = 'filling'",
    )
    .await;
    restores::sweep_stale(&world.parts.store).await.unwrap();
    nothing_left(&mut admin).await;
    // The boot-time linter passes while a detached schema is there.
    killed().await;
    let mut tx = world.parts.store.begin_system("lint").await.unwrap();
    tenantry_db::ensure_clean(&mut tx, &["business", "t\\_%"])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    // No service can look into it.
    let mut service = world.raw("tenantry_business").await;
    let peek = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'r\\_%' AND has_schema_privilege(oid, 'USAGE')";
    assert_eq!(count(&mut service, peek).await, 0);
    drop((admin, service));
    world.drop().await;
}

#[tokio::test]
async fn an_import_that_was_running_does_not_go_on_in_restored_data() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world
        .types
        .create(&ctx, "rows", &definition(vec![Field::new("x", FieldType::Int64)]), None)
        .await
        .unwrap();
    let before = world.types.get(&ctx, "rows").await.unwrap();
    let parts = export(&world, 1).await;
    restore(&world, 1, Uuid::now_v7(), &parts).await.unwrap();
    let after = world.types.get(&ctx, "rows").await.unwrap();
    // An import holds on to the key of its type.
    assert_ne!(before.key, after.key);
    assert_eq!(before.definition, after.definition);
    world.drop().await;
}

#[tokio::test]
async fn data_that_is_larger_than_the_plan_replaces_nothing() {
    let world = World::new().await;
    let parts = desk(&world).await;
    let mut conn = world.superuser().await;
    let before = content(&mut conn, world.tenant(1)).await;
    world.set_records(2);
    let refused = restore(&world, 1, Uuid::now_v7(), &parts).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::QuotaExceeded);
    let text = refused.public();
    assert!(text.contains("\"trial\" allows 2 records"), "{text}");
    assert_eq!(content(&mut conn, world.tenant(1)).await, before);
    nothing_left(&mut conn).await;
    world.set_records(3);
    restore(&world, 1, Uuid::now_v7(), &parts).await.unwrap();
    drop(conn);
    world.drop().await;
}
