//! Oracles, error mapping, outbox, inbox and idempotency keys.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panic and use the real clock"
)]

use crate::world::{World, good, id, tenant};
use chrono::{SubsecRound, Utc};
use sqlx::Row;
use std::time::Duration;
use tenantry_db::{
    Statements, Tx,
    idempotency::{self, Start},
    inbox, outbox, query,
};
use tenantry_kernel::{Error, Reason};

async fn note(tx: &mut Tx, n: u128, text: &str) -> Result<u64, Error> {
    tx.execute(
        query("INSERT INTO app.notes VALUES ($1, $2, $3)")
            .bind(tx.tenant().uuid())
            .bind(id(n))
            .bind(text),
    )
    .await
}

async fn reply(tx: &mut Tx, n: u128, to: u128) -> Result<u64, Error> {
    tx.execute(
        query("INSERT INTO app.replies VALUES ($1, $2, $3)")
            .bind(tx.tenant().uuid())
            .bind(id(n))
            .bind(id(to)),
    )
    .await
}

#[tokio::test]
async fn constraints_answer_about_the_own_tenant_only() {
    let world = World::new().await;
    let db = world.tenants(2);
    let mut b = db.begin(&good(tenant(2))).await.unwrap();
    note(&mut b, 2, "secret").await.unwrap();
    b.commit().await.unwrap();
    let mut a = db.begin(&good(tenant(1))).await.unwrap();
    note(&mut a, 2, "secret").await.unwrap(); // same id, same unique text: no oracle
    a.rollback().await.unwrap();
    let mut texts = Vec::new();
    for target in [2, 99] {
        let mut a = db.begin(&good(tenant(1))).await.unwrap();
        let error = reply(&mut a, 1, target).await.unwrap_err();
        assert_eq!(
            (error.reason(), error.metadata()),
            (
                Reason::ReferenceNotFound,
                &[("constraint".to_owned(), "replies_note".to_owned())][..]
            )
        );
        texts.push(error.to_string());
    }
    assert_eq!(texts[0], texts[1], "a foreign record and none at all look the same");
    world.drop().await;
}

#[tokio::test]
async fn sqlstates_become_reasons() {
    let world = World::new().await;
    let db = world.tenants(1);
    let mut tx = db.begin(&good(tenant(1))).await.unwrap();
    note(&mut tx, 1, "one").await.unwrap();
    reply(&mut tx, 1, 1).await.unwrap();
    tx.commit().await.unwrap();
    for (sql, reason) in [
        (
            "INSERT INTO app.notes SELECT tenant_id, pg_catalog.gen_random_uuid(), text FROM app.notes",
            Reason::UniqueViolation,
        ),
        ("DELETE FROM app.notes", Reason::StillReferenced),
        (
            "INSERT INTO app.notes SELECT tenant_id, NULL, 'x' FROM app.notes",
            Reason::InvalidArgument,
        ),
        ("SELECT * FROM app.missing", Reason::Internal),
        ("SELECT * FROM tenancy.context_keys", Reason::Internal),
    ] {
        let error = db
            .begin(&good(tenant(1)))
            .await
            .unwrap()
            .execute(query(sql))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), reason, "{sql}");
        assert!(!error.to_string().contains("app."), "{error}");
    }
    let error = db
        .begin(&good(tenant(1)))
        .await
        .unwrap()
        .fetch_one(query("SELECT 1 WHERE false"))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::NotFound);
    world.drop().await;
}

fn message(n: u128, of: Option<u128>) -> outbox::OutboxMessage {
    outbox::OutboxMessage::new(
        id(n),
        Utc::now().trunc_subsecs(3),
        of.map(tenant),
        "tenantry.commands",
        "business",
        "tenantry.test.v1",
        vec![1, 2],
    )
}

