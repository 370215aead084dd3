//! The exporter with its losses counted. A collector that is away costs spans, never a request and never a log line.

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};
use std::time::Duration;
use tenantry_kernel::probe::{self, Counter};

#[derive(Debug)]
pub(crate) struct Counted<E> {
    inner: E,
    sent: Counter,
    lost: Counter,
}

impl<E> Counted<E> {
    pub(crate) fn new(inner: E) -> Self {
        let counter = |outcome| {
            let help = "Spans given to the collector, by outcome";
            probe::counter("tenantry_spans_total", help, &[("outcome", outcome)])
        };
        Self {
            inner,
            sent: counter("sent"),
            lost: counter("lost"),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        match self.inner.export(batch).await {
            Ok(()) => self.sent.add(count),
            Err(error) => {
                self.lost.add(count);
                tracing::debug!(%error, count, "spans are lost");
            }
        }
        // The loss is counted; the SDK would only log it.
        Ok(())
    }
    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }
    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }
    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
