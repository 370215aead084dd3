//! The broker away: at the start, in the middle, and what the relay makes of it.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use crate::world::{Proxy, World, record, until};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tenantry_kernel::{Kind, Result};
use tenantry_messaging::{Bus, Message, OutboxSource, Outcome, Relay};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[tokio::test]
async fn a_bus_starts_without_a_broker_and_survives_losing_it() {
    let world = World::new();
    let (mut proxy, url) = Proxy::cut_from(&world.url("business")).await;
    let bus = Bus::connect(&url, "business", world.topology("business")).unwrap();
    let publisher = bus.publisher();
    assert!(!bus.is_up());
    assert_eq!(
        publisher.publish(&world.command("business")).await.unwrap_err().kind(),
        Kind::Unavailable
    );

    let (seen, mut got) = record();
    let stop = CancellationToken::new();
    let consumer = bus.consumer(bus.topology().commands_queue(), 4).allow(&["business"]);
    let task = tokio::spawn(consumer.run(stop.clone(), move |delivery| {
        seen.send(delivery).unwrap();
        async { Outcome::Ack }
    }));
    for _ in 0..2 {
        proxy.mend().await;
        until(async || bus.is_up()).await;
        let message = world.command("business");
        publisher.publish(&message).await.unwrap();
        // A cut that swallowed an acknowledgement brings the message before it once more.
        while got.recv().await.unwrap().id != message.id {}
        proxy.cut().await;
        until(async || !bus.is_up()).await;
        assert_eq!(publisher.publish(&message).await.unwrap_err().kind(), Kind::Unavailable);
    }
    stop.cancel();
    task.await.unwrap();
    bus.close().await;
    world.drop(&["business"]).await;
}

#[derive(Clone, Default)]
struct Memory {
    due: Arc<Mutex<BTreeMap<Uuid, Message>>>,
    leased: Arc<Mutex<BTreeMap<Uuid, Message>>>,
    failures: Arc<Mutex<usize>>,
}

impl OutboxSource for Memory {
    async fn claim(&self, _limit: u32) -> Result<Vec<Message>> {
        let taken = std::mem::take(&mut *self.due.lock().unwrap());
        self.leased.lock().unwrap().extend(taken.clone());
        Ok(taken.into_values().collect())
    }
    async fn done(&self, ids: Vec<Uuid>) -> Result<()> {
        self.leased.lock().unwrap().retain(|id, _| !ids.contains(id));
        Ok(())
    }
    async fn failed(&self, ids: Vec<Uuid>, _error: &str) -> Result<()> {
        let mut leased = self.leased.lock().unwrap();
        *self.failures.lock().unwrap() += ids.len();
        self.due
            .lock()
            .unwrap()
            .extend(ids.into_iter().filter_map(|id| leased.remove_entry(&id)));
        Ok(())
    }
}

#[tokio::test]
async fn the_relay_keeps_messages_until_the_broker_has_them() {
    let world = World::new();
    let (mut proxy, url) = Proxy::cut_from(&world.url("registry")).await;
    let business = world.bus("business").await;
    let registry = Bus::connect(&url, "registry", world.topology("registry")).unwrap();
    let outbox = Memory::default();
    let relay = Relay::new(outbox.clone(), registry.publisher());
    let (nudge, stop) = (relay.nudge(), CancellationToken::new());
    let mut ids = Vec::new();
    for _ in 0..5 {
        let message = world.command("business");
        ids.push(message.id);
        outbox.due.lock().unwrap().insert(message.id, message);
    }
    let task = tokio::spawn(relay.run(stop.clone()));
    until(async || *outbox.failures.lock().unwrap() >= 5).await;
    proxy.mend().await;
    until(async || registry.is_up()).await;
    nudge.notify_one();

    let (seen, mut got) = record();
    let consumer = business
        .consumer(business.topology().commands_queue(), 4)
        .allow(&["registry"]);
    let consuming = tokio::spawn(consumer.run(stop.clone(), move |delivery| {
        seen.send(delivery).unwrap();
        async { Outcome::Ack }
    }));
    while !ids.is_empty() {
        let delivery = got.recv().await.unwrap();
        ids.retain(|id| *id != delivery.id);
    }
    until(async || outbox.leased.lock().unwrap().is_empty() && outbox.due.lock().unwrap().is_empty()).await;
    stop.cancel();
    task.await.unwrap();
    consuming.await.unwrap();
    world.drop(&["registry", "business"]).await;
}
