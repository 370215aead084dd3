//! Whether a browser meant it: the cross-site check of every state-changing request that a cookie authenticates, and of
//! the sign-in form (login CSRF). It looks at what only the browser can write.

use super::host::Host;
use http::{HeaderMap, Method, header};

/// Whether the method may change something. HTTP only: a gRPC-Web call is a POST.
#[must_use]
pub fn is_state_changing(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the request comes from a page of this very host.
///
/// `Sec-Fetch-Site` decides where the browser sends it: pages of ours have `Referrer-Policy: no-referrer`, with which a
/// form post carries `Origin: null`. Without it `Origin` must be there and name this host.
#[must_use]
pub fn is_same_origin(headers: &HeaderMap, host: &Host) -> bool {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
            (Some(_), Some(_)) => Err(()),
        }
    };
    let (Ok(site), Ok(origin)) = (one("sec-fetch-site"), one(header::ORIGIN.as_str())) else {
        return false;
    };
    let origin_fits = |origin: &str| host.is_origin(origin);
    match (site, origin) {
        (Some("same-origin"), None | Some("null")) => true,
        (Some("same-origin") | None, Some(origin)) => origin_fits(origin),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn check(pairs: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        is_same_origin(&headers, &Host::parse("acme.localhost:8080").expect("a host"))
    }

    #[test]
    fn own_pages_pass() {
        assert!(check(&[("origin", "http://acme.localhost:8080")]));
        assert!(check(&[("sec-fetch-site", "same-origin")]));
        assert!(
            check(&[("sec-fetch-site", "same-origin"), ("origin", "null")]),
            "a form of a no-referrer page"
        );
        assert!(check(&[
            ("sec-fetch-site", "same-origin"),
            ("origin", "http://acme.localhost:8080")
        ]));
    }

    #[test]
    fn everybody_else_fails() {
        assert!(!check(&[]), "a missing Origin is no permission");
        assert!(!check(&[("origin", "null")]));
        assert!(!check(&[("origin", "http://globex.localhost:8080")]));
        assert!(!check(&[("origin", "http://localhost:8080")]));
        for site in ["cross-site", "same-site", "none", "Same-Origin", ""] {
            let site: &'static str = site;
            assert!(!check(&[("sec-fetch-site", site)]), "{site}");
            assert!(
                !check(&[("sec-fetch-site", site), ("origin", "http://acme.localhost:8080")]),
                "{site}"
            );
        }
        assert!(!check(&[
            ("sec-fetch-site", "same-origin"),
            ("origin", "http://evil.test")
        ]));
        assert!(
            !check(&[("origin", "http://acme.localhost:8080"), ("origin", "http://evil.test")]),
            "two of them"
        );
    }

    #[test]
    fn only_reads_change_nothing() {
        assert!(!is_state_changing(&Method::GET) && !is_state_changing(&Method::HEAD));
        for method in [Method::POST, Method::PATCH, Method::DELETE, Method::PUT] {
            assert!(is_state_changing(&method));
        }
    }
}
