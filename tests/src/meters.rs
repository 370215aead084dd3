//! Usage reports as the broker carries them: copied by a queue of the test's own, and published again by a service's login.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use tenantry_kernel::{Clock, Ids, SystemClock, SystemIds};
use tenantry_messaging::{Bus, Message, Topology};
use tenantry_metering::{KIND, Report};
use tenantry_testkit::{World, eventually};

/// Well above the consumer's prefetch.
const MARKS: u64 = 16;

/// The broker's management interface, as its administrator.
#[derive(Clone)]
struct Management {
    http: reqwest::Client,
    base: String,
    user: String,
    password: String,
}

impl Management {
    fn new() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let path = tenantry_config::env_var("TENANTRY_WORLD").expect("TENANTRY_WORLD is set");
        let text = std::fs::read_to_string(path).expect("the world");
        let world: Value = serde_json::from_str(&text).expect("JSON");
        let of = |key: &str| world["rabbit_mgmt"][key].as_str().expect("a text").to_owned();
        Self {
            http: reqwest::Client::new(),
            base: format!("{}/api", of("url")),
            user: of("user"),
            password: of("password"),
        }
    }
    async fn call(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let request = self.http.request(method, format!("{}/{path}", self.base));
        let answer = request
            .basic_auth(&self.user, Some(&self.password))
            .json(&body)
            .send()
            .await
            .expect("the management interface answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap_or(Value::Null)
    }
}

/// A copy of every report from now on.
pub struct Tap {
    management: Management,
    queue: String,
    /// What came so far: the report and its bytes.
    pub seen: Vec<(Report, Vec<u8>)>,
}

impl Tap {
    /// Opens it.
    pub async fn open() -> Self {
        let management = Management::new();
        let queue = format!("test.tap.{}", SystemIds.new_v7());
        let path = format!("queues/tenantry/{queue}");
        management
            .call(
                reqwest::Method::PUT,
                &path,
                json!({"durable": true, "arguments": {"x-expires": 600_000}}),
            )
            .await;
        let path = format!("bindings/tenantry/e/tenantry.meters/q/{queue}");
        management
            .call(reqwest::Method::POST, &path, json!({"routing_key": "monitoring"}))
            .await;
        Self {
            management,
            queue,
            seen: Vec::new(),
        }
    }
    /// Takes what has come.
    pub async fn take(&mut self) {
        let path = format!("queues/tenantry/{}/get", self.queue);
        let body = json!({"count": 1_000, "ackmode": "ack_requeue_false", "encoding": "base64"});
        let messages = self.management.call(reqwest::Method::POST, &path, body).await;
        for message in messages.as_array().into_iter().flatten() {
            let bytes = STANDARD
                .decode(message["payload"].as_str().unwrap_or_default())
                .expect("base64");
            if let Ok(report) = Report::decode(&bytes) {
                self.seen.push((report, bytes));
            }
        }
    }
    /// Waits until the gateway has reported everything that it had counted when this was called. `poke` makes it count
    /// something, so that there is a report.
    pub async fn settle<F: Future<Output = ()>>(&mut self, poke: impl Fn() -> F) {
        let now = SystemClock.now();
        let this = tokio::sync::Mutex::new(self);
        eventually("a report of the gateway that began later", || async {
            poke().await;
            let mut tap = this.lock().await;
            tap.take().await;
            let later = tap
                .seen
                .iter()
                .any(|(report, _)| report.service == "gateway" && report.start >= now);
            if later { Ok(()) } else { Err(tap.seen.len()) }
        })
        .await;
    }
    /// Requests of a tenant in all different reports so far.
    #[must_use]
    pub fn requests_of(&self, tenant: &str) -> u64 {
        let mut known = HashSet::new();
        let different = self
            .seen
            .iter()
            .filter(|(report, _)| known.insert((report.instance, report.sequence)));
        let deltas = different.flat_map(|(report, _)| &report.deltas);
        deltas
            .filter(|delta| delta.tenant.to_string() == tenant)
            .map(|delta| delta.requests)
            .sum()
    }
}

/// Publishes reports under a service's login.
pub struct Meters {
    bus: Bus,
}

impl Meters {
    /// As `service`.
    pub async fn of(world: &World, service: &str) -> Self {
        let bus = Bus::connect(&world.amqp[service], "test", Topology::publisher(service)).expect("a URL");
        eventually("connected to the broker", || async {
            bus.is_up().then_some(()).ok_or(())
        })
        .await;
        Self { bus }
    }
    /// Waits until monitoring has taken everything that was published before: more marks than it works on at once stand
    /// behind it in the queue.
    pub async fn drained(world: &World) {
        let (meters, now) = (Self::of(world, "gateway").await, SystemClock.now());
        let instance = SystemIds.new_v7();
        for sequence in 1..=MARKS {
            let mark = Report {
                instance,
                sequence,
                service: "gateway".to_owned(),
                start: now,
                end: now,
                deltas: Vec::new(),
            };
            meters.publish(mark.encode()).await;
        }
        let url = &world.db.superuser["tenantry"];
        let pool = sqlx::PgPool::connect(url).await.expect("the superuser connects");
        eventually("monitoring has taken all reports", || async {
            let sql = "SELECT count(*) FROM monitoring.reports WHERE instance = $1";
            let taken: i64 = sqlx::query_scalar(sql)
                .bind(instance)
                .fetch_one(&pool)
                .await
                .expect("counts");
            if taken == i64::try_from(MARKS).unwrap_or(0) {
                Ok(())
            } else {
                Err(taken)
            }
        })
        .await;
        pool.close().await;
    }
    /// Publishes these bytes as a usage report, confirmed.
    pub async fn publish(&self, payload: Vec<u8>) {
        let message = Message {
            id: SystemIds.new_v7(),
            exchange: self.bus.topology().meters_exchange(),
            routing_key: "monitoring".to_owned(),
            kind: KIND.to_owned(),
            subject: String::new(),
            tenant: None,
            time: SystemClock.now(),
            content_type: "application/protobuf".to_owned(),
            payload,
            headers: BTreeMap::new(),
            traceparent: None,
        };
        let publisher = self.bus.publisher();
        publisher.publish(&message).await.expect("the broker takes it");
    }
}
