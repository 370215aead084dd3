//! REST: a request becomes one gRPC call through the same gate as any other, its answer becomes JSON.

use super::{
    Edge,
    frames::{self, Answer},
    pages, respond, stream, system, upload,
};
use crate::{
    app::{
        gate::log,
        guard::{MAX_MESSAGE, Violation},
        visitor::Visitor,
    },
    domain::{
        headers,
        table::{Binding, BodyRule, Fixed, Found, Kind, Route, Target},
        template::{Bindings, Path},
        text::NotOne,
        transcode,
    },
    error,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prost_reflect::DynamicMessage;
use std::{sync::Arc, time::Duration};
use tenantry_kernel::{Error, Reason, Result};
use tenantry_server::REPLAYED_HEADER;
use tonic::{Status, body::Body};

/// A body must have arrived after this long.
const BODY_TIME: Duration = Duration::from_secs(30);

/// What a path leads to: the route, what its variables stand for, and the tenant a path prefix named.
pub struct Way<'a> {
    route: &'a Route,
    bindings: Bindings,
    tenant: Option<String>,
}

impl Edge {
    /// One REST or page request.
    pub async fn rest(self: Arc<Self>, request: Request<Body>, visitor: Visitor) -> Response<Body> {
        let html = pages::wants_html(request.headers());
        let way = match self.way(request.method(), request.uri().path()) {
            Ok(way) => way,
            Err(allow) => return lost(&self, &request, &visitor, &allow, html),
        };
        let _ = visitor
            .trail
            .route
            .set(format!("{} {}", way.route.http, way.route.template.text()));
        match &way.route.target {
            Target::Fixed(Fixed::Jwks) => system::jwks(&self, &visitor).await,
            Target::Fixed(fixed) => pages::serve(&self, *fixed, request, &visitor).await,
            Target::Page(at, _) => pages::serve_console(&self, *at, way.bindings.clone(), request, &visitor).await,
            Target::Call(binding) => {
                let answered = self.rest_call(&way, binding, request, &visitor).await;
                answered.unwrap_or_else(|error| refuse(&visitor, &error))
            }
        }
    }

