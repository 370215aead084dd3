//! Starts logging and tracing once a process.

use crate::export::Counted;
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use std::io::{self, IsTerminal};
use tenantry_config::{LogFormat, Telemetry};
use tenantry_kernel::probe;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{LevelFilter, filter_fn},
    layer::SubscriberExt,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// A collector that is away is counted (`tenantry_spans_total`), not logged every five seconds.
const QUIET: [&str; 2] = ["opentelemetry_sdk=off", "opentelemetry-otlp=off"];

/// Telemetry that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// `telemetry.log` does not parse.
    #[error("configuration: telemetry.log must be filter directives like \"info,tenantry_auth=debug\": {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The exporter cannot be built.
    #[error("configuration: telemetry.otlp_endpoint must be an OTLP/gRPC address like http://host:4317: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Shorthand.
pub type Result<T, E = InitError> = std::result::Result<T, E>;

/// Keeps telemetry alive. Call [`Guard::shutdown`] last, or up to five seconds of spans are lost.
#[derive(Debug)]
#[must_use = "spans are flushed only by shutdown()"]
pub struct Guard {
    provider: SdkTracerProvider,
}

/// Starts telemetry. Call it inside the tokio runtime. A second call in one process (tests that run several services)
/// keeps the first subscriber.
///
/// Logs go to standard error: standard output belongs to what a command prints on purpose.
///
/// # Errors
/// Where `telemetry.log` or `telemetry.otlp_endpoint` cannot be used.
pub fn init(service: &str, config: &Telemetry) -> Result<Guard> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let mut filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(&config.log)?;
    for directive in QUIET {
        filter = filter.add_directive(directive.parse()?);
    }
    let provider = provider(service, config)?;
    // Our own spans, whatever the log's level is; log lines do not become span events, so a line cannot leak through here.
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tenantry"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|metadata| {
            metadata.is_span() && *metadata.level() <= tracing::Level::INFO && metadata.target().starts_with("tenantry")
        }));
    let subscriber = Registry::default()
        .with(spans)
        .with(lines(config.format).with_filter(filter));
    build_info(service);
    // The error only says that a subscriber is already set.
    drop(tracing::subscriber::set_global_default(subscriber));
    Ok(Guard { provider })
}

fn build_info(service: &str) {
    let labels = [("component", service), ("version", VERSION)];
    probe::gauge("tenantry_build_info", "What runs; always 1", &labels, || Some(1.0));
}

fn provider(service: &str, config: &Telemetry) -> Result<SdkTracerProvider> {
    let resource = Resource::builder()
        .with_service_name(format!("tenantry-{service}"))
        .with_attributes([
            KeyValue::new("service.namespace", "tenantry"),
            KeyValue::new("service.version", VERSION),
        ])
        .build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = config.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) else {
        // Trace ids still travel on, and with them the caller's decision to sample; recording for nobody would only cost.
        return Ok(builder
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
            .build());
    };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()?;
    probe::set_recording(true);
    // Who begins a trace decides; everybody behind follows, so that a trace is whole or not there.
    let root = Sampler::TraceIdRatioBased(config.sample_ratio);
    Ok(builder
        .with_sampler(Sampler::ParentBased(Box::new(root)))
        .with_batch_exporter(Counted::new(exporter))
        .build())
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
    }
}

impl Guard {
    /// Flushes spans and stops the exporter. The SDK blocks, so this happens off the runtime's threads.
    pub async fn shutdown(self) {
        let stopped = tokio::task::spawn_blocking(move || self.provider.shutdown()).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::Tracer;
    use tokio::{io::AsyncReadExt, net::TcpListener, sync::oneshot};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn shutdown_sends_the_last_spans_and_does_not_wait_for_a_dead_collector() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let (seen, sent) = oneshot::channel();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("the exporter connects");
            let mut preface = [0; 14];
            stream.read_exact(&mut preface).await.expect("HTTP/2");
            seen.send(preface).expect("the test waits");
        });
        let config = Telemetry {
            otlp_endpoint: Some(endpoint),
            sample_ratio: 1.0,
            ..Telemetry::default()
        };
        let provider = provider("test", &config).expect("a collector need not answer at start");
        drop(provider.tracer("test").start("work"));
        Guard { provider }.shutdown().await;
        assert_eq!(&sent.await.expect("sent before shutdown returned"), b"PRI * HTTP/2.0");
    }

    #[test]
    fn bad_settings_name_their_key() {
        let config = Telemetry {
            log: "info,=".into(),
            ..Telemetry::default()
        };
        let text = init("test", &config).expect_err("no filter").to_string();
        assert!(text.contains("telemetry.log"), "{text}");
    }
}
