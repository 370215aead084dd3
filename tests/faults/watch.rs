//! A client of the change stream that resumes with its last token misses nothing, whoever dies in between.

use crate::{
    customers::Writer,
    customers::{self, owner, tenant},
    lab::{Lab, SERVICES, full},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tenantry_api::business::{ChangeKind, WatchRecordsRequest, record_service_client::RecordServiceClient};
use tenantry_testkit::eventually_within;
use tenantry_tests::{Tenant, channel_for};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

/// What the stream said so far.
#[derive(Default)]
struct Seen {
    /// Titles of each record in the order of the stream.
    titles: BTreeMap<String, Vec<String>>,
    deleted: Vec<String>,
    resume_token: String,
    connections: usize,
    out_of_order: Vec<String>,
}

struct Watcher {
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
}

impl Watcher {
    /// Opens the stream and waits for its first token, so that everything later is behind it.
    async fn start(tenant: &Tenant) -> Self {
        let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), CancellationToken::new());
        let work = follow_for_ever(tenant.clone(), seen.clone());
        let token = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = work => {}
                () = token.cancelled() => {}
            }
        });
        let watcher = Self { seen, stop };
        eventually_within(customers::PATIENCE, "the stream's first token", || async {
            let seen = watcher.seen.lock().expect("not poisoned");
            if seen.resume_token.is_empty() {
                Err("none")
            } else {
                Ok(())
            }
        })
        .await;
        watcher
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn follow_for_ever(tenant: Tenant, seen: Arc<Mutex<Seen>>) {
    loop {
        // A broken stream is the point of this test.
        drop(follow(&tenant, &seen).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn follow(tenant: &Tenant, seen: &Mutex<Seen>) -> Result<(), Status> {
    let resume_token = seen.lock().expect("not poisoned").resume_token.clone();
    let mut request = Request::new(WatchRecordsRequest {
        resume_token,
        parent: String::new(),
    });
    let bearer = format!("Bearer {}", tenant.owner.token);
    request
        .metadata_mut()
        .insert("authorization", bearer.parse().expect("a token"));
    let mut stream = RecordServiceClient::new(channel_for(&tenant.world, &tenant.host))
        .watch_records(request)
        .await?
        .into_inner();
    seen.lock().expect("not poisoned").connections += 1;
    loop {
        // Heartbeats come every five seconds: silence is a dead connection.
        let next = tokio::time::timeout(Duration::from_secs(15), stream.message());
        let Ok(message) = next.await else { return Ok(()) };
        let Some(message) = message? else { return Ok(()) };
        let mut seen = seen.lock().expect("not poisoned");
        for change in message.changes {
            let kind = change.kind();
            let record = change.record.unwrap_or_default();
            note(&mut seen, kind, record);
        }
        seen.resume_token = message.resume_token;
    }
}

fn note(seen: &mut Seen, kind: ChangeKind, record: tenantry_api::business::Record) {
    let title = record
        .fields
        .and_then(|fields| fields.fields.get("title").cloned())
        .and_then(|value| match value.kind {
            Some(prost_types::value::Kind::StringValue(text)) => Some(text),
            _ => None,
        })
        .unwrap_or_default();
    match kind {
        ChangeKind::Deleted => seen.deleted.push(record.name),
        kind => {
            let known = seen.titles.contains_key(&record.name);
            if kind == ChangeKind::Updated && !known {
                seen.out_of_order.push(record.name.clone());
            }
            seen.titles.entry(record.name).or_default().push(title);
        }
    }
}

async fn misses_nothing(victims: &[&str]) {
    let lab = Lab::enter().await;
    let tenant = tenant(&lab.operator().await).await;
    let watcher = Watcher::start(&tenant).await;
    let writer = Writer::start(&tenant);
    for victim in victims {
        tokio::time::sleep(Duration::from_millis(700)).await;
        lab.kill(victim).await;
        lab.ready(&SERVICES).await;
    }
    let acknowledged = writer.finish().await;
    let victim_record = acknowledged.records.keys().next().expect("a record").clone();
    owner(&tenant)
        .call("DELETE", &format!("/v1/{victim_record}"), None)
        .await;

    eventually_within(customers::PATIENCE, "the stream has said everything", || async {
        let seen = watcher.seen.lock().expect("not poisoned");
        let missing: Vec<_> = acknowledged
            .records
            .iter()
            .filter(|(name, title)| seen.titles.get(*name).and_then(|titles| titles.last()) != Some(*title))
            .collect();
        if missing.is_empty() && seen.deleted.contains(&victim_record) {
            Ok(())
        } else {
            Err(format!("{} missing: {missing:?}", missing.len()))
        }
    })
    .await;
    let seen = watcher.seen.lock().expect("not poisoned");
    assert!(
        seen.out_of_order.is_empty(),
        "changed before it was made: {:?}",
        seen.out_of_order
    );
    let strangers: Vec<_> = seen
        .titles
        .keys()
        .filter(|name| !acknowledged.records.contains_key(*name))
        .collect();
    assert!(strangers.is_empty(), "in the stream, but never written: {strangers:?}");
    assert!(seen.connections > 1, "the stream was never cut: this proves nothing");
    println!(
        "{victims:?} killed: {} records, {} connections",
        acknowledged.records.len(),
        seen.connections
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumed_after_kill_9_of_business_misses_nothing() {
    misses_nothing(&["business", "business"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumed_after_kill_9_of_anything_on_its_way_misses_nothing() {
    if full() {
        misses_nothing(&["gateway", "postgres", "business", "redis", "rabbitmq", "auth"]).await;
    } else {
        misses_nothing(&["postgres", "gateway"]).await;
    }
}
