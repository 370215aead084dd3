//! A request's circumstances: which protocol, which host, which credential, from where. Everything a client could say
//! twice or in two ways is refused here.

use super::Edge;
use crate::{
    app::visitor::{Credential, Place, Trail, Visitor},
    domain::{
        deadline, headers,
        host::Host,
        origin,
        proxies::Proxies,
        table::{Found, Kind, Table},
        template::Path,
        text::{self, NotOne},
    },
    error,
};
use http::{HeaderMap, Response, header, request::Parts};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tenantry_kernel::{Error, Reason, RequestId, Result};
use tonic::body::Body;

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `application/grpc`
    Grpc,
    /// `application/grpc-web`
    GrpcWeb,
    /// Everything else.
    Http,
}

impl Protocol {
    /// By content type.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let media = headers
            .get(header::CONTENT_TYPE)
            .map(http::HeaderValue::as_bytes)
            .unwrap_or_default();
        if media.starts_with(b"application/grpc-web") {
            Self::GrpcWeb
        } else if media.starts_with(b"application/grpc") {
            Self::Grpc
        } else {
            Self::Http
        }
    }
    /// Either form of gRPC.
    #[must_use]
    pub fn is_grpc(self) -> bool {
        self != Self::Http
    }
    /// Whether a person's browser shows the answer.
    #[must_use]
    pub fn is_page(self, request: &Parts, table: &Table) -> bool {
        let found = || {
            Path::parse(request.uri.path()).map(
                |path| matches!(table.find(&request.method, &path), Found::Route(route, _) if route.kind == Kind::Page),
            )
        };
        self == Self::Http && (found() == Some(true) || super::pages::wants_html(&request.headers))
    }
    /// An error in the client's own words.
    #[must_use]
    pub fn refuse(self, error: &Error, request_id: &RequestId) -> Response<Body> {
        match self {
            Self::Http => super::respond::error(error, request_id),
            Self::Grpc => tenantry_server::status_of(error, request_id).into_http(),
            Self::GrpcWeb => super::grpc::web(tenantry_server::status_of(error, request_id).into_http()),
        }
    }
}

/// Reads the circumstances of a request.
///
/// # Errors
/// `MALFORMED_REQUEST` for ambiguity, NOT_FOUND for hosts that are nobody's, `ORIGIN_MISMATCH` for cross-site changes.
pub async fn visitor(
    edge: &Edge,
    request: &Parts,
    peer: SocketAddr,
    request_id: &RequestId,
    trail: &Arc<Trail>,
) -> Result<Visitor> {
    let headers = &request.headers;
    let host = Host::of(&request.uri, headers).map_err(|error| Error::new(Reason::MalformedRequest, error.text()))?;
    let place = edge.gate.place(&host).await?;
    if let Place::Tenant(route) = &place {
        let _ = trail.tenant.set(route.tenant);
    }
    let credential = credential(request, &host, &place)?;
    let wish = headers::single(headers, "grpc-timeout")
        .ok()
        .flatten()
        .and_then(deadline::parse);
    Ok(Visitor {
        request_id: request_id.clone(),
        place,
        credential,
        client: client(headers, peer.ip(), &edge.trusted_proxies),
        wish,
        headers: headers::inwards(headers),
        trail: trail.clone(),
    })
}

/// The bearer token, or the session cookie on the tenant's own host. A token that is there wins: it was put there on
/// purpose, a cookie comes by itself.
fn credential(request: &Parts, host: &Host, place: &Place) -> Result<Option<Credential>> {
    let headers = &request.headers;
    if let Some(value) =
        headers::single(headers, header::AUTHORIZATION).map_err(|NotOne| error::credentials_invalid())?
    {
        let (scheme, token) = value.split_once(' ').ok_or_else(error::credentials_invalid)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains(' ') {
            return Err(error::credentials_invalid());
        }
        return Ok(Some(Credential::new(token)));
    }
    let Place::Tenant(_) = place else { return Ok(None) };
    let lines = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let cookie = text::cookie(lines, super::pages::COOKIE).map_err(|NotOne| error::credentials_invalid())?;
    let Some(cookie) = cookie.filter(|cookie| !cookie.is_empty()) else {
        return Ok(None);
    };
    if origin::is_state_changing(&request.method) && !origin::is_same_origin(headers, host) {
        return Err(error::origin_mismatch());
    }
    Ok(Some(Credential::new(cookie)))
}

