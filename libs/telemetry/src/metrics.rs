//! Metrics of the process, scraped from the admin port as Prometheus text.

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, MeterProvider},
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use std::{
    collections::HashSet,
    sync::{LazyLock, Mutex, PoisonError},
};

struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .without_target_info()
        .build()
        .expect("a new registry accepts its first collector");
    let provider = SdkMeterProvider::builder().with_reader(exporter).build();
    Metrics { registry, provider }
});

/// The process's meter. Names start with `tenantry_`; labels must come from small, fixed sets.
#[must_use]
pub fn meter() -> Meter {
    METRICS.provider.meter("tenantry")
}

/// All metrics in Prometheus text format.
#[must_use]
pub fn metrics_text() -> String {
    let mut text = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(&METRICS.registry.gather(), &mut text) {
        tracing::error!(%error, "metrics cannot be encoded");
    }
    text
}

/// More distinct methods than all our services have; what comes above is counted as `other`.
const MAX_METHODS: usize = 400;
const BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Rate, errors and duration of requests by method and code.
pub struct RequestMetrics {
    requests: Counter<u64>,
    seconds: Histogram<f64>,
    methods: Mutex<HashSet<String>>,
}

impl RequestMetrics {
    /// Registers `tenantry_requests_total` and `tenantry_request_seconds`. Once a service.
    #[must_use]
    pub fn new() -> Self {
        let meter = meter();
        Self {
            requests: meter
                .u64_counter("tenantry_requests")
                .with_description("Requests by method and code")
                .build(),
            seconds: meter
                .f64_histogram("tenantry_request_seconds")
                .with_description("Time from the request's head to the end of its response")
                .with_boundaries(BUCKETS.to_vec())
                .build(),
            methods: Mutex::default(),
        }
    }
    /// Counts one finished request. `method` is the full gRPC method name; `code` is the gRPC code's name or an HTTP
    /// status; anything else is counted as `other`, so that callers cannot make new series.
    pub fn record(&self, method: &str, code: &str, seconds: f64) {
        let code = if CODES.contains(&code) || is_status(code) {
            code
        } else {
            "other"
        };
        let method = if self.known(method) { method } else { "other" };
        let labels = [
            KeyValue::new("method", method.to_owned()),
            KeyValue::new("code", code.to_owned()),
        ];
        self.requests.add(1, &labels);
        self.seconds.record(seconds, &labels[..1]);
    }

    fn known(&self, method: &str) -> bool {
        let mut methods = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        methods.contains(method)
            || (method.len() <= 120 && methods.len() < MAX_METHODS && methods.insert(method.to_owned()))
    }
}

impl Default for RequestMetrics {
    fn default() -> Self {
        Self::new()
    }
}

fn is_status(code: &str) -> bool {
    code.parse::<u16>().is_ok_and(|status| (100..600).contains(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_and_labels_stay_bounded() {
        let metrics = RequestMetrics::new();
        metrics.record("/tenantry.auth.v1.Users/GetUser", "OK", 0.004);
        metrics.record("/tenantry.auth.v1.Users/GetUser", "made\nup", 0.004);
        for n in 0..1000 {
            metrics.record(&format!("/scan/{n}"), "404", 0.001);
        }
        let text = metrics_text();
        let lines = |needle: &str| text.lines().filter(|line| line.contains(needle)).count();
        assert_eq!(
            lines(r#"tenantry_requests_total{code="OK",method="/tenantry.auth.v1.Users/GetUser"} 1"#),
            1,
            "{text}"
        );
        assert_eq!(lines(r#"code="other",method="/tenantry.auth.v1.Users/GetUser""#), 1);
        assert_eq!(
            lines(r#"tenantry_request_seconds_bucket{method="/tenantry.auth.v1.Users/GetUser",le="0.005"} 2"#),
            1,
            "{text}"
        );
        assert!(lines("tenantry_requests_total{") <= MAX_METHODS + 2);
        assert_eq!(lines(r#"tenantry_requests_total{code="404",method="other"}"#), 1);
    }
}