    /// Finds the route of a path: as it is first (the registry's own `/v1/tenants/..`), then behind the prefix
    /// `/v1/tenants/{tenant}/`.
    ///
    /// # Errors
    /// The methods there are on this path; none where there is no such path.
    fn way(&self, http: &Method, path: &str) -> Result<Way<'_>, Vec<&Method>> {
        let Some(path) = Path::parse(path) else {
            return Err(Vec::new());
        };
        let direct = self.table.find(http, &path);
        if let Found::Route(route, bindings) = direct {
            return Ok(Way {
                route,
                bindings,
                tenant: None,
            });
        }
        let prefixed = match path.segments() {
            [v1, tenants, tenant, _, ..] if v1 == "v1" && tenants == "tenants" => {
                Some((self.table.find(http, &path.tail(3)), tenant.clone()))
            }
            _ => None,
        };
        match (direct, prefixed) {
            (_, Some((Found::Route(route, bindings), tenant))) if route.kind == Kind::Rest => Ok(Way {
                route,
                bindings,
                tenant: Some(tenant),
            }),
            (Found::OtherMethods(methods), _) | (_, Some((Found::OtherMethods(methods), _))) => Err(methods),
            _ => Err(Vec::new()),
        }
    }

    async fn rest_call(
        &self,
        way: &Way<'_>,
        binding: &Binding,
        request: Request<Body>,
        visitor: &Visitor,
    ) -> Result<Response<Body>> {
        let pass = self.gate.admit(visitor, way.tenant.as_deref(), &binding.method).await?;
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        check_encoding(&parts.headers)?;
        if binding.body == BodyRule::Upload {
            let filename = upload::filename(query)?;
            check_media(&parts.headers, "text/csv")?;
            let violation = Violation::default();
            let body = upload::body(body, &parts.headers, filename, violation.clone())?;
            return self
                .unary(
                    binding,
                    visitor,
                    self.gate.forward(visitor, pass, body, violation).await,
                )
                .await;
        }
        let bytes = read(body, &parts.headers, MAX_MESSAGE).await?;
        if !bytes.is_empty() {
            check_media(&parts.headers, "application/json")?;
        }
        let single = |name: &str| {
            headers::single(&parts.headers, name)
                .map_err(|NotOne| Error::invalid_field(name, "must come once, as visible ASCII"))
        };
        let source = transcode::Parts {
            path: &way.bindings,
            query,
            body: &bytes,
            idempotency_key: single("idempotency-key")?,
            if_match: single("if-match")?,
            last_event_id: single("last-event-id")?,
        };
        let message = transcode::request(binding, &source)?;
        let answer = self
            .gate
            .forward(visitor, pass, frames::one(&message), Violation::default())
            .await;
        if binding.method.server_streaming {
            return Ok(stream::respond(binding, visitor, &parts.headers, Answer::new(answer)));
        }
        self.unary(binding, visitor, answer).await
    }

    async fn unary(&self, binding: &Binding, visitor: &Visitor, answer: Response<Body>) -> Result<Response<Body>> {
        let mut answer = Answer::new(answer);
        let bytes = match answer.unary().await {
            Ok(bytes) => bytes,
            Err(status) => return Ok(failed(visitor, &status)),
        };
        let message = DynamicMessage::decode(binding.method.descriptor.output(), bytes).map_err(Error::internal)?;
        let shown = binding.response_body.as_deref();
        let mut response = respond::json(transcode::response(&message, shown)?);
        if let Some(etag) = transcode::etag(&message, shown).and_then(|etag| HeaderValue::try_from(etag).ok()) {
            response.headers_mut().insert(header::ETAG, etag);
        }
        if let Some(value) = answer.headers().get(REPLAYED_HEADER) {
            response.headers_mut().insert(REPLAYED_HEADER, value.clone());
        }
        Ok(response)
    }

    /// Calls a unary method with known types, for pages.
    ///
    /// # Errors
    /// The status, of the gate or of the service.
    pub async fn ask<Q, A>(&self, visitor: &Visitor, path: &str, question: &Q) -> Result<A, Status>
    where
        Q: prost::Message,
        A: prost::Message + Default,
    {
        let own = |error: Error| {
            log(&error, &visitor.request_id);
            let _ = visitor.trail.reason.set(error.reason().as_str().to_owned());
            tenantry_server::status_of(&error, &visitor.request_id)
        };
        let method = self.methods.get(path).ok_or_else(|| own(error::unimplemented()))?;
        let pass = self.gate.admit(visitor, None, method).await.map_err(own)?;
        let answer = self
            .gate
            .forward(visitor, pass, frames::one(question), Violation::default())
            .await;
        let bytes = Answer::new(answer).unary().await?;
        A::decode(bytes).map_err(|error| own(Error::internal(error)))
    }
}

/// A service's failure as a problem.
pub fn failed(visitor: &Visitor, status: &Status) -> Response<Body> {
    let problem = crate::domain::problem::of_status(status, &visitor.request_id);
    let _ = visitor.trail.reason.set(problem.reason.clone());
    respond::problem(&problem)
}

/// The gate's refusal as a problem.
pub fn refuse(visitor: &Visitor, error: &Error) -> Response<Body> {
    log(error, &visitor.request_id);
    let _ = visitor.trail.reason.set(error.reason().as_str().to_owned());
    respond::error(error, &visitor.request_id)
}

