//! Exchanges and queues of a service, declared at every connect, so that a fresh broker needs no setup step.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use std::time::Duration;

/// A message that crashes its consumer this often is dead-lettered by the broker itself.
const DELIVERY_LIMIT: i64 = 10;
/// Dead letters are for people: the newest hundred thousand are enough.
const DEAD_LIMIT: i64 = 100_000;
/// Events are told once and for information: a reader that is away for long gets the newest.
const EVENT_LIMIT: i64 = 200_000;

/// What one service declares: `<svc>.commands`, optionally `<svc>.replies`, a ladder of retry queues for each and
/// `<svc>.dead`.
#[derive(Clone, Debug)]
pub struct Topology {
    service: String,
    scope: String,
    commands: bool,
    replies: bool,
    shared: Vec<Shared>,
    retry_steps: Vec<Duration>,
}

/// A queue of a service that takes its messages from a shared exchange.
#[derive(Clone, Debug)]
struct Shared {
    name: &'static str,
    /// More than this are not kept: the oldest goes to the dead letters.
    most: Option<i64>,
}

impl Topology {
    /// The queue of commands for `service`.
    #[must_use]
    pub fn service(service: &str) -> Self {
        let retry_steps = [1, 10, 60].map(Duration::from_secs).to_vec();
        Self {
            service: service.to_owned(),
            scope: String::new(),
            commands: true,
            replies: false,
            shared: Vec::new(),
            retry_steps,
        }
    }
    /// Only the exchanges: for a service that publishes and takes nothing.
    #[must_use]
    pub fn publisher(service: &str) -> Self {
        Self {
            commands: false,
            ..Self::service(service)
        }
    }
    /// Also the queue `<svc>.meters` of what is published to [`Topology::meters_exchange`] for this service. Nothing is
    /// ever dropped from it.
    #[must_use]
    pub fn with_meters(mut self) -> Self {
        self.shared.push(Shared {
            name: "meters",
            most: None,
        });
        self
    }
    /// Also the queue `<svc>.events` of what is published to [`Topology::events_exchange`] for this service.
    #[must_use]
    pub fn with_events(mut self) -> Self {
        self.shared.push(Shared {
            name: "events",
            most: Some(EVENT_LIMIT),
        });
        self
    }
    /// Also the queue of replies, `<svc>.replies`.
    #[must_use]
    pub fn with_replies(mut self) -> Self {
        self.replies = true;
        self
    }
    /// Puts `scope` (lower-case letters) into every name, so that tests on one broker do not meet.
    #[must_use]
    pub fn scoped(mut self, scope: &str) -> Self {
        self.scope = format!("{scope}.");
        self
    }
    /// Other delays for retries, ascending. Each is a queue of its own, because a message only expires at the head.
    #[must_use]
    pub fn retry_steps(mut self, steps: &[Duration]) -> Self {
        self.retry_steps = steps.to_vec();
        self
    }
    /// The service.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.service
    }
    /// Exchange of commands; the routing key is the called service's name.
    #[must_use]
    pub fn commands_exchange(&self) -> String {
        format!("tenantry.{}commands", self.scope)
    }
    /// Exchange of replies; the routing key is the name of the service that waits for them.
    #[must_use]
    pub fn replies_exchange(&self) -> String {
        format!("tenantry.{}replies", self.scope)
    }
    /// Exchange of dead letters; the routing key is the name of the service that gave up.
    #[must_use]
    pub fn dead_exchange(&self) -> String {
        format!("tenantry.{}dead", self.scope)
    }
    /// Exchange into and out of the retry queues; the routing key is a queue's name.
    #[must_use]
    pub fn retry_exchange(&self) -> String {
        format!("tenantry.{}retry", self.scope)
    }
    /// Exchange of usage reports; the routing key is the name of the service that adds them up.
    #[must_use]
    pub fn meters_exchange(&self) -> String {
        format!("tenantry.{}meters", self.scope)
    }
    /// Exchange of domain events; the routing key is the name of the service that reads them. Unlike elsewhere, a message
    /// that no queue takes is dropped: an event that nobody has subscribed to is no failure.
    #[must_use]
    pub fn events_exchange(&self) -> String {
        format!("tenantry.{}events", self.scope)
    }
    /// This service's queue of usage reports.
    #[must_use]
    pub fn meters_queue(&self) -> String {
        format!("{}.{}meters", self.service, self.scope)
    }
    /// This service's queue of events.
    #[must_use]
    pub fn events_queue(&self) -> String {
        format!("{}.{}events", self.service, self.scope)
    }
    /// This service's queue of commands.
    #[must_use]
    pub fn commands_queue(&self) -> String {
        format!("{}.{}commands", self.service, self.scope)
    }
    /// This service's queue of replies.
    #[must_use]
    pub fn replies_queue(&self) -> String {
        format!("{}.{}replies", self.service, self.scope)
    }
    /// This service's dead letters.
    #[must_use]
    pub fn dead_queue(&self) -> String {
        format!("{}.{}dead", self.service, self.scope)
    }
    /// Whether the service has queues at all; if so, it has dead letters.
    #[must_use]
    pub fn takes_messages(&self) -> bool {
        self.commands || self.replies || !self.shared.is_empty()
    }
    /// The retry queue of `queue` whose delay is the smallest that is not shorter than `delay`, else the longest.
    pub(crate) fn retry_queue(&self, queue: &str, delay: Duration) -> String {
        let step = self
            .retry_steps
            .iter()
            .find(|step| **step >= delay)
            .or(self.retry_steps.last());
        retry_name(queue, step.copied().unwrap_or(Duration::from_secs(1)))
    }

    /// Declares everything; repeatable.
    pub(crate) async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        for exchange in [
            self.commands_exchange(),
            self.replies_exchange(),
            self.dead_exchange(),
            self.retry_exchange(),
            self.meters_exchange(),
            self.events_exchange(),
        ] {
            let options = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            channel
                .exchange_declare(exchange.into(), ExchangeKind::Direct, options, FieldTable::default())
                .await?;
        }
        if !self.takes_messages() {
            return Ok(());
        }
        let dead = [("x-max-length", AMQPValue::LongLongInt(DEAD_LIMIT))];
        declare_queue(channel, &self.dead_queue(), dead).await?;
        bind(channel, &self.dead_queue(), &self.dead_exchange(), &self.service).await?;
        if self.commands {
            self.declare_working(channel, &self.commands_queue(), &self.commands_exchange(), None)
                .await?;
        }
        if self.replies {
            self.declare_working(channel, &self.replies_queue(), &self.replies_exchange(), None)
                .await?;
        }
        for Shared { name, most } in &self.shared {
            let queue = format!("{}.{}{name}", self.service, self.scope);
            let exchange = format!("tenantry.{}{name}", self.scope);
            self.declare_working(channel, &queue, &exchange, *most).await?;
        }
        Ok(())
    }

    async fn declare_working(
        &self,
        channel: &Channel,
        queue: &str,
        exchange: &str,
        most: Option<i64>,
    ) -> lapin::Result<()> {
        let mut working = vec![
            ("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT)),
            ("x-dead-letter-exchange", text(&self.dead_exchange())),
            ("x-dead-letter-routing-key", text(&self.service)),
        ];
        working.extend(most.map(|most| ("x-max-length", AMQPValue::LongLongInt(most))));
        declare_queue(channel, queue, working).await?;
        bind(channel, queue, exchange, &self.service).await?;
        bind(channel, queue, &self.retry_exchange(), queue).await?;
        for step in &self.retry_steps {
            let name = retry_name(queue, *step);
            let waiting = [
                (
                    "x-message-ttl",
                    AMQPValue::LongLongInt(i64::try_from(step.as_millis()).unwrap_or(i64::MAX)),
                ),
                ("x-dead-letter-exchange", text(&self.retry_exchange())),
                ("x-dead-letter-routing-key", text(queue)),
                // A retry must survive a broker that dies while it moves the message back.
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-overflow", text("reject-publish")),
            ];
            declare_queue(channel, &name, waiting).await?;
            bind(channel, &name, &self.retry_exchange(), &name).await?;
        }
        Ok(())
    }
}

fn retry_name(queue: &str, step: Duration) -> String {
    format!("{queue}.retry.{}ms", step.as_millis())
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

async fn declare_queue(
    channel: &Channel,
    name: &str,
    arguments: impl IntoIterator<Item = (&str, AMQPValue)>,
) -> lapin::Result<()> {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), text("quorum"));
    for (key, value) in arguments {
        table.insert(key.into(), value);
    }
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel.queue_declare(name.into(), options, table).await.map(|_| ())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_waits_at_least_as_long_as_asked_where_a_step_allows_it() {
        let topology = Topology::service("business");
        let queue = |seconds| topology.retry_queue("business.commands", Duration::from_secs(seconds));
        assert_eq!(queue(0), "business.commands.retry.1000ms");
        assert_eq!(queue(2), "business.commands.retry.10000ms");
        assert_eq!(queue(3600), "business.commands.retry.60000ms");
    }
}
