//! The W3C trace context in and out of headers and messages.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
    trace::TraceContextExt,
};
use std::collections::HashMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }
    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// The caller's trace context; an empty one where the headers carry none or a malformed one.
#[must_use]
pub fn extract(headers: &HeaderMap) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract_with_context(&Context::new(), &Incoming(headers)))
}

/// Puts the current span's context into outgoing headers (gRPC metadata is a `HeaderMap` too).
pub fn inject_current(headers: &mut HeaderMap) {
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut Outgoing(headers)));
}

/// The current span's `traceparent`, for outbox rows and messages; `None` outside of a span.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    let mut carrier = HashMap::new();
    if context.span().span_context().is_valid() {
        global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut carrier));
    }
    carrier.remove(TRACEPARENT)
}

/// Makes `span` a child of a stored `traceparent`. Nothing happens for `None` or a malformed one: a broken trace must
/// never break the work. Call it before the span is first entered.
pub fn set_parent_from(span: &Span, traceparent: Option<&str>) {
    let Some(value) = traceparent else { return };
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), value.to_owned())]);
    let parent =
        global::get_text_map_propagator(|propagator| propagator.extract_with_context(&Context::new(), &carrier));
    if parent.span().span_context().is_valid() {
        // Fails only where the span is disabled or already started: then it has no place in this trace.
        drop(span.set_parent(parent));
    }
}

/// Gives a span that is running its final name: a route is known only after the request has begun.
pub fn rename(span: &Span, name: &str) {
    span.context().span().update_name(name.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_config::Telemetry;

    #[tokio::test]
    async fn a_trace_goes_in_through_headers_and_out_again() {
        let guard = crate::init("test", &Telemetry::default()).expect("defaults work");
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let header = format!("00-{trace}-00f067aa0ba902b7-01");
        let span = tracing::info_span!("request");
        set_parent_from(&span, Some(&header));
        let out = span.in_scope(|| {
            let mut headers = HeaderMap::new();
            inject_current(&mut headers);
            assert_eq!(
                headers
                    .get(TRACEPARENT)
                    .and_then(|v| v.to_str().ok())
                    .map(str::to_owned),
                current_traceparent()
            );
            current_traceparent().expect("inside a span")
        });
        assert!(
            out.contains(trace) && !out.contains("00f067aa0ba902b7"),
            "same trace, own span: {out}"
        );
        let fresh = tracing::info_span!("job");
        set_parent_from(&fresh, Some("00-garbage"));
        let own = fresh.in_scope(current_traceparent).expect("a new trace");
        assert!(!own.contains(trace), "{own}");
        assert_eq!(current_traceparent(), None);

        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::try_from(header).expect("ascii"));
        assert_eq!(extract(&headers).span().span_context().trace_id().to_string(), trace);
        headers.insert(TRACEPARENT, HeaderValue::from_static("nonsense"));
        assert!(!extract(&headers).span().span_context().is_valid());
        guard.shutdown().await;
    }
}
