//! The whole loop over the real broker: driver, relay, other services, replies.

use crate::world::{World, done, operator, refused, topology};
use prost::Message as _;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tenantry_api::events::{SagaCommand, SagaReply, StepDone, StepFailed, saga_reply::Outcome as Wire};
use tenantry_kernel::{Clock, SystemClock};
use tenantry_messaging::{Bus, Message, Outcome, Relay};
use tenantry_registry::{
    app::{Outbox, Reply, ReplyOutcome, TenantFilter},
    jobs,
};
use tenantry_testkit::eventually;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Plays a service: answers every command twice, because messages come twice.
fn play(
    service: &'static str,
    answer: impl Fn(&(String, SagaCommand)) -> Reply + Send + Sync + 'static,
    stop: &CancellationToken,
) -> Bus {
    let url = &tenantry_testkit::World::load().amqp[service];
    let bus = Bus::connect(url, service, topology(service)).expect("a url");
    let (publisher, answer) = (bus.publisher(), Arc::new(answer));
    let consumer = bus.consumer(bus.topology().commands_queue(), 4).allow(&["registry"]);
    tokio::spawn(consumer.run(stop.clone(), move |delivery| {
        let (publisher, answer) = (publisher.clone(), Arc::clone(&answer));
        async move {
            let command = SagaCommand::decode(delivery.payload.as_slice()).expect("a command");
            assert_eq!(delivery.kind, "tenantry.saga.command.v1");
            let reply = answer(&(service.to_owned(), command));
            for _ in 0..2 {
                publisher.publish(&message(&reply)).await.expect("published");
            }
            Outcome::Ack
        }
    }));
    bus
}

fn message(reply: &Reply) -> Message {
    let outcome = match &reply.outcome {
        ReplyOutcome::Done { invite } => Wire::Done(StepDone {
            invite_token: invite.clone(),
        }),
        ReplyOutcome::Failed {
            permanent,
            reason,
            message,
        } => Wire::Failed(StepFailed {
            permanent: *permanent,
            reason: reason.clone(),
            message: message.clone(),
        }),
    };
    let wire = SagaReply {
        command_id: reply.command.to_string(),
        operation_id: reply.operation.to_string(),
        tenant_id: reply.tenant.to_string(),
        outcome: Some(outcome),
    };
    Message {
        id: Uuid::from_u128(reply.message.as_u128() ^ u128::from(rand_bits())),
        exchange: topology("registry").replies_exchange(),
        routing_key: "registry".to_owned(),
        kind: "tenantry.saga.reply.v1".to_owned(),
        subject: String::new(),
        tenant: Some(reply.tenant),
        time: SystemClock.now(),
        content_type: "application/protobuf".to_owned(),
        payload: wire.encode_to_vec(),
        headers: BTreeMap::new(),
        traceparent: None,
    }
}

/// A different message id for each copy.
fn rand_bits() -> u32 {
    static COPY: AtomicU32 = AtomicU32::new(1);
    COPY.fetch_add(1, Ordering::Relaxed)
}

#[tokio::test]
async fn onboarding_and_its_undoing_travel_over_the_broker() {
    let world = World::new().await;
    let stop = CancellationToken::new();
    let instance = tenantry_testkit::World::load();
    let bus = Bus::connect(
        &instance.amqp["registry"],
        "registry",
        topology("registry").with_replies(),
    )
    .expect("a url");
    // The realm of one tenant cannot be made.
    let auth = |command: &(String, SagaCommand)| match &command.1.action {
        Some(tenantry_api::events::saga_command::Action::CreateRealm(realm)) if realm.slug == "unlucky" => {
            refused(command, true)
        }
        _ => done(command),
    };
    let others = [play("business", done, &stop), play("auth", auth, &stop)];
    let relay = Relay::new(Outbox::new(world.store.clone()), bus.publisher());
    tokio::spawn(relay.run(stop.clone()));
    tokio::spawn(jobs::driver::run(world.sagas.clone(), stop.clone()));
    tokio::spawn(jobs::replies::run(bus.clone(), world.sagas.clone(), stop.clone()));

    let started = [
        world.onboard("acme").await,
        world.onboard("unlucky").await,
        world.onboard("globex").await,
    ];
    for operation in &started {
        let over = eventually("the operation is over", || async {
            let seen = world.operation(operation).await;
            if seen.saga.is_done() { Ok(seen) } else { Err(seen.saga) }
        })
        .await;
        assert_eq!(over.saga.succeeded(), operation.slug != "unlucky");
    }
    let all = TenantFilter {
        show_deleted: true,
        ..TenantFilter::default()
    };
    let all = world
        .tenants
        .list(&operator(), "test/List", &Default::default(), &all)
        .await
        .expect("a list");
    assert_eq!(
        all.items.iter().map(|tenant| tenant.slug.as_str()).collect::<Vec<_>>(),
        ["acme", "globex"]
    );
    stop.cancel();
    for bus in others {
        bus.close().await;
    }
    bus.close().await;
    world.drop().await;
}
