//! Metrics of the process, scraped from the admin port as Prometheus text.

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, MeterProvider},
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use std::{
    collections::HashSet,
    fmt::Write,
    sync::{LazyLock, Mutex, PoisonError},
};
use tenantry_kernel::probe;

struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let registry = Registry::new();
    // CPU, memory, threads and open files of the process, from /proc.
    #[cfg(target_os = "linux")]
    drop(registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self())));
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
    for reading in probe::read() {
        print(&mut text, &reading);
    }
    let overflow = "Label sets that were folded away or refused";
    for own in [
        single(
            "tenantry_series_budget",
            "Series this process may have",
            false,
            SERIES_BUDGET as f64,
        ),
        single("tenantry_metric_overflow_total", overflow, true, folded()),
    ] {
        print(&mut text, &own);
    }
    let series = text.lines().filter(|line| !line.starts_with('#')).count() + 1;
    print(
        &mut text,
        &single("tenantry_series", "Series this process has", false, series as f64),
    );
    text
}

fn single(name: &'static str, help: &'static str, counter: bool, value: f64) -> probe::Reading {
    probe::Reading {
        name,
        help,
        counter,
        series: vec![(Vec::new(), value)],
    }
}

/// One family in Prometheus text format.
fn print(text: &mut String, reading: &probe::Reading) {
    let probe::Reading {
        name,
        help,
        counter,
        series,
    } = reading;
    if series.is_empty() {
        return;
    }
    let kind = if *counter { "counter" } else { "gauge" };
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in series {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escape(value)))
            .collect();
        let braces = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(text, "{name}{braces} {value}");
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn folded() -> f64 {
    (probe::dropped() + FOLDED.get()) as f64
}

/// Requests that were counted under `other` because the budget was used up.
static FOLDED: LazyLock<probe::Counter> = LazyLock::new(probe::Counter::default);

/// More distinct methods than one service has; what comes above is counted as `other`.
const MAX_METHODS: usize = 300;
/// Pairs of method and code. Most methods know a handful of codes.
const MAX_PAIRS: usize = 2_000;
/// Buckets with `+Inf`, sum and count.
const SERIES_OF_A_METHOD: usize = BUCKETS.len() + 3;
/// Process, pools, queues, caches, circuits, and monitoring's busiest hundred tenants.
const OTHER_SERIES: usize = 1_200;
/// Series one process can have at most, whatever its callers do: six of them stay below 50,000.
pub const SERIES_BUDGET: usize = (MAX_METHODS + 1) * SERIES_OF_A_METHOD + MAX_PAIRS + CODES.len() + OTHER_SERIES;
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
/// The HTTP statuses the gateway answers with.
const STATUSES: [&str; 33] = [
    "101", "200", "201", "202", "204", "206", "301", "302", "303", "304", "307", "308", "400", "401", "402", "403",
    "404", "405", "406", "408", "409", "410", "412", "413", "415", "422", "428", "429", "499", "500", "501", "503",
    "504",
];

/// Rate, errors and duration of requests by method and code.
pub struct RequestMetrics {
    requests: Counter<u64>,
    seconds: Histogram<f64>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    methods: HashSet<String>,
    pairs: HashSet<(String, &'static str)>,
}

impl RequestMetrics {
    /// Registers `tenantry_requests_total` and `tenantry_request_seconds`. Once a service.
    #[must_use]
    pub fn new() -> Self {
        let meter = meter();
        let requests = meter
            .u64_counter("tenantry_requests")
            .with_description("Requests by method and code")
            .build();
        // Without its nought an idle process has no rate, and an autoscaler that asks for it does nothing at all.
        requests.add(0, &[KeyValue::new("method", "other"), KeyValue::new("code", "OK")]);
        Self {
            requests,
            seconds: meter
                .f64_histogram("tenantry_request_seconds")
                .with_description("Time from the request's head to the head of its response")
                .with_boundaries(BUCKETS.to_vec())
                .build(),
            seen: Mutex::default(),
        }
    }
    /// Counts one finished request. `method` is the full gRPC method name or a route; `code` is the gRPC code's name
    /// (`NOT_FOUND`, or `NotFound` as the library prints it) or an HTTP status; anything else is counted as `other`, so
    /// that callers cannot make new series.
    pub fn record(&self, method: &str, code: &str, seconds: f64) {
        let (method, code) = self.known(method, code_of(code));
        let labels = [KeyValue::new("method", method), KeyValue::new("code", code)];
        self.requests.add(1, &labels);
        self.seconds.record(seconds, &labels[..1]);
    }

