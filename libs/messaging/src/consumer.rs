//! Consuming: the handler runs first, the acknowledgement follows its verdict. What cannot be read, comes from a
//! stranger or has failed too often goes to the dead letters with its reason.

use crate::{
    Bus, Delivery, Publisher,
    message::{self, ATTEMPT, PUBLISHER, REASON},
    trace,
};
use futures::StreamExt;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions},
    types::FieldTable,
};
use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tenantry_kernel::{Result, probe};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

const ATTEMPTS: u32 = 8;
/// After a consumer was cancelled or its queue vanished, look again after this time.
const PAUSE: Duration = Duration::from_millis(500);

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done (or done before): forget it.
    Ack,
    /// Try again after `delay`, until the attempts are used up.
    Retry {
        /// The next longer retry queue is taken.
        delay: Duration,
        /// Ends up on the dead letter if it was the last attempt.
        reason: String,
    },
    /// It will never work: keep it for people.
    Dead {
        /// Why.
        reason: String,
    },
}

/// Consumes one queue.
pub struct Consumer {
    bus: Bus,
    publisher: Publisher,
    queue: String,
    prefetch: u16,
    allowed: Vec<String>,
    attempts: u32,
    attached: AtomicBool,
}

impl Consumer {
    pub(crate) fn new(bus: Bus, queue: String, prefetch: u16) -> Self {
        let publisher = bus.publisher();
        Self {
            bus,
            publisher,
            queue,
            prefetch: prefetch.max(1),
            allowed: Vec::new(),
            attempts: ATTEMPTS,
            attached: AtomicBool::new(false),
        }
    }
    /// The services whose messages are taken, by broker-validated user. Nobody is allowed unless named here.
    #[must_use]
    pub fn allow(mut self, publishers: &[&str]) -> Self {
        self.allowed = publishers.iter().map(ToString::to_string).collect();
        self
    }
    /// Runs of a message altogether before it is dead (8 unless told).
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Runs until `stop`, over any number of reconnects; messages in work are finished first. A handler that panics
    /// counts as a failed attempt.
    pub async fn run<H, F>(self, stop: CancellationToken, handler: H)
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (this, handler) = (Arc::new(self), Arc::new(handler));
        trace::prepare(Some(&this.queue));
        let alive = Arc::downgrade(&this);
        let help = "Consumers that are connected to their queue";
        probe::gauge("tenantry_consumers", help, &[("queue", &this.queue)], move || {
            alive
                .upgrade()
                .map(|consumer| f64::from(u8::from(consumer.attached.load(Ordering::Relaxed))))
        });
        let mut work = JoinSet::new();
        while !stop.is_cancelled() {
            let connection = tokio::select! {
                () = stop.cancelled() => break,
                connection = this.bus.connected() => connection,
            };
            let Some(connection) = connection else { break };
            match connection.create_channel().await {
                Ok(channel) => {
                    if let Err(error) = Self::drain(&this, &channel, &stop, &handler, &mut work).await {
                        tracing::warn!(queue = this.queue, %error, "consumer interrupted");
                    }
                    this.attached.store(false, Ordering::Relaxed);
                }
                Err(error) => tracing::warn!(queue = this.queue, %error, "no channel for the consumer"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        while work.join_next().await.is_some() {}
    }

    /// Returns when the stream of deliveries ends.
    async fn drain<H, F>(
        this: &Arc<Self>,
        channel: &Channel,
        stop: &CancellationToken,
        handler: &Arc<H>,
        work: &mut JoinSet<()>,
    ) -> lapin::Result<()>
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        channel.basic_qos(this.prefetch, BasicQosOptions::default()).await?;
        let tag = ""; // the broker makes one up
        let mut deliveries = channel
            .basic_consume(
                this.queue.as_str().into(),
                tag.into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        this.attached.store(true, Ordering::Relaxed);
        loop {
            let delivery = tokio::select! {
                () = stop.cancelled() => None,
                delivery = deliveries.next() => delivery.transpose()?,
                Some(_) = work.join_next() => continue, // reap
            };
            let Some(delivery) = delivery else { break };
            // The prefetch bounds how many of these run at once.
            work.spawn(Arc::clone(this).handle(delivery, Arc::clone(handler)));
        }
        if stop.is_cancelled() {
            // Deliveries that nobody took go back to the queue when the channel closes; those in work still need it.
            while work.join_next().await.is_some() {}
            crate::bus::close_channel(channel).await;
        }
        Ok(())
    }

    async fn handle<H, F>(self: Arc<Self>, mut raw: lapin::message::Delivery, handler: Arc<H>)
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Outcome> + Send + 'static,
    {
        let payload = std::mem::take(&mut raw.data);
        let read = message::read(&raw.properties, payload.clone(), raw.redelivered, self.bus.user());
        let (publisher, attempt, outcome) = match read {
            Err(reason) => (
                String::new(),
                1,
                Outcome::Dead {
                    reason: reason.to_owned(),
                },
            ),
            Ok(delivery) if !self.allowed.contains(&delivery.publisher) => (
                delivery.publisher,
                1,
                Outcome::Dead {
                    reason: "the publisher may not send to this queue".to_owned(),
                },
            ),
            Ok(delivery) => {
                let (publisher, attempt) = (delivery.publisher.clone(), delivery.attempt);
                let span = trace::consumer(&self.queue, &delivery);
                // A task of its own, so that a panic ends the attempt and not the consumer.
                let work = async move { handler(delivery).await }.instrument(span.clone());
                let outcome = tokio::spawn(work).await;
                if !matches!(outcome, Ok(Outcome::Ack)) {
                    span.record("otel.status_code", "ERROR");
                }
                (publisher, attempt, outcome.unwrap_or_else(|_| panicked()))
            }
        };
        let outcome = match outcome {
            Outcome::Retry { reason, .. } if attempt >= self.attempts => Outcome::Dead { reason },
            outcome => outcome,
        };
        trace::consumed(&self.queue, &outcome);
        let settled = match outcome {
            Outcome::Ack => Ok(()),
            Outcome::Retry { delay, .. } => self.retry(&raw, &payload, publisher, attempt + 1, delay).await,
            Outcome::Dead { reason } => self.bury(&raw, &payload, publisher, attempt, reason).await,
        };
        let done = match settled {
            Ok(()) => raw.acker.ack(BasicAckOptions::default()).await,
            // The copy is not safe: the original goes back to the head of its queue, bounded by the delivery limit.
            Err(_) => {
                raw.acker
                    .nack(BasicNackOptions {
                        requeue: true,
                        ..BasicNackOptions::default()
                    })
                    .await
            }
        };
        if let Err(error) = done {
            tracing::debug!(queue = self.queue, %error, "not acknowledged; it will be delivered again");
        }
    }

    async fn retry(
        &self,
        raw: &lapin::message::Delivery,
        payload: &[u8],
        publisher: String,
        attempt: u32,
        delay: Duration,
    ) -> Result<()> {
        let topology = self.bus.topology();
        let marks = [(PUBLISHER, publisher), (ATTEMPT, attempt.to_string())];
        let properties = message::moved(&raw.properties, self.bus.user(), &marks);
        self.publisher
            .send(
                &topology.retry_exchange(),
                &topology.retry_queue(&self.queue, delay),
                payload,
                properties,
            )
            .await
    }

    async fn bury(
        &self,
        raw: &lapin::message::Delivery,
        payload: &[u8],
        publisher: String,
        attempt: u32,
        reason: String,
    ) -> Result<()> {
        let topology = self.bus.topology();
        tracing::warn!(queue = self.queue, publisher, attempt, reason, "message is dead");
        let marks = [(PUBLISHER, publisher), (ATTEMPT, attempt.to_string()), (REASON, reason)];
        let properties = message::moved(&raw.properties, self.bus.user(), &marks);
        self.publisher
            .send(&topology.dead_exchange(), topology.service_name(), payload, properties)
            .await
    }
}

fn panicked() -> Outcome {
    Outcome::Retry {
        delay: Duration::from_secs(1),
        reason: "the handler panicked".to_owned(),
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consumer({})", self.queue)
    }
}
