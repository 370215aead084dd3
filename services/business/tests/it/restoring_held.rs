//! What is acknowledged while a tenant is restored is not lost: it is in the copy that was taken before, or in what is
//! there after.

#![expect(clippy::disallowed_methods, reason = "tests may use random ids")]

use crate::{
    restoring::{collect, content, export, nothing_left, restore, send},
    world::{World, count, definition, map, run},
};
use serde_json::json;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    time::Duration,
};
use tenantry_business::{
    app::holds,
    domain::{Field, FieldType, data::Part},
};
use tenantry_kernel::Reason;
use uuid::Uuid;

/// E-mails in the rows of an export.
fn emails(parts: &[Part]) -> BTreeSet<String> {
    let text: String = parts
        .iter()
        .filter_map(|part| match part {
            Part::Rows { text, .. } => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        })
        .collect();
    let words = text.split(['\t', '\n']).filter(|word| word.starts_with("w-"));
    words.map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_written_during_a_restore_is_in_the_copy_or_in_what_is_there() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let old = export(&world, 1).await;
    let (acknowledged, tries, refused) = (RefCell::new(BTreeSet::new()), Cell::new(0), Cell::new(0));
    let writer = async || -> () {
        loop {
            let email = format!("w-{}", tries.get());
            tries.set(tries.get() + 1);
            let fields = map(json!({"email": email}));
            match world.records.create(&ctx, "people", &fields, None).await {
                Ok(_) => drop(acknowledged.borrow_mut().insert(email)),
                Err(error) => {
                    assert_eq!(error.reason(), Reason::Conflict, "{error}");
                    refused.set(refused.get() + 1);
                }
            }
        }
    };
    let more = async |than: i32| {
        let goal = tries.get() + than;
        while tries.get() < goal {
            tokio::task::yield_now().await;
        }
    };
    let restoring = async {
        let id = Uuid::now_v7();
        more(20).await;
        let copy = collect(world.exports.open(world.tenant(1), Some(id)).await.unwrap()).await;
        more(20).await;
        send(&world, 1, id, &old).await.unwrap();
        let after = acknowledged.borrow().len();
        more(20).await;
        assert!(acknowledged.borrow().len() > after, "writes are taken again");
        copy
    };
    let copy = tokio::select! {
        copy = restoring => copy,
        () = writer() => unreachable!("it writes until it is stopped"),
    };
    let mut kept = emails(&copy);
    kept.extend(emails(&export(&world, 1).await));
    let lost: Vec<_> = acknowledged.borrow().difference(&kept).cloned().collect();
    assert!(lost.is_empty(), "acknowledged and nowhere: {lost:?}");
    assert!(refused.get() > 0, "what would be lost is refused");
    world.drop().await;
}

#[tokio::test]
async fn a_held_tenant_is_read_and_not_changed() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let person = map(json!({"email": "a"}));
    let there = world.records.create(&ctx, "people", &person, None).await.unwrap();
    let id = Uuid::now_v7();
    holds::take(&world.parts.store, world.tenant(1), id).await.unwrap();
    world.records.get(&ctx, "people", there.id).await.unwrap();
    let all = world.records.list(&ctx, "people", &Default::default()).await.unwrap();
    assert_eq!(all.0.len(), 1);
    let fields = vec![Field::new("x", FieldType::Bool)];
    let refused = [
        world
            .records
            .create(&ctx, "people", &map(json!({"email": "b"})), None)
            .await
            .unwrap_err(),
        world
            .records
            .delete(&ctx, "people", there.id, "", None)
            .await
            .unwrap_err(),
        world
            .records
            .batch_create(&ctx, "people", &[map(json!({"email": "c"}))], None)
            .await
            .unwrap_err(),
        world
            .types
            .create(&ctx, "fresh", &definition(fields), None)
            .await
            .unwrap_err(),
        world.types.delete(&ctx, "tickets", "", true, None).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.reason(), Reason::Conflict, "{error}");
        assert!(error.public().contains("restore of this tenant is running"), "{error}");
    }
    // Neighbours are not held.
    world.help_desk(&world.ctx(2)).await;
    holds::release(&world.parts.store, world.tenant(1), Uuid::now_v7()).await;
    let still = world
        .records
        .create(&ctx, "people", &map(json!({"email": "d"})), None)
        .await;
    assert_eq!(
        still.unwrap_err().reason(),
        Reason::Conflict,
        "another restore's hold is not ended"
    );
    holds::release(&world.parts.store, world.tenant(1), id).await;
    world
        .records
        .create(&ctx, "people", &map(json!({"email": "e"})), None)
        .await
        .unwrap();
    world.drop().await;
}

