//! Takes usage reports from the broker. A report is acknowledged after it was added up; a process that dies in between
//! gets it again, and adds nothing the second time.

use crate::app::ingest::{Ingest, PUBLISHERS};
use tenantry_kernel::{Error, Reason, Result};
use tenantry_messaging::{Bus, Delivery, Outcome};
use tenantry_metering::{KIND, Report};
use tokio_util::sync::CancellationToken;

const PREFETCH: u16 = 4;

/// Runs until `stop`.
pub async fn run(bus: Bus, ingest: Ingest, stop: CancellationToken) {
    let consumer = bus
        .consumer(bus.topology().meters_queue(), PREFETCH)
        .allow(&PUBLISHERS)
        .attempts(super::ATTEMPTS);
    consumer
        .run(stop, move |delivery| {
            let ingest = ingest.clone();
            async move { handle(&ingest, &delivery).await }
        })
        .await;
}

async fn handle(ingest: &Ingest, delivery: &Delivery) -> Outcome {
    match take(ingest, delivery).await {
        Ok(()) => Outcome::Ack,
        Err(error) => super::outcome(&error, delivery.attempt),
    }
}

async fn take(ingest: &Ingest, delivery: &Delivery) -> Result<()> {
    let never = |text: &'static str| Error::new(Reason::InvalidArgument, text);
    if delivery.kind != KIND {
        return Err(never("not a usage report"));
    }
    let report = Report::decode(&delivery.payload).map_err(|invalid| never(invalid.0))?;
    let first = ingest.take(&delivery.publisher, &report).await?;
    tracing::debug!(instance = %report.instance, sequence = report.sequence, tenants = report.deltas.len(), first, "usage report");
    Ok(())
}
