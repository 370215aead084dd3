//! What a consumer sees, and what becomes of messages it cannot or will not handle.

use crate::world::{World, record, until};
use lapin::{
    BasicProperties,
    options::{BasicGetOptions, BasicNackOptions, BasicPublishOptions},
    types::{AMQPValue, FieldTable},
};
use std::time::Duration;
use tenantry_kernel::Kind;
use tenantry_messaging::Outcome;
use tokio_util::sync::CancellationToken;

const SERVICES: &[&str] = &["registry", "business"];

#[tokio::test]
async fn a_command_arrives_as_it_was_sent_and_is_gone_when_handled() {
    let world = World::new();
    let (registry, business) = (world.bus("registry").await, world.bus("business").await);
    let sent = world.command("business");
    registry.publisher().publish(&sent).await.unwrap();
    let (seen, mut got) = record();
    let stop = CancellationToken::new();
    let consumer = business
        .consumer(business.topology().commands_queue(), 4)
        .allow(&["registry"]);
    let task = tokio::spawn(consumer.run(stop.clone(), move |delivery| {
        seen.send(delivery).unwrap();
        async { Outcome::Ack }
    }));
    let delivery = got.recv().await.unwrap();
    assert_eq!(
        (delivery.id, &delivery.kind, delivery.tenant, &delivery.payload),
        (sent.id, &sent.kind, sent.tenant, &sent.payload)
    );
    assert_eq!(
        (&delivery.subject, &delivery.traceparent, &delivery.headers),
        (&sent.subject, &sent.traceparent, &sent.headers)
    );
    assert_eq!(
        (delivery.publisher.as_str(), delivery.source.as_str(), delivery.attempt),
        ("registry", "/tenantry/registry", 1)
    );
    stop.cancel();
    task.await.unwrap();
    let (_connection, channel) = world.channel("admin").await;
    let left = channel
        .basic_get(
            business.topology().commands_queue().into(),
            lapin::options::BasicGetOptions::default(),
        )
        .await
        .unwrap();
    assert!(left.is_none(), "acknowledged before the consumer ended");
    world.drop(SERVICES).await;
}

