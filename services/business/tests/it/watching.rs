//! The change stream.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail by panic")]

use crate::world::{Never, World, map, now, run};
use serde_json::json;
use std::time::Duration;
use tenantry_business::{
    app::{records::Update, watch::Batch},
    domain::change::Change,
};
use tenantry_kernel::{Reason, Result, TenantStatus};
use tokio::sync::mpsc::Receiver;

async fn next(stream: &mut Receiver<Result<Batch>>) -> Result<Batch> {
    tokio::time::timeout(Duration::from_secs(30), stream.recv())
        .await
        .expect("a batch or a heartbeat")
        .expect("open")
}

/// Batches until `count` changes have come; the titles and the last token. A stream from now on may begin with changes
/// that were committed while an older transaction ran (another test's, here); their titles are `before`.
async fn take(stream: &mut Receiver<Result<Batch>>, count: usize) -> (Vec<String>, String) {
    let (mut titles, mut token) = (Vec::new(), String::new());
    while titles.len() < count {
        let batch = next(stream).await.unwrap();
        let title = |change: &Change| {
            change.record.as_ref().map_or("gone".to_owned(), |record| {
                record.fields["title"].as_str().unwrap().to_owned()
            })
        };
        titles.extend(batch.changes.iter().map(title).filter(|title| title != "before"));
        token = batch.resume_token;
    }
    (titles, token)
}

#[tokio::test]
async fn a_client_that_resumes_misses_nothing() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    world.help_desk(&world.ctx(2)).await;
    world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "before"})), None)
        .await
        .unwrap();
    let mut stream = world.watch.open(&ctx, None, "", Never).await.unwrap();
    let first = next(&mut stream).await.unwrap();
    assert!(!first.resume_token.is_empty(), "the first token comes at once");
    let made = world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "one"})), None)
        .await
        .unwrap();
    world
        .records
        .create(&world.ctx(2), "tickets", &map(json!({"title": "foreign"})), None)
        .await
        .unwrap();
    let update = Update {
        id: made.id,
        fields: map(json!({"title": "two"})),
        mask: vec![],
        etag: String::new(),
    };
    world.records.update(&ctx, "tickets", &update, None).await.unwrap();
    let (titles, token) = take(&mut stream, 2).await;
    assert_eq!(titles, ["one", "two"]);
    drop(stream); // the client dies
    world.records.delete(&ctx, "tickets", made.id, "", None).await.unwrap();
    let many: Vec<_> = (0..100).map(|i| map(json!({"title": format!("m{i}")}))).collect();
    for _ in 0..5 {
        world.records.batch_create(&ctx, "tickets", &many, None).await.unwrap();
    }
    let mut stream = world
        .watch
        .open(&ctx, Some("tickets".into()), &token, Never)
        .await
        .unwrap();
    let (titles, _) = take(&mut stream, 501).await;
    assert_eq!(
        (
            titles.len(),
            titles[0].as_str(),
            titles[1].as_str(),
            titles[500].as_str()
        ),
        (501, "gone", "m0", "m99")
    );
    // From the very first token everything comes again.
    let mut stream = world.watch.open(&ctx, None, &first.resume_token, Never).await.unwrap();
    assert_eq!(take(&mut stream, 503).await.0.len(), 503);
    let mut people = world
        .watch
        .open(&ctx, Some("people".into()), &token, Never)
        .await
        .unwrap();
    assert!(
        next(&mut people).await.unwrap().changes.is_empty(),
        "only of the type that was asked for"
    );
    let foreign = world.watch.open(&world.ctx(2), None, &token, Never).await.unwrap_err();
    assert_eq!(foreign.reason(), Reason::InvalidArgument);
    world.drop().await;
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_not_skipped_and_one_record_stays_in_order() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let record = world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "before"})), None)
        .await
        .unwrap();
    let mut stream = world.watch.open(&ctx, None, "", Never).await.unwrap();
    next(&mut stream).await.unwrap();
    // An old transaction id that is still running when a younger one commits.
    let mut slow = world.superuser().await;
    run(&mut slow, "BEGIN; SELECT pg_current_xact_id()").await;
    let update = |title: &str| Update {
        id: record.id,
        fields: map(json!({"title": title})),
        mask: vec![],
        etag: String::new(),
    };
    world
        .records
        .update(&ctx, "tickets", &update("v2"), None)
        .await
        .unwrap();
    // The slow one writes a change of its own under the older id, after the younger one has committed.
    let tenant = world.tenant(1);
    let body = json!({"type": "tickets", "id": record.id, "fields": {"title": "v3"}, "version": 3, "create_time": now(), "update_time": now(), "creator": ""});
    run(&mut slow, &format!("INSERT INTO business.changes (tenant_id, type, record_id, kind, record) VALUES ('{tenant}', 'tickets', '{}', 'updated', '{body}')", record.id)).await;
    let waiting = tokio::time::timeout(Duration::from_millis(1500), take(&mut stream, 1)).await;
    assert!(waiting.is_err(), "nothing is delivered above a running transaction");
    run(&mut slow, "COMMIT").await;
    let (titles, _) = take(&mut stream, 2).await;
    assert_eq!(titles, ["v2", "v3"]);
    drop((slow, stream));
    world.drop().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_tenant_is_suspended_and_old_tokens_expire() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let mut stream = world.watch.open(&ctx, None, "", Never).await.unwrap();
    let token = next(&mut stream).await.unwrap().resume_token;
    world.set_status(TenantStatus::Suspended);
    let ended = loop {
        if let Err(error) = next(&mut stream).await {
            break error;
        }
    };
    assert_eq!(ended.reason(), Reason::TenantSuspended);
    let late = tenantry_kernel::ManualClock::new(
        tenantry_business::app::watch::token_expiry(now()) + chrono::Duration::seconds(60),
    );
    let parts = tenantry_business::app::Parts {
        clock: std::sync::Arc::new(late),
        ..world.parts.clone()
    };
    let watch = world.watch_with(parts);
    let expired = watch.open(&ctx, None, &token, Never).await.unwrap_err();
    assert_eq!(expired.reason(), Reason::ResumeTokenExpired);
    for bad in ["x", "AAAA", &token[2..]] {
        assert_eq!(
            world.watch.open(&ctx, None, bad, Never).await.unwrap_err().reason(),
            Reason::InvalidArgument
        );
    }
    world.drop().await;
}