/// No such path, or only with other methods.
fn lost(edge: &Edge, request: &Request<Body>, visitor: &Visitor, allow: &[&Method], html: bool) -> Response<Body> {
    let told = |error: &Error| {
        if html {
            pages::failure(&visitor.trail, &visitor.request_id, error, pages::tenant(visitor))
        } else {
            refuse(visitor, error)
        }
    };
    if allow.is_empty() {
        return told(&Error::not_found());
    }
    let path = request.uri().path();
    // Only a form is sent there: a bookmark of it, or a reload after signing in, means the page with the form.
    if html && matches!(*request.method(), Method::GET | Method::HEAD) && !path.starts_with("/v1/") {
        return respond::see_other(pages::nearest(edge, path));
    }
    let text = "This path does not take this HTTP method. Use one of the methods in the Allow header.";
    let mut response = told(&Error::new(Reason::MethodNotAllowed, text));
    let mut names: Vec<&str> = allow.iter().map(|method| method.as_str()).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

/// Bodies are not decompressed: a small one could become a huge one.
fn check_encoding(headers: &HeaderMap) -> Result<()> {
    match headers::single(headers, header::CONTENT_ENCODING) {
        Ok(None | Some("" | "identity")) => Ok(()),
        _ => Err(
            Error::new(Reason::UnsupportedMediaType, "Send the body without Content-Encoding.")
                .meta("expected", "identity"),
        ),
    }
}

fn check_media(headers: &HeaderMap, wanted: &str) -> Result<()> {
    let given = headers::single(headers, header::CONTENT_TYPE)
        .unwrap_or_default()
        .unwrap_or_default();
    let mut parts = given.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    if media.eq_ignore_ascii_case(wanted) && utf8 {
        return Ok(());
    }
    Err(Error::new(
        Reason::UnsupportedMediaType,
        format!("Send the body as Content-Type: {wanted} in UTF-8."),
    )
    .meta("expected", wanted))
}

/// Reads a whole body within bounds of size and time.
///
/// # Errors
/// `REQUEST_TOO_LARGE`, `DEADLINE_EXCEEDED`, `MALFORMED_REQUEST` for a body that breaks off.
pub async fn read(body: Body, headers: &HeaderMap, most: usize) -> Result<Bytes> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if announced.unwrap_or_default().max(body.size_hint().lower()) > most as u64 {
        return Err(error::too_large(most));
    }
    let collected = tokio::time::timeout(BODY_TIME, Limited::new(body, most).collect()).await;
    match collected {
        Err(_elapsed) => Err(Error::new(
            Reason::DeadlineExceeded,
            "The request body did not arrive in time.",
        )),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(error::too_large(most)),
        Ok(Err(_)) => Err(Error::new(Reason::MalformedRequest, "The request body broke off.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_json_in_utf8_only() {
        let check = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().expect("a value"));
            check_media(&headers, "application/json").is_ok()
        };
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json; x=y",
        ] {
            assert!(check(good), "{good}");
        }
        for bad in [
            "text/plain",
            "application/json; charset=latin1",
            "application/jsonx",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ] {
            assert!(!check(bad), "{bad}");
        }
        assert!(check_media(&HeaderMap::new(), "application/json").is_err());
    }

    #[tokio::test]
    async fn a_body_is_bounded_whether_it_says_its_length_or_not() {
        let body = |n: usize| Body::new(http_body_util::Full::new(Bytes::from(vec![b'x'; n])));
        assert_eq!(read(body(10), &HeaderMap::new(), 10).await.expect("fits").len(), 10);
        assert_eq!(
            read(body(11), &HeaderMap::new(), 10)
                .await
                .expect_err("too large")
                .reason(),
            Reason::RequestTooLarge
        );
        let chunks =
            futures::stream::iter((0..11).map(|_| Ok::<_, Status>(http_body::Frame::data(Bytes::from_static(b"x")))));
        let streamed = Body::new(http_body_util::StreamBody::new(chunks));
        assert_eq!(
            read(streamed, &HeaderMap::new(), 10)
                .await
                .expect_err("too large")
                .reason(),
            Reason::RequestTooLarge
        );
    }
}
