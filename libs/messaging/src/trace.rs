//! Spans and counts of messages. A message carries the trace of the request that caused it; one without a trace (a timer's)
//! gets no span. Names of queues and exchanges are ours, so they may be labels; ids go into spans only.

use crate::{Delivery, Message, Outcome};
use tenantry_kernel::probe::{self, Counter};
use tenantry_telemetry::set_parent_from;
use tracing::{Span, field::Empty};

/// The span of publishing `message`, a child of what caused it.
pub(crate) fn producer(message: &Message) -> Span {
    if !probe::recording() || message.traceparent.is_none() {
        return Span::none();
    }
    let span = tracing::info_span!(
        "publish",
        otel.name = format!("send {}", message.exchange),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.name = message.exchange,
        messaging.rabbitmq.destination.routing_key = message.routing_key,
        messaging.message.id = %message.id,
        messaging.message.body.size = message.payload.len(),
        cloudevents.event_type = message.kind,
        tenant.id = Empty,
    );
    if let Some(tenant) = message.tenant {
        span.record("tenant.id", tracing::field::display(tenant));
    }
    set_parent_from(&span, message.traceparent.as_deref());
    span
}

/// The span of handling `delivery`, a child of its publishing.
pub(crate) fn consumer(queue: &str, delivery: &Delivery) -> Span {
    if !probe::recording() || delivery.traceparent.is_none() {
        return Span::none();
    }
    let span = tracing::info_span!(
        "process",
        otel.name = format!("process {queue}"),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = queue,
        messaging.message.id = %delivery.id,
        messaging.message.body.size = delivery.payload.len(),
        cloudevents.event_type = delivery.kind,
        tenant.id = Empty,
    );
    if let Some(tenant) = delivery.tenant {
        span.record("tenant.id", tracing::field::display(tenant));
    }
    set_parent_from(&span, delivery.traceparent.as_deref());
    span
}

pub(crate) fn published(span: &Span, ok: bool) {
    count_published(if ok { "ok" } else { "failed" }).one();
    if !ok {
        span.record("otel.status_code", "ERROR");
    }
}

pub(crate) fn consumed(queue: &str, outcome: &Outcome) {
    let outcome = match outcome {
        Outcome::Ack => "done",
        Outcome::Retry { .. } => "retry",
        Outcome::Dead { .. } => "dead",
    };
    count_consumed(queue, outcome).one();
}

/// A counter that begins at its first event hides that event from every rate: these begin at nought.
pub(crate) fn prepare(queue: Option<&str>) {
    for outcome in ["ok", "failed"] {
        let _ = count_published(outcome);
    }
    for (queue, outcome) in queue
        .iter()
        .flat_map(|queue| ["done", "retry", "dead"].map(|outcome| (queue, outcome)))
    {
        let _ = count_consumed(queue, outcome);
    }
}

fn count_published(outcome: &str) -> Counter {
    let help = "Messages given to the broker, by outcome";
    probe::counter("tenantry_messages_published_total", help, &[("outcome", outcome)])
}

fn count_consumed(queue: &str, outcome: &str) -> Counter {
    let help = "Messages taken from a queue, by outcome; a dead one waits for people";
    let labels = [("queue", queue), ("outcome", outcome)];
    probe::counter("tenantry_messages_consumed_total", help, &labels)
}
