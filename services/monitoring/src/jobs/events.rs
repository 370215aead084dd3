//! Takes domain events from the broker.

use crate::{
    app::events::{EventLog, PUBLISHERS},
    domain::event::Event,
};
use std::sync::Arc;
use tenantry_kernel::Clock;
use tenantry_messaging::{Bus, Delivery, Outcome};
use tokio_util::sync::CancellationToken;

const PREFETCH: u16 = 16;

/// Runs until `stop`.
pub async fn run(bus: Bus, log: EventLog, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let consumer = bus
        .consumer(bus.topology().events_queue(), PREFETCH)
        .allow(&PUBLISHERS)
        .attempts(super::ATTEMPTS);
    consumer
        .run(stop, move |delivery| {
            let (log, now) = (log.clone(), clock.now());
            let attempt = delivery.attempt;
            let event = read(delivery, now);
            async move {
                match log.keep(&event).await {
                    Ok(()) => Outcome::Ack,
                    Err(error) => super::outcome(&error, attempt),
                }
            }
        })
        .await;
}

fn read(delivery: Delivery, now: chrono::DateTime<chrono::Utc>) -> Event {
    Event {
        id: delivery.id,
        kind: delivery.kind,
        // Validated by the broker, unlike what the message says.
        source: delivery.publisher,
        subject: delivery.subject,
        tenant: delivery.tenant,
        time: delivery.time.filter(|time| *time <= now).unwrap_or(now),
    }
}
