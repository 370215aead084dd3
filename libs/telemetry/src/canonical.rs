//! The canonical line: exactly one log line a request, with everything a person greps for.

use std::time::Duration;
use tenantry_kernel::{Tally, TenantId};

/// What one request was and cost. Field names are stable: operators' queries depend on them.
#[derive(Clone, Copy, Debug)]
pub struct CanonicalLine<'a> {
    /// `gateway`, `auth`, ..
    pub service: &'a str,
    /// Full gRPC method, or `METHOD /route-pattern` for HTTP (never the raw path: it may carry secrets).
    pub method: &'a str,
    /// gRPC code name or HTTP status.
    pub code: &'a str,
    /// Error reason, if it failed.
    pub reason: Option<&'a str>,
    /// The tenant, if one was named.
    pub tenant: Option<TenantId>,
    /// [`tenantry_kernel::Principal::name`].
    pub principal: &'a str,
    /// The request id.
    pub request_id: &'a str,
    /// From the head of the request to the head of its response.
    pub elapsed: Duration,
    /// Queries, rows and cache counts.
    pub tally: &'a Tally,
}

/// Emits the line: target `request`, level INFO.
pub fn canonical_line(line: CanonicalLine<'_>) {
    let (cache_hits, cache_misses, cache_errors) = line.tally.cache();
    tracing::info!(
        target: "request",
        service = line.service,
        method = line.method,
        code = line.code,
        reason = line.reason.unwrap_or(""),
        tenant = line.tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
        principal = line.principal,
        request_id = line.request_id,
        elapsed_ms = millis(line.elapsed.as_micros()),
        queries = line.tally.queries(),
        rows = line.tally.rows(),
        db_ms = millis(u128::from(line.tally.db_micros())),
        cache_hits,
        cache_misses,
        cache_errors,
    );
}

/// Milliseconds with three decimals; exact far beyond any request's length.
fn millis(micros: u128) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io,
        sync::{Arc, Mutex},
    };
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl<'a> MakeWriter<'a> for Sink {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn one_request_is_one_line_with_every_field() {
        let sink = Sink::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(sink.clone())
            .finish();
        let tally = Tally::default();
        tally.query(7, 1500);
        tally.cache_hit();
        tracing::subscriber::with_default(subscriber, || {
            canonical_line(CanonicalLine {
                service: "auth",
                method: "/tenantry.auth.v1.Users/GetUser",
                code: "NOT_FOUND",
                reason: Some("NOT_FOUND"),
                tenant: Some(TenantId::PLATFORM),
                principal: "anonymous",
                request_id: "r-1",
                elapsed: Duration::from_micros(2500),
                tally: &tally,
            });
        });
        let text = String::from_utf8(sink.0.lock().expect("not poisoned").clone()).expect("utf-8");
        assert_eq!(text.lines().count(), 1);
        for part in [
            r#""target":"request""#,
            r#""service":"auth""#,
            r#""code":"NOT_FOUND""#,
            r#""tenant":"00000000-0000-7000-8000-000000000001""#,
            r#""principal":"anonymous""#,
            r#""request_id":"r-1""#,
            r#""elapsed_ms":2.5"#,
            r#""queries":1"#,
            r#""rows":7"#,
            r#""db_ms":1.5"#,
            r#""cache_hits":1"#,
            r#""cache_misses":0"#,
            r#""cache_errors":0"#,
            r#""reason":"NOT_FOUND""#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