/// The address limits count by: the peer, or what a proxy of ours says it saw. Entries before the last stranger's could
/// be anything.
fn client(headers: &HeaderMap, peer: IpAddr, trusted: &Proxies) -> IpAddr {
    if !trusted.contains(peer) {
        return peer;
    }
    let lines: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let hops = lines
        .iter()
        .flat_map(|line| line.split(','))
        .map(|hop| hop.trim().parse::<IpAddr>());
    let mut seen = peer;
    for hop in hops.collect::<Vec<_>>().into_iter().rev() {
        let Ok(address) = hop else { break };
        seen = address;
        if !trusted.contains(address) {
            break;
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::gate::platform_route;
    use http::{Method, Request};
    use ipnet::IpNet;

    fn asked(method: &Method, pairs: &[(&str, &str)], place: &Place) -> Result<Option<String>, Reason> {
        let mut builder = Request::builder().method(method).uri("/");
        for (name, value) in pairs {
            builder = builder.header(*name, *value);
        }
        let (request, ()) = builder.body(()).expect("a request").into_parts();
        let host = Host::parse("acme.localhost:8080").expect("a host");
        credential(&request, &host, place)
            .map(|found| found.map(|credential| credential.expose().to_owned()))
            .map_err(|error| error.reason())
    }

    #[test]
    fn a_cookie_counts_on_the_tenants_own_host_and_changes_need_its_own_pages() {
        let tenant = Place::Tenant(Arc::new(platform_route()));
        let cookie = ("cookie", "__Host-sid=s");
        let origin = ("origin", "http://acme.localhost:8080");
        assert_eq!(asked(&Method::GET, &[cookie], &tenant), Ok(Some("s".into())));
        assert_eq!(
            asked(&Method::GET, &[cookie], &Place::Api),
            Ok(None),
            "never on a shared host"
        );
        assert_eq!(asked(&Method::POST, &[cookie, origin], &tenant), Ok(Some("s".into())));
        for bad in [
            None,
            Some(("origin", "http://globex.localhost:8080")),
            Some(("origin", "null")),
            Some(("sec-fetch-site", "cross-site")),
        ] {
            let pairs: Vec<_> = [Some(cookie), bad].into_iter().flatten().collect();
            assert_eq!(
                asked(&Method::POST, &pairs, &tenant),
                Err(Reason::OriginMismatch),
                "{bad:?}"
            );
        }
        assert_eq!(
            asked(&Method::GET, &[("cookie", "__Host-sid=a; __Host-sid=b")], &tenant),
            Err(Reason::CredentialsInvalid)
        );
    }

    #[test]
    fn a_token_is_one_bearer_token() {
        let tenant = Place::Tenant(Arc::new(platform_route()));
        assert_eq!(
            asked(
                &Method::POST,
                &[("authorization", "bearer t"), ("cookie", "__Host-sid=s")],
                &tenant
            ),
            Ok(Some("t".into()))
        );
        assert_eq!(
            asked(&Method::POST, &[("authorization", "Bearer t")], &Place::Api),
            Ok(Some("t".into()))
        );
        for bad in ["t", "Basic dTpw", "Bearer ", "Bearer a b", ""] {
            assert_eq!(
                asked(&Method::GET, &[("authorization", bad)], &tenant),
                Err(Reason::CredentialsInvalid),
                "{bad}"
            );
        }
        assert_eq!(
            asked(
                &Method::GET,
                &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
                &tenant
            ),
            Err(Reason::CredentialsInvalid)
        );
    }

    #[test]
    fn only_our_own_proxies_say_where_a_request_came_from() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "6.6.6.6, 7.7.7.7".parse().expect("a value"));
        headers.append("x-forwarded-for", "10.0.0.2".parse().expect("a value"));
        assert_eq!(client(&headers, ip("8.8.8.8"), &Proxies::default()), ip("8.8.8.8"));
        let both = Proxies::from_iter([IpNet::from(ip("10.0.0.1")), IpNet::from(ip("10.0.0.2"))]);
        let one = Proxies::from_iter([IpNet::from(ip("10.0.0.1"))]);
        assert_eq!(client(&headers, ip("10.0.0.1"), &both), ip("7.7.7.7"));
        assert_eq!(client(&headers, ip("10.0.0.1"), &one), ip("10.0.0.2"));
    }
}