#[tokio::test]
async fn the_outbox_is_claimed_in_turns_once_and_comes_back_after_its_lease() {
    let world = World::new().await;
    let (db, sys) = (world.tenants(1), world.system());
    let mut tx = db.begin(&good(tenant(1))).await.unwrap();
    for n in 1..=5 {
        outbox::insert(&mut tx, "app", &message(n, Some(1))).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut tx = db.begin(&good(tenant(2))).await.unwrap();
    assert!(
        outbox::insert(&mut tx, "app", &message(9, Some(1))).await.is_err(),
        "in another tenant's name"
    );
    drop(tx);
    let mut tx = sys.begin("platform").await.unwrap();
    outbox::insert(&mut tx, "app", &message(10, None)).await.unwrap();
    tx.commit().await.unwrap();

    let lease = Duration::from_secs(30);
    let mut first = sys.begin("relay").await.unwrap();
    let mut second = sys.begin("relay").await.unwrap();
    let taken = outbox::claim_batch(&mut first, "app", 3, lease).await.unwrap();
    assert_eq!(
        taken.iter().map(|m| m.id).collect::<Vec<_>>(),
        [id(1), id(2), id(10)],
        "the platform's one is not behind the tenant's five"
    );
    assert_eq!(
        (taken[0].attempts, taken[0].tenant, &taken[0].payload),
        (1, Some(tenant(1)), &vec![1, 2])
    );
    let others = outbox::claim_batch(&mut second, "app", 10, lease).await.unwrap();
    assert_eq!(
        others.iter().map(|m| m.id).collect::<Vec<_>>(),
        [id(3), id(4), id(5)],
        "locked rows are skipped"
    );
    first.commit().await.unwrap();
    second.commit().await.unwrap();

    let mut tx = sys.begin("relay").await.unwrap();
    assert!(outbox::claim_batch(&mut tx, "app", 10, lease).await.unwrap().is_empty());
    assert_eq!(
        outbox::delete_sent(&mut tx, "app", &[id(1), id(2), id(10), id(3), id(4)])
            .await
            .unwrap(),
        5
    );
    assert_eq!(
        outbox::release(&mut tx, "app", &[id(5)], Duration::ZERO).await.unwrap(),
        1
    );
    tx.commit().await.unwrap();
    let mut tx = sys.begin("relay").await.unwrap();
    assert_eq!(
        outbox::claim_batch(&mut tx, "app", 10, lease).await.unwrap()[0].attempts,
        2
    );
    drop(tx);
    world.drop().await;
}

async fn handled(tx: &mut impl Statements) -> Option<Vec<u8>> {
    inbox::seen(tx, "app", "test", id(1)).await.unwrap()
}

#[tokio::test]
async fn a_message_is_handled_once_for_each_tenant() {
    let world = World::new().await;
    let (db, sys) = (world.tenants(2), world.system());
    let mut tx = db.begin(&good(tenant(1))).await.unwrap();
    assert_eq!(handled(&mut tx).await, None);
    inbox::record(&mut tx, "app", "test", id(1), b"done").await.unwrap();
    assert_eq!(
        inbox::record(&mut tx, "app", "test", id(1), b"twice")
            .await
            .unwrap_err()
            .reason(),
        Reason::Conflict
    );
    tx.commit().await.unwrap();
    assert_eq!(
        handled(&mut db.begin(&good(tenant(1))).await.unwrap()).await,
        Some(b"done".to_vec())
    );
    let mut other = db.begin(&good(tenant(2))).await.unwrap();
    assert_eq!(handled(&mut other).await, None, "not even visible to another tenant");
    inbox::record(&mut other, "app", "test", id(1), b"").await.unwrap();
    other.commit().await.unwrap();
    let mut tx = sys.begin("platform").await.unwrap();
    inbox::record(&mut tx, "app", "platform", id(1), b"").await.unwrap();
    assert!(
        inbox::record(&mut tx, "app", "platform", id(1), b"").await.is_err(),
        "no tenant counts as one"
    );
    assert_eq!(inbox::purge(&mut tx, "app", 3600).await.unwrap(), 0);
    drop(tx);
    world.drop().await;
}

#[tokio::test]
async fn an_idempotency_key_replays_its_own_request_and_no_other() {
    let world = World::new().await;
    let db = world.tenants(4);
    let ctx = good(tenant(1));
    let mut tx = db.begin(&ctx).await.unwrap();
    assert_eq!(
        idempotency::begin(&mut tx, "app", &ctx, "Create", "k", b"f")
            .await
            .unwrap(),
        Start::New
    );

    // A concurrent twin waits for the row, then replays.
    let (twin_db, twin_ctx) = (db.clone(), ctx.clone());
    let twin = tokio::spawn(async move {
        let mut tx = twin_db.begin(&twin_ctx).await.unwrap();
        idempotency::begin(&mut tx, "app", &twin_ctx, "Create", "k", b"f").await
    });
    let sys = world.system();
    loop {
        let waiting = query("SELECT count(*) FROM pg_catalog.pg_locks WHERE NOT granted");
        if sys
            .begin("look")
            .await
            .unwrap()
            .fetch_one(waiting)
            .await
            .unwrap()
            .get::<i64, _>(0)
            > 0
        {
            break;
        }
    }
    idempotency::finish(&mut tx, "app", &ctx, "Create", "k", b"response")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(twin.await.unwrap().unwrap(), Start::Replay(b"response".to_vec()));

    let mut tx = db.begin(&ctx).await.unwrap();
    let reused = idempotency::begin(&mut tx, "app", &ctx, "Create", "k", b"other")
        .await
        .unwrap_err();
    assert_eq!(reused.reason(), Reason::IdempotencyKeyReused);
    assert_eq!(
        idempotency::begin(&mut tx, "app", &ctx, "Delete", "k", b"f")
            .await
            .unwrap(),
        Start::New,
        "another method"
    );
    drop(tx);
    let other = good(tenant(2));
    let mut tx = db.begin(&other).await.unwrap();
    assert_eq!(
        idempotency::begin(&mut tx, "app", &other, "Create", "k", b"f")
            .await
            .unwrap(),
        Start::New,
        "another tenant"
    );
    drop(tx);
    world.drop().await;
}

#[tokio::test]
async fn a_key_whose_first_call_rolled_back_is_free_again() {
    let world = World::new().await;
    let db = world.tenants(2);
    let ctx = good(tenant(1));
    for _ in 0..2 {
        let mut tx = db.begin(&ctx).await.unwrap();
        assert_eq!(
            idempotency::begin(&mut tx, "app", &ctx, "Create", "k", b"f")
                .await
                .unwrap(),
            Start::New
        );
        tx.rollback().await.unwrap();
    }
    let mut tx = db.begin(&ctx).await.unwrap();
    idempotency::begin(&mut tx, "app", &ctx, "Create", "k", b"f")
        .await
        .unwrap();
    tx.commit().await.unwrap(); // begun, committed, not finished: a long-running operation
    let mut tx = db.begin(&ctx).await.unwrap();
    assert_eq!(
        idempotency::begin(&mut tx, "app", &ctx, "Create", "k", b"f")
            .await
            .unwrap_err()
            .reason(),
        Reason::IdempotencyInProgress
    );
    drop(tx);
    world.drop().await;
}