/// Whoever had begun to write before the hold is waited for: what they are told is done is in the copy.
#[tokio::test]
async fn a_copy_waits_for_whoever_is_writing() {
    let world = World::new().await;
    world.help_desk(&world.ctx(1)).await;
    let (mut writer, mut admin, tenant) = (world.superuser().await, world.superuser().await, world.tenant(1));
    let insert = format!(
        "BEGIN; INSERT INTO {}.o_people (tenant_id, id, version, create_time, update_time, creator, f_email) \
         VALUES ('{tenant}', gen_random_uuid(), 1, now(), now(), '', 'w-late')",
        tenant.schema()
    );
    run(&mut writer, &insert).await;
    let waits = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareLock' AND relation IS NOT NULL \
                       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while count(&mut admin, waiting).await == 0 {
            tokio::task::yield_now().await;
        }
        run(&mut writer, "COMMIT").await;
    };
    let copy = async { collect(world.exports.open(tenant, Some(Uuid::now_v7())).await.unwrap()).await };
    let waits = async { tokio::time::timeout(Duration::from_secs(60), waits).await };
    let (copy, waited) = tokio::join!(copy, waits);
    waited.expect("the copy was not taken before the writer was done");
    assert_eq!(emails(&copy), ["w-late".to_owned()].into());
    drop((admin, writer));
    world.drop().await;
}

#[tokio::test]
async fn data_that_could_be_changed_is_not_replaced() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let parts = export(&world, 1).await;
    let person = async |email: &str| {
        world
            .records
            .create(&ctx, "people", &map(json!({"email": email})), None)
            .await
    };
    person("a").await.unwrap();
    let (mut admin, tenant) = (world.superuser().await, world.tenant(1));
    let before = content(&mut admin, tenant).await;
    let refused = send(&world, 1, Uuid::now_v7(), &parts).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::DeadlineExceeded, "{refused}");
    assert_eq!(content(&mut admin, tenant).await, before);
    nothing_left(&mut admin).await;

    // A hold whose restore is silent ends, and with it the restore.
    let id = Uuid::now_v7();
    holds::take(&world.parts.store, tenant, id).await.unwrap();
    holds::sweep(&world.parts.store).await.unwrap();
    assert_eq!(
        person("b").await.unwrap_err().reason(),
        Reason::Conflict,
        "not before its time"
    );
    run(
        &mut admin,
        "UPDATE business.holds SET expire_time = now() - interval '1 second'",
    )
    .await;
    holds::sweep(&world.parts.store).await.unwrap();
    person("b").await.unwrap();
    assert_eq!(
        send(&world, 1, id, &parts).await.unwrap_err().reason(),
        Reason::DeadlineExceeded
    );

    // A restore that fails, and an export that is cut off, let the tenant go on.
    restore(&world, 1, Uuid::now_v7(), &parts[..3]).await.unwrap_err();
    person("c").await.unwrap();
    let mut stream = world.exports.open(tenant, Some(Uuid::now_v7())).await.unwrap();
    stream.recv().await.unwrap().unwrap();
    drop(stream);
    let ended = async {
        while count(&mut admin, "SELECT count(*) FROM business.holds").await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .expect("nobody takes the rest");
    person("d").await.unwrap();
    // Done is done: nobody is held for it again.
    let id = Uuid::now_v7();
    restore(&world, 1, id, &parts).await.unwrap();
    let late = holds::take(&world.parts.store, tenant, id).await.unwrap_err();
    assert_eq!(late.reason(), Reason::FailedPrecondition);
    drop(admin);
    world.drop().await;
}