    fn known(&self, method: &str, code: &'static str) -> (String, &'static str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Seen { methods, pairs } = &mut *seen;
        let fits = methods.contains(method)
            || (method.len() <= 120 && methods.len() < MAX_METHODS && methods.insert(method.to_owned()));
        let method = if fits { method } else { "other" };
        let pair = (method.to_owned(), code);
        let counted = pairs.contains(&pair) || (pairs.len() < MAX_PAIRS && pairs.insert(pair.clone()));
        if !fits || !counted {
            FOLDED.one();
        }
        if counted { pair } else { ("other".to_owned(), code) }
    }
}

impl Default for RequestMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// One name for a code, whoever printed it.
fn code_of(code: &str) -> &'static str {
    let plain = |name: &str| name.replace('_', "");
    let grpc = CODES
        .iter()
        .find(|name| **name == code || plain(name).eq_ignore_ascii_case(code));
    let status = || STATUSES.iter().find(|status| **status == code);
    grpc.or_else(status).copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_and_labels_stay_bounded() {
        let metrics = RequestMetrics::new();
        let idle = r#"tenantry_requests_total{code="OK",method="other"} 0"#;
        assert!(
            metrics_text().lines().any(|line| line == idle),
            "an idle process has a rate of nought"
        );
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
        // Two codes of one method, and `other` with two.
        assert!(lines("tenantry_requests_total{") <= MAX_METHODS + 3);
        assert_eq!(lines(r#"tenantry_requests_total{code="404",method="other"}"#), 1);
        assert!(
            lines("") <= SERIES_BUDGET && 6 * SERIES_BUDGET < 50_000,
            "{SERIES_BUDGET}"
        );
        assert_eq!(
            text.lines().filter(|line| line.starts_with("tenantry_series ")).count(),
            1
        );
        let folded = text
            .lines()
            .find_map(|line| line.strip_prefix("tenantry_metric_overflow_total "));
        assert!(folded.is_some_and(|n| n != "0"), "{text}");
    }

    #[test]
    fn pairs_of_method_and_code_are_bounded_and_names_are_short() {
        let metrics = RequestMetrics::new();
        let long = "x".repeat(121);
        assert_eq!(metrics.known(&long, "OK"), ("other".to_owned(), "OK"));
        for method in 0..MAX_METHODS {
            for code in CODES {
                metrics.known(&format!("/pairs/{method}"), code);
            }
        }
        let seen = metrics.seen.lock().expect("not poisoned");
        assert_eq!((seen.methods.len(), seen.pairs.len()), (MAX_METHODS, MAX_PAIRS));
        drop(seen);
        let last = format!("/pairs/{}", MAX_METHODS - 1);
        assert_eq!(
            metrics.known(&last, "OK"),
            ("other".to_owned(), "OK"),
            "no room for its pairs"
        );
    }

    #[test]
    fn a_code_has_one_name() {
        for (printed, name) in [
            ("Ok", "OK"),
            ("NotFound", "NOT_FOUND"),
            ("DATA_LOSS", "DATA_LOSS"),
            ("429", "429"),
        ] {
            assert_eq!(code_of(printed), name);
        }
        assert_eq!(code_of("999"), "other");
    }

    #[test]
    fn a_label_cannot_break_the_format() {
        let mut text = String::new();
        let mut reading = single("x", "y", false, 1.0);
        reading.series[0].0.push(("queue", "a\"\n\\b".to_owned()));
        print(&mut text, &reading);
        assert_eq!(text.lines().last(), Some(r#"x{queue="a\"\n\\b"} 1"#));
    }
}
