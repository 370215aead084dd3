//! Reporting: every interval the counters become reports, and a report is sent again, with the same sequence and the same
//! bytes, until the broker has confirmed it.
//!
//! While the broker is away, reports wait in a bounded queue; when it is full, counts stay in the meter and go into a
//! later report, so that nothing is lost, only less finely dated. A process that is killed loses what it has counted
//! since its last confirmed report.

use crate::{Delta, KIND, MOST_TENANTS, Meter, Report};
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tenantry_kernel::Ids;
use tenantry_messaging::{Bus, Message, Publisher};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Deltas that may wait for the broker in finished reports (some 15 MiB).
const MOST_WAITING: usize = 50_000;
/// What the last reports of a process get.
const FAREWELL: Duration = Duration::from_secs(3);
/// Who counts.
const RECEIVER: &str = "monitoring";

struct Waiting {
    message: Message,
    deltas: usize,
}

/// Turns a meter's counts into messages.
pub struct Reporter {
    meter: Arc<Meter>,
    publisher: Publisher,
    exchange: String,
    service: &'static str,
    instance: Uuid,
    sequence: u64,
    waiting: VecDeque<Waiting>,
    ids: Arc<dyn Ids>,
}

impl Reporter {
    /// For one process: its id is made here.
    #[must_use]
    pub fn new(service: &'static str, meter: Arc<Meter>, bus: &Bus, ids: Arc<dyn Ids>) -> Self {
        Self {
            meter,
            publisher: bus.publisher(),
            exchange: bus.topology().meters_exchange(),
            service,
            instance: ids.new_v7(),
            sequence: 0,
            waiting: VecDeque::new(),
            ids,
        }
    }

    /// Runs until `stop`, then sends what is left. Cancel `stop` after the last request has ended.
    pub async fn run(mut self, interval: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => break,
            }
            self.collect();
            self.send().await;
        }
        self.collect();
        if tokio::time::timeout(FAREWELL, self.send()).await.is_err() || !self.waiting.is_empty() {
            tracing::warn!(
                reports = self.waiting.len(),
                "usage was counted that could not be reported"
            );
        }
    }

    /// Makes reports of what was counted, if there is room for them.
    fn collect(&mut self) {
        let waiting: usize = self.waiting.iter().map(|report| report.deltas).sum();
        if waiting >= MOST_WAITING {
            tracing::warn!(
                reports = self.waiting.len(),
                "the broker takes no usage reports; counting goes on in memory"
            );
            return;
        }
        let (start, end, deltas) = self.meter.take();
        for part in deltas.chunks(MOST_TENANTS) {
            let message = self.message(start, end, part);
            self.waiting.push_back(Waiting {
                message,
                deltas: part.len(),
            });
        }
    }

    fn message(&mut self, start: DateTime<Utc>, end: DateTime<Utc>, deltas: &[Delta]) -> Message {
        self.sequence += 1;
        let report = Report {
            instance: self.instance,
            sequence: self.sequence,
            service: self.service.to_owned(),
            start,
            end,
            deltas: deltas.to_vec(),
        };
        Message {
            id: self.ids.new_v7(),
            exchange: self.exchange.clone(),
            routing_key: RECEIVER.to_owned(),
            kind: KIND.to_owned(),
            subject: String::new(),
            tenant: None,
            time: end,
            content_type: "application/protobuf".to_owned(),
            payload: report.encode(),
            headers: BTreeMap::new(),
            traceparent: None,
        }
    }

    /// Oldest first; the first that the broker does not take ends the round.
    async fn send(&mut self) {
        while let Some(first) = self.waiting.front() {
            if let Err(error) = self.publisher.publish(&first.message).await {
                let cause = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                tracing::debug!(reports = self.waiting.len(), cause, "usage reports wait for the broker");
                return;
            }
            self.waiting.pop_front();
        }
    }
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reporter({}, {} waiting)", self.service, self.waiting.len())
    }
}
