//! The public port: one entrance for gRPC, gRPC-Web, REST and pages. [`Edge::handle`] is what happens to every request,
//! whatever it is; read it from top to bottom.

pub mod arrival;
pub mod counted;
pub mod frames;
pub mod grpc;
pub mod linger;
pub mod listener;
pub mod open;
pub mod pages;
pub mod respond;
pub mod rest;
pub mod stream;
pub mod system;
pub mod upload;

use crate::{
    app::{gate::Gate, visitor::Trail},
    domain::{headers, proxies::Proxies, table::Table},
};
use arrival::Protocol;
use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body::Body as HttpBody;
use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tenantry_api::Methods;
use tenantry_kernel::{Clock, Error, Ids, Reason, RequestId, Tally};
use tenantry_metering::Meter;
use tenantry_server::{REASON_HEADER, REQUEST_ID_HEADER};
use tenantry_telemetry::{CanonicalLine, RequestMetrics, canonical_line, set_parent_from};
use tokio::sync::Semaphore;
use tonic::{body::Body, service::Routes};
use tracing::Instrument;

/// Everything the port needs; made once.
pub struct Edge {
    /// The way to the services.
    pub gate: Gate,
    /// Methods and their policies.
    pub methods: Methods,
    /// What is answered.
    pub table: Table,
    /// Health and reflection, answered here.
    pub builtin: Routes,
    /// The OpenAPI document, made once.
    pub open_api: Bytes,
    /// Request ids.
    pub ids: Arc<dyn Ids>,
    /// Time, for pages.
    pub clock: Arc<dyn Clock>,
    /// Counts and times.
    pub metrics: RequestMetrics,
    /// What each tenant uses.
    pub meter: Arc<Meter>,
    /// Whose X-Forwarded-For is believed.
    pub trusted_proxies: Proxies,
    /// Requests in flight.
    pub in_flight: Semaphore,
}

