//! Which headers cross the gateway. Inwards by a list of what may pass, so that reserved metadata (`x-tenantry-*`,
//! `x-tenant*`), `x-forwarded-*`, baggage, cookies and credentials stay outside without anybody having to think of them.

use super::text::NotOne;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What a client's request may say to a service.
const INWARDS: &[&str] = &["grpc-encoding", "grpc-accept-encoding", "tracestate"];

/// Copies what may pass from a client's request.
#[must_use]
pub fn inwards(client: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(12);
    for name in INWARDS {
        for value in client.get_all(*name) {
            out.append(HeaderName::from_static(name), value.clone());
        }
    }
    out
}

/// Whether a header of a service's response (or trailer) stays inside.
#[must_use]
pub fn stays_inside(name: &HeaderName) -> bool {
    let text = name.as_str();
    let hop = [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::PROXY_AUTHENTICATE,
        header::SERVER,
    ]
    .contains(name);
    hop || text.starts_with("x-tenant")
        || matches!(
            text,
            "keep-alive" | "proxy-connection" | "baggage" | "set-cookie" | "authorization"
        )
}

/// Removes what stays inside.
pub fn outwards(service: &mut HeaderMap) {
    let inner: Vec<HeaderName> = service.keys().filter(|name| stays_inside(name)).cloned().collect();
    for name in inner {
        service.remove(name);
    }
}

/// A header that may come at most once; `Err` if it comes twice or is not visible ASCII.
///
/// # Errors
/// Two values, or one that is no text.
pub fn single(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Result<Option<&str>, NotOne> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| NotOne),
        (Some(_), Some(_)) => Err(NotOne),
    }
}

/// Security headers of every response (edge design, B2). `pages` says whether a person's browser shows it.
pub fn secure(headers: &mut HeaderMap) {
    const ALWAYS: &[(&str, &str)] = &[
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        ),
        ("strict-transport-security", "max-age=63072000; includeSubDomains"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "permissions-policy",
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
        ("x-frame-options", "DENY"),
    ];
    for (name, value) in ALWAYS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // Whatever is not said to be cacheable belongs to one caller of one tenant.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_reserved_or_personal_goes_inwards() {
        let mut client = HeaderMap::new();
        for name in [
            "x-tenantry-service",
            "x-tenantry-service-secret",
            "x-tenantry-anything",
            "x-tenant",
            "x-tenant-id",
            "x-tenants",
            "x-forwarded-for",
            "x-forwarded-host",
            "forwarded",
            "x-real-ip",
            "baggage",
            "cookie",
            "authorization",
            "proxy-authorization",
            "host",
            "te",
            "x-request-id",
            "traceparent",
            "grpc-timeout",
            "connection",
            "x-internal-user",
            "content-length",
            "x-http-method-override",
        ] {
            client.insert(HeaderName::from_static(name), HeaderValue::from_static("evil"));
        }
        client.insert("grpc-encoding", HeaderValue::from_static("gzip"));
        let passed: Vec<String> = inwards(&client).keys().map(ToString::to_string).collect();
        assert_eq!(passed, ["grpc-encoding"]);
    }

    #[test]
    fn nothing_internal_goes_outwards() {
        let mut service = HeaderMap::new();
        for name in [
            "x-tenantry-reason",
            "x-tenant",
            "server",
            "set-cookie",
            "transfer-encoding",
            "grpc-status",
            "x-request-id",
            "grpc-status-details-bin",
        ] {
            service.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        outwards(&mut service);
        let mut left: Vec<&str> = service.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "grpc-status-details-bin", "x-request-id"]);
    }

    #[test]
    fn the_policy_allows_nothing_inline() {
        let mut headers = HeaderMap::new();
        secure(&mut headers);
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().expect("ascii");
        assert!(!policy.contains("unsafe"), "{policy}");
        for part in [
            "default-src 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{part} is not in {policy}");
        }
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(headers[name], value, "{name}");
        }
        assert!(headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_reserved_name_passes(name in "[xX]-[tT][eE][nN][aA][nN][tT][a-zA-Z0-9-]{0,20}") {
            let mut client = HeaderMap::new();
            client.insert(HeaderName::from_bytes(name.as_bytes()).expect("a name"), HeaderValue::from_static("evil"));
            prop_assert!(inwards(&client).is_empty());
        }
    }
}