#[tokio::test]
async fn a_body_of_many_frames_arrives_whole() {
    let world = World::new();
    let (registry, business) = (world.bus("registry").await, world.bus("business").await);
    let mut sent = world.command("business");
    sent.payload = (0..300_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    registry.publisher().publish(&sent).await.unwrap();
    let (seen, mut got) = record();
    let stop = CancellationToken::new();
    let consumer = business
        .consumer(business.topology().commands_queue(), 1)
        .allow(&["registry"]);
    let task = tokio::spawn(consumer.run(stop.clone(), move |delivery| {
        seen.send(delivery).unwrap();
        async { Outcome::Ack }
    }));
    assert!(got.recv().await.unwrap().payload == sent.payload);
    stop.cancel();
    task.await.unwrap();
    world.drop(SERVICES).await;
}

#[tokio::test]
async fn a_message_without_a_queue_is_not_published() {
    let world = World::new();
    let registry = world.bus("registry").await;
    let error = registry
        .publisher()
        .publish(&world.command("nobody"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let mut missing = world.command("registry");
    missing.exchange = "tenantry.missing".to_owned();
    let publisher = registry.publisher();
    assert_eq!(publisher.publish(&missing).await.unwrap_err().kind(), Kind::Unavailable);
    publisher.publish(&world.command("registry")).await.unwrap(); // the closed channel was replaced
    world.drop(&["registry"]).await;
}

#[tokio::test]
async fn a_consumer_that_dies_gives_its_message_to_the_next() {
    let world = World::new();
    let (registry, first) = (world.bus("registry").await, world.bus("business").await);
    registry.publisher().publish(&world.command("business")).await.unwrap();
    let queue = first.topology().commands_queue();
    let (seen, mut got) = record();
    let stuck = tokio::spawn(first.consumer(queue.clone(), 1).allow(&["registry"]).run(
        CancellationToken::new(),
        move |delivery| {
            seen.send(delivery).unwrap();
            std::future::pending()
        },
    ));
    let lost = got.recv().await.unwrap();
    first.close().await;
    stuck.abort();

    let second = world.bus("business").await;
    let (seen, mut got) = record();
    let stop = CancellationToken::new();
    let task = tokio::spawn(
        second
            .consumer(queue, 1)
            .allow(&["registry"])
            .run(stop.clone(), move |delivery| {
                seen.send(delivery).unwrap();
                async { Outcome::Ack }
            }),
    );
    let again = got.recv().await.unwrap();
    assert_eq!((again.id, again.redelivered), (lost.id, true));
    stop.cancel();
    task.await.unwrap();
    world.drop(SERVICES).await;
}

#[tokio::test]
async fn a_failing_message_is_retried_and_then_dead_with_its_reason() {
    let world = World::new();
    let (registry, business) = (world.bus("registry").await, world.bus("business").await);
    let sent = world.command("business");
    registry.publisher().publish(&sent).await.unwrap();
    let (seen, mut got) = record();
    let stop = CancellationToken::new();
    let consumer = business
        .consumer(business.topology().commands_queue(), 4)
        .allow(&["registry"])
        .attempts(4);
    let task = tokio::spawn(consumer.run(stop.clone(), move |delivery| {
        let attempt = delivery.attempt;
        seen.send(delivery).unwrap();
        async move {
            assert!(attempt != 2, "the second attempt panics");
            Outcome::Retry {
                delay: Duration::from_millis(10),
                reason: format!("attempt {attempt} failed"),
            }
        }
    }));
    for attempt in 1..=4 {
        let delivery = got.recv().await.unwrap();
        assert_eq!(
            (delivery.attempt, delivery.publisher.as_str(), &delivery.headers),
            (attempt, "registry", &sent.headers)
        );
    }
    let (headers, properties) = world.next(&business.topology().dead_queue()).await;
    assert_eq!(headers["x-tenantry-reason"], "attempt 4 failed");
    assert_eq!(
        (
            headers["x-tenantry-publisher"].as_str(),
            headers["x-tenantry-attempt"].as_str()
        ),
        ("registry", "4")
    );
    assert_eq!(headers["cloudEvents:id"], sent.id.to_string());
    assert_eq!(properties.delivery_mode(), &Some(2));
    stop.cancel();
    task.await.unwrap();
    world.drop(SERVICES).await;
}

#[tokio::test]
async fn what_the_broker_itself_gives_up_is_counted_until_it_is_taken() {
    let world = World::new();
    let (registry, business) = (world.bus("registry").await, world.bus("business").await);
    let (commands, dead) = (business.topology().commands_queue(), business.topology().dead_queue());
    until(async || lie_in(&dead) == Some(0.0)).await;
    registry.publisher().publish(&world.command("business")).await.unwrap();
    // A reader that ends each time before it has handled the message: nobody of ours buries it.
    let (_connection, channel) = world.channel("admin").await;
    until(async || {
        let got = channel
            .basic_get(commands.as_str().into(), BasicGetOptions::default())
            .await
            .unwrap();
        if let Some(message) = got {
            let again = BasicNackOptions {
                requeue: true,
                ..BasicNackOptions::default()
            };
            message.delivery.acker.nack(again).await.unwrap();
        }
        lie_in(&dead) == Some(1.0)
    })
    .await;
    world.next(&dead).await;
    until(async || lie_in(&dead) == Some(0.0)).await;
    business.close().await;
    assert_eq!(lie_in(&dead), None, "nobody knows any more");
    world.drop(SERVICES).await;
}

/// What the metric says about a queue of dead letters.
fn lie_in(queue: &str) -> Option<f64> {
    let readings = tenantry_kernel::probe::read();
    let reading = readings.into_iter().find(|one| one.name == "tenantry_dead_letters")?;
    let labels = [("queue", queue.to_owned())];
    reading
        .series
        .into_iter()
        .find(|(of, _)| of == &labels)
        .map(|(_, count)| count)
}

#[tokio::test]
async fn the_broker_refuses_a_forged_sender() {
    let world = World::new();
    let business = world.bus("business").await;
    let (_connection, channel) = world.channel("business").await;
    let topology = business.topology();
    let forged = BasicProperties::default().with_user_id("registry".into());
    let sent = channel
        .basic_publish(
            topology.commands_exchange().into(),
            "business".into(),
            BasicPublishOptions::default(),
            b"x",
            forged,
        )
        .await;
    let refused = match sent {
        Ok(confirm) => confirm.await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(
        refused.unwrap_err().to_string().contains("PRECONDITION"),
        "user_id is validated"
    );
    world.drop(&["business"]).await;
}

#[tokio::test]
async fn strangers_and_garbage_go_to_the_dead_letters_unhandled() {
    let world = World::new();
    let (registry, auth, business) = (
        world.bus("registry").await,
        world.bus("auth").await,
        world.bus("business").await,
    );
    let topology = business.topology();
    let stop = CancellationToken::new();
    let consumer = business.consumer(topology.commands_queue(), 4).allow(&["registry"]);
    let task = tokio::spawn(consumer.run(stop.clone(), |_| async { panic!("must not be handled") }));

    auth.publisher().publish(&world.command("business")).await.unwrap();
    let (headers, _) = world.next(&topology.dead_queue()).await;
    assert_eq!(
        (
            headers["x-tenantry-reason"].as_str(),
            headers["x-tenantry-publisher"].as_str()
        ),
        ("the publisher may not send to this queue", "auth")
    );

    let (_connection, channel) = world.channel("registry").await;
    let header = |source: &str| {
        let mut table = FieldTable::default();
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", "0190b5a0-0000-7000-8000-000000000001"),
            ("type", "t"),
            ("source", source),
        ] {
            table.insert(
                format!("cloudEvents:{name}").into(),
                AMQPValue::LongString(value.into()),
            );
        }
        table
    };
    let me = || BasicProperties::default().with_user_id("registry".into());
    for (properties, reason) in [
        (BasicProperties::default(), "cloudEvents:specversion is not 1.0"),
        (
            BasicProperties::default().with_headers(header("/tenantry/registry")),
            "user_id is missing",
        ),
        (
            me().with_headers(header("/tenantry/auth")),
            "cloudEvents:source is not the publisher",
        ),
    ] {
        let exchange = topology.commands_exchange();
        let sent = channel
            .basic_publish(
                exchange.into(),
                "business".into(),
                BasicPublishOptions::default(),
                b"x",
                properties,
            )
            .await
            .unwrap();
        assert!(sent.await.unwrap().is_ack());
        assert_eq!(world.next(&topology.dead_queue()).await.0["x-tenantry-reason"], reason);
    }
    stop.cancel();
    task.await.unwrap();
    drop(registry);
    world.drop(&["registry", "auth", "business"]).await;
}
