//! Starts logging and tracing once a process.

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use std::io::{self, IsTerminal};
use tenantry_config::{LogFormat, Telemetry};
use tracing_subscriber::{EnvFilter, Layer, Registry, filter::LevelFilter, layer::SubscriberExt};

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
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(&config.log)?;
    let provider = provider(service, config)?;
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("tenantry"));
    let subscriber = Registry::default().with(filter).with(spans).with(lines(config.format));
    // The error only says that a subscriber is already set.
    drop(tracing::subscriber::set_global_default(subscriber));
    Ok(Guard { provider })
}

fn provider(service: &str, config: &Telemetry) -> Result<SdkTracerProvider> {
    let resource = Resource::builder().with_service_name(service.to_owned()).build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = config.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) else {
        // Trace ids still join log lines and travel on; recording what nobody exports would only cost.
        return Ok(builder.with_sampler(Sampler::AlwaysOff).build());
    };
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    Ok(builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))).with_batch_exporter(exporter).build())
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
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
