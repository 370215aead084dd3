//! Names of its own for each test, on the broker that `TENANTRY_WORLD` names, and a proxy that can be cut.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail by panic, and this is where tests read their world"
)]

use chrono::Utc;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, ConfirmSelectOptions, ExchangeDeleteOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use std::{collections::BTreeMap, future::Future, time::Duration};
use tenantry_kernel::TenantId;
use tenantry_messaging::{Bus, Delivery, Message, Topology};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use uuid::Uuid;

pub(crate) const STEPS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

pub(crate) struct World {
    json: serde_json::Value,
    scope: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let path = std::env::var("TENANTRY_WORLD")
            .expect("TENANTRY_WORLD is not set: these tests need the servers; run `make test`");
        let json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        // Names of exchanges are letters and dots only.
        let scope = Uuid::new_v4()
            .simple()
            .to_string()
            .bytes()
            .map(|b| if b.is_ascii_digit() { b - b'0' + b'q' } else { b })
            .map(char::from)
            .collect();
        Self { json, scope }
    }
    pub(crate) fn url(&self, user: &str) -> String {
        self.json["amqp"][user].as_str().unwrap().to_owned()
    }
    pub(crate) fn topology(&self, service: &str) -> Topology {
        Topology::service(service).scoped(&self.scope).retry_steps(&STEPS)
    }
    /// A connected bus of `service`.
    pub(crate) async fn bus(&self, service: &str) -> Bus {
        self.bus_at(service, &self.url(service)).await
    }
    pub(crate) async fn bus_at(&self, service: &str, url: &str) -> Bus {
        let bus = Bus::connect(url, service, self.topology(service)).unwrap();
        until(async || bus.is_up()).await;
        bus
    }
    pub(crate) fn command(&self, to: &str) -> Message {
        Message {
            id: Uuid::new_v4(),
            exchange: self.topology(to).commands_exchange(),
            routing_key: to.to_owned(),
            kind: "tenantry.test.v1".to_owned(),
            subject: "tenants/1".to_owned(),
            tenant: Some(TenantId::PLATFORM),
            time: Utc::now(),
            content_type: "application/protobuf".to_owned(),
            payload: b"body".to_vec(),
            headers: BTreeMap::from([("step".to_owned(), "1".to_owned())]),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        }
    }
    /// A plain channel with confirms, as `user`.
    pub(crate) async fn channel(&self, user: &str) -> (Connection, Channel) {
        let connection = Connection::connect(&self.url(user), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        (connection, channel)
    }
    /// The next message in a queue: its headers and properties.
    pub(crate) async fn next(&self, queue: &str) -> (BTreeMap<String, String>, BasicProperties) {
        let (_connection, channel) = self.channel("admin").await;
        loop {
            let options = BasicGetOptions { no_ack: true };
            if let Some(message) = channel.basic_get(queue.into(), options).await.unwrap() {
                let properties = message.delivery.properties;
                return (text(properties.headers().as_ref().unwrap()), properties);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    /// Removes what the test declared.
    pub(crate) async fn drop(self, services: &[&str]) {
        let (_connection, channel) = self.channel("admin").await;
        for service in services {
            let topology = self.topology(service).with_replies();
            let commands = topology.commands_queue();
            let retries = STEPS.map(|step| format!("{commands}.retry.{}ms", step.as_millis()));
            for queue in [commands, topology.replies_queue(), topology.dead_queue()]
                .into_iter()
                .chain(retries)
            {
                channel
                    .queue_delete(queue.into(), QueueDeleteOptions::default())
                    .await
                    .unwrap();
            }
        }
        let topology = self.topology("x");
        for exchange in [
            topology.commands_exchange(),
            topology.replies_exchange(),
            topology.dead_exchange(),
            topology.retry_exchange(),
            topology.meters_exchange(),
            topology.events_exchange(),
        ] {
            channel
                .exchange_delete(exchange.into(), ExchangeDeleteOptions::default())
                .await
                .unwrap();
        }
    }
}

fn text(table: &FieldTable) -> BTreeMap<String, String> {
    let one = |(name, value): (&_, &AMQPValue)| match value {
        AMQPValue::LongString(text) => Some((ToString::to_string(name), text.to_string())),
        _ => None,
    };
    table
        .into_iter()
        .filter_map(|(name, value)| one((name.as_str(), value)))
        .collect()
}

/// Waits for a condition; the harness's time limit is the only one.
pub(crate) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    while !condition().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A handler's side and the test's side of what was delivered.
pub(crate) fn record() -> (mpsc::UnboundedSender<Delivery>, mpsc::UnboundedReceiver<Delivery>) {
    mpsc::unbounded_channel()
}

/// Forwards to the broker until it is cut; then refuses until it is mended on the same port.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    target: String,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Proxy {
    /// Reserves a port and refuses.
    pub(crate) async fn cut_from(url: &str) -> (Self, String) {
        let (head, rest) = url.split_once('@').unwrap();
        let (target, vhost) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (
            Self {
                port,
                target: target.to_owned(),
                task: None,
            },
            format!("{head}@127.0.0.1:{port}/{vhost}"),
        )
    }
    pub(crate) async fn mend(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        let target = self.target.clone();
        self.task = Some(tokio::spawn(async move {
            let mut pipes = JoinSet::new();
            while let Ok((mut inward, _)) = listener.accept().await {
                let target = target.clone();
                pipes.spawn(async move {
                    let mut outward = TcpStream::connect(target).await.unwrap();
                    tokio::io::copy_bidirectional(&mut inward, &mut outward).await.ok();
                });
            }
        }));
    }
    /// Ends every connection through it.
    pub(crate) async fn cut(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        task.await.ok();
    }
}
