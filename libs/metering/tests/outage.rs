//! The broker goes away again and again while requests are counted; afterwards every one has been reported once, in reports
//! whose sequence has no gap.

#![expect(clippy::disallowed_methods, reason = "tests may make random names")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tenantry_kernel::{SystemClock, SystemIds, TenantId};
use tenantry_messaging::{Bus, Outcome, Topology};
use tenantry_metering::{Meter, Report, Reporter, Request};
use tenantry_testkit::{World, eventually};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Forwards to the broker until it is cut.
struct Proxy {
    port: u16,
    target: String,
    task: Option<JoinHandle<()>>,
}

impl Proxy {
    async fn cut_from(url: &str) -> (Self, String) {
        let (head, rest) = url.split_once('@').expect("a user");
        let (target, vhost) = rest.split_once('/').expect("a vhost");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let proxy = Self {
            port,
            target: target.to_owned(),
            task: None,
        };
        (proxy, format!("{head}@127.0.0.1:{port}/{vhost}"))
    }
    async fn mend(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .await
            .expect("the port is free");
        let target = self.target.clone();
        self.task = Some(tokio::spawn(async move {
            let mut pipes = JoinSet::new();
            while let Ok((mut inward, _)) = listener.accept().await {
                let target = target.clone();
                pipes.spawn(async move {
                    let mut outward = TcpStream::connect(target).await.expect("the broker");
                    tokio::io::copy_bidirectional(&mut inward, &mut outward).await.ok();
                });
            }
        }));
    }
    async fn cut(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            task.await.ok();
        }
    }
}

/// Names of exchanges are letters and dots only.
fn scope() -> String {
    let hex = Uuid::new_v4().simple().to_string();
    let letter = |b: u8| if b.is_ascii_digit() { b - b'0' + b'q' } else { b };
    hex.bytes().map(letter).map(char::from).collect()
}

#[tokio::test]
async fn an_outage_loses_nothing_and_repeats_a_sequence_rather_than_a_count() {
    let (world, scope) = (World::load(), scope());
    let topology = |of: Topology| of.scoped(&scope).retry_steps(&[Duration::from_millis(50)]);
    let receiver = topology(Topology::service("monitoring").with_meters());
    let receiver = Bus::connect(&world.amqp["monitoring"], "test", receiver).expect("a URL");
    let seen: Arc<Mutex<BTreeMap<u64, Vec<u8>>>> = Arc::default();
    let (stop, into) = (CancellationToken::new(), Arc::clone(&seen));
    let consumer = receiver
        .consumer(receiver.topology().meters_queue(), 4)
        .allow(&["gateway"]);
    let consuming = tokio::spawn(consumer.run(stop.clone(), move |delivery| {
        let report = Report::decode(&delivery.payload).expect("a report");
        let mut seen = into.lock().expect("not poisoned");
        let known = seen.insert(report.sequence, delivery.payload.clone());
        assert!(
            known.is_none_or(|known| known == delivery.payload),
            "the same sequence, other counts"
        );
        async { Outcome::Ack }
    }));

    let (mut proxy, url) = Proxy::cut_from(&world.amqp["gateway"]).await;
    let bus = Bus::connect(&url, "test", topology(Topology::publisher("gateway"))).expect("a URL");
    let meter = Arc::new(Meter::new(Arc::new(SystemClock)));
    let reporter = Reporter::new("gateway", Arc::clone(&meter), &bus, Arc::new(SystemIds));
    let ended = CancellationToken::new();
    let reporting = tokio::spawn(reporter.run(Duration::from_millis(5), ended.clone()));
    let mut counted = 0;
    for round in 0..4_u128 {
        // Counted while the broker is away, and while it is there.
        for there in [false, true] {
            if there {
                proxy.mend().await;
                eventually("connected", || async { bus.is_up().then_some(()).ok_or(()) }).await;
            }
            for n in 0..700 {
                meter.request(
                    TenantId::from_uuid(Uuid::from_u128(round * 1_000 + n)),
                    Request::default(),
                );
                counted += 1;
                if n % 50 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
        proxy.cut().await;
    }
    proxy.mend().await;
    eventually("connected", || async { bus.is_up().then_some(()).ok_or(()) }).await;
    let requests = || -> u64 {
        let seen = seen.lock().expect("not poisoned");
        let reports = seen.values().map(|bytes| Report::decode(bytes).expect("a report"));
        reports
            .flat_map(|report| report.deltas)
            .map(|delta| delta.requests)
            .sum()
    };
    eventually("everything was reported", || async {
        let reported = requests();
        if reported == counted {
            Ok(())
        } else {
            Err((reported, counted))
        }
    })
    .await;
    ended.cancel();
    reporting.await.expect("no panic");
    let last = seen.lock().expect("not poisoned").keys().copied().collect::<Vec<_>>();
    assert_eq!(last, (1..=last.len() as u64).collect::<Vec<_>>(), "no gap");
    stop.cancel();
    consuming.await.expect("no panic");
    bus.close().await;
    receiver.close().await;
}