impl Edge {
    /// One request.
    pub async fn handle<B>(self: Arc<Self>, request: Request<B>, peer: SocketAddr) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = Instant::now();
        let request = linger::wrap(request.map(Body::new));
        let protocol = Protocol::of(request.headers());
        let request_id = self.request_id(request.headers());
        let trail = Arc::new(Trail::default());
        let request = request.map(|body| counted::inward(body, &self.meter, &trail));
        // Never the raw path: it may carry what only the caller may know.
        let span = tracing::info_span!(
            "edge",
            otel.kind = "server",
            otel.status_code = tracing::field::Empty,
            http.request.method = %request.method(),
            http.route = tracing::field::Empty,
            http.response.status_code = tracing::field::Empty,
            request.id = %request_id,
            tenant.id = tracing::field::Empty,
        );
        set_parent_from(
            &span,
            request
                .headers()
                .get("traceparent")
                .and_then(|value| value.to_str().ok()),
        );
        let open = open::Open::new(&self, protocol, &trail, &request_id, started);
        let serving = self.serve(request, peer, protocol, &request_id, &trail);
        // A panic is a bug, but one request's bug: the others go on.
        let served = AssertUnwindSafe(serving).catch_unwind().instrument(span.clone()).await;
        let mut response = served.unwrap_or_else(|_panic| {
            tracing::error!(%request_id, "a request panicked");
            let error = Error::internal("a request panicked");
            let _ = trail.reason.set(error.reason().as_str().to_owned());
            protocol.refuse(&error, &request_id)
        });
        open.answered();
        outcome(&span, &response, &trail);
        let closing = self.account(protocol, &response, &trail, &request_id, started.elapsed());
        finish(&mut response, &trail, &request_id);
        response.map(|body| counted::outward(body, &self.meter, &trail, closing))
    }

    async fn serve(
        self: &Arc<Self>,
        request: Request<Body>,
        peer: SocketAddr,
        protocol: Protocol,
        request_id: &RequestId,
        trail: &Arc<Trail>,
    ) -> Response<Body> {
        let refuse = |error: &Error| {
            let _ = trail.reason.set(error.reason().as_str().to_owned());
            crate::app::gate::log(error, request_id);
            protocol.refuse(error, request_id)
        };
        // A full house says so at once instead of queueing without bound.
        let Ok(_permit) = self.in_flight.try_acquire() else {
            let text = "The gateway has too much to do right now. Try again in a moment.";
            return refuse(&Error::new(Reason::Overloaded, text).retry_after(Duration::from_secs(1)));
        };
        if let Some(response) = system::without_host(self, &request, request_id, trail) {
            return response;
        }
        if protocol.is_grpc() && grpc::is_builtin(request.uri().path()) {
            return self.clone().grpc(request, None, protocol).await;
        }
        let (parts, body) = request.into_parts();
        let visitor = match arrival::visitor(self, &parts, peer, request_id, trail).await {
            Ok(visitor) => visitor,
            Err(error) if protocol.is_page(&parts, &self.table) => {
                return pages::of_nobody(trail, request_id, &error, &parts);
            }
            Err(error) => return refuse(&error),
        };
        let request = Request::from_parts(parts, body);
        match protocol {
            Protocol::Grpc | Protocol::GrpcWeb => self.clone().grpc(request, Some(visitor), protocol).await,
            Protocol::Http => self.clone().rest(request, visitor).await,
        }
    }

    fn request_id(&self, headers: &http::HeaderMap) -> RequestId {
        let given = headers::single(headers, REQUEST_ID_HEADER)
            .ok()
            .flatten()
            .and_then(RequestId::parse);
        given.unwrap_or_else(|| RequestId::from_uuid(self.ids.new_v7()))
    }

    /// The one canonical line, the request metrics, and the tenant's usage. What a gRPC call ended with stands behind its
    /// body, if there is one: the line and the metrics are then left to who sees it.
    fn account(
        self: &Arc<Self>,
        protocol: Protocol,
        response: &Response<Body>,
        trail: &Arc<Trail>,
        request_id: &RequestId,
        elapsed: Duration,
    ) -> Option<counted::Closing> {
        let head = response.headers().get(REASON_HEADER);
        let head = head.and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let Some(tenant) = trail.tenant.get() {
            let reason = trail.reason.get().or(head.as_ref()).map(String::as_str);
            self.meter
                .request(*tenant, counted::request(response, trail, reason, elapsed));
        }
        let (edge, known, request_id) = (self.clone(), trail.clone(), request_id.clone());
        let close = move |code: &str, reason: Option<&str>| {
            edge.close(protocol, code, reason, &known, &request_id, elapsed);
        };
        match tonic::Status::from_header_map(response.headers()) {
            Some(status) => close(&format!("{:?}", status.code()), head.as_deref()),
            None if protocol.is_grpc() && !response.body().is_end_stream() => {
                let trail = trail.clone();
                return Some(Box::new(move |code| {
                    close(&format!("{code:?}"), trail.end_reason.get().map(String::as_str));
                }));
            }
            None => close(response.status().as_str(), head.as_deref()),
        }
        None
    }

    /// What is written once about a request. `reason` is the service's; the gateway's own is on the trail.
    fn close(
        &self,
        protocol: Protocol,
        code: &str,
        reason: Option<&str>,
        trail: &Trail,
        request_id: &RequestId,
        elapsed: Duration,
    ) {
        let route = trail.route.get().map_or("unmatched", String::as_str);
        let reason = trail.reason.get().map(String::as_str).or(reason);
        let code = match (trail.given_up.get(), reason) {
            // Neither an answer nor a failure of ours: no alert asks for it.
            (Some(()), _) if protocol.is_grpc() => "CANCELLED",
            (Some(()), _) => "499",
            (None, Some(full)) if protocol.is_grpc() && full == Reason::Overloaded.as_str() => "UNAVAILABLE",
            _ => code,
        };
        self.metrics.record(route, code, elapsed.as_secs_f64());
        canonical_line(CanonicalLine {
            service: "gateway",
            method: route,
            code,
            reason,
            tenant: trail.tenant.get().copied(),
            principal: trail.principal.get().map_or("anonymous", String::as_str),
            request_id: request_id.as_str(),
            elapsed,
            tally: &Tally::default(),
        });
    }
}

/// What the span says about the answer.
fn outcome(span: &tracing::Span, response: &Response<Body>, trail: &Trail) {
    let route = trail.route.get().map_or("unmatched", String::as_str);
    tenantry_telemetry::rename(span, route);
    span.record("http.route", route);
    span.record("http.response.status_code", response.status().as_u16());
    let failed = tonic::Status::from_header_map(response.headers())
        .is_some_and(|status| matches!(status.code(), tonic::Code::Internal | tonic::Code::Unavailable));
    if response.status().is_server_error() || failed {
        span.record("otel.status_code", "ERROR");
    }
}

/// What every response carries.
fn finish(response: &mut Response<Body>, trail: &Trail, request_id: &RequestId) {
    let cookies: Vec<HeaderValue> = response.headers().get_all(header::SET_COOKIE).iter().cloned().collect();
    headers::outwards(response.headers_mut());
    // Services cannot set cookies; pages of ours can, and mark theirs by setting them after admission.
    for cookie in cookies
        .into_iter()
        .filter(|cookie| cookie.as_bytes().starts_with(pages::COOKIE.as_bytes()))
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    headers::secure(response.headers_mut());
    let mut put = |name: &'static str, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    put(REQUEST_ID_HEADER, request_id.as_str());
    if let Some(rate) = trail.rate.get() {
        put("ratelimit-policy", &rate.policy());
        put("ratelimit", &rate.limit());
    }
}
