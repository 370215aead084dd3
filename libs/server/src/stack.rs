//! The request stack: what happens to every request before a handler sees it. Read [`Stack::run`] from top to bottom.

use crate::{
    Authenticate, REASON_HEADER, REPLAYED_HEADER, REQUEST_ID_HEADER, Revocations, access, handler, status_of,
    unimplemented,
};
use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response};
use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tenantry_api::{Access, Policies, Policy};
use tenantry_kernel::{BoxFuture, Clock, Ctx, Error, Ids, Principal, Reason, RequestId, Resolve, Tally, TenantId};
use tenantry_telemetry::{CanonicalLine, RequestMetrics, canonical_line, current_traceparent, set_parent_from};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tracing::Instrument;

/// A call ends this long before its `grpc-timeout`, or a tenth of it.
const HEAD_START: Duration = Duration::from_millis(10);
/// Without `grpc-timeout` a unary call gets this long.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);
/// No unary call gets longer than this.
const MAX_DEADLINE: Duration = Duration::from_secs(60);
/// A service may send another one a stream for this long (the data of a tenant); the receiver bounds each step itself.
const SERVICE_STREAM: Duration = Duration::from_secs(6 * 3_600);
/// Unary requests in flight in one process; more are refused at once instead of queued without bound.
pub(crate) const IN_FLIGHT: usize = 2_048;

/// Everything the stack needs; made once.
pub(crate) struct Stack {
    pub(crate) service: &'static str,
    pub(crate) policies: Policies,
    pub(crate) authenticator: Arc<dyn Authenticate>,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) metrics: RequestMetrics,
    pub(crate) in_flight: Semaphore,
}

/// The authenticated caller, for the log.
struct Who {
    tenant: Option<TenantId>,
    principal: String,
}

impl Stack {
    pub(crate) const fn in_flight() -> Semaphore {
        Semaphore::const_new(IN_FLIGHT)
    }

    /// One request, station by station.
    async fn run<S>(self: Arc<Self>, mut inner: S, mut request: Request<Body>) -> Response<Body>
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let request_id = self.request_id(request.headers());
        // Health, reflection and unknown methods have no policy and touch no tenant.
        let Some(method) = self.policies.get(request.uri().path()).cloned() else {
            let response = call(&mut inner, request).await;
            return unoffered(&response).map_or(response, |error| refuse(&error, &request_id));
        };
        let started = Instant::now();
        let tally = Arc::new(Tally::default());
        // The span comes first so that every later station logs inside of it.
        let (service, name) = method.full_name.rsplit_once('/').unwrap_or(("", &method.full_name));
        let span = tracing::info_span!(
            "rpc",
            otel.name = %method.full_name,
            otel.kind = "server",
            otel.status_code = tracing::field::Empty,
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = name,
            rpc.grpc.status_code = tracing::field::Empty,
            request.id = %request_id,
            tenant.id = tracing::field::Empty,
        );
        set_parent_from(&span, header(request.headers(), "traceparent"));
        let who = OnceLock::new();
        let mut open = Open {
            stack: &self,
            method: &method,
            who: &who,
            request_id: &request_id,
            started,
            tally: &tally,
            answered: false,
        };
        let response = async {
            match self
                .admit(&method, request.headers(), &request_id, &tally, started, &who)
                .await
            {
                Err(error) => refuse(&error, &request_id),
                Ok(ctx) => {
                    let deadline = ctx.deadline();
                    request.extensions_mut().insert(ctx);
                    self.serve(&mut inner, request, deadline, &request_id).await
                }
            }
        };
        let mut response = response.instrument(span.clone()).await;
        open.answered = true;
        if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
            response.headers_mut().insert(REQUEST_ID_HEADER, value);
        }
        told_before(&mut response, &tally);
        outcome(&span, &response);
        let code = tonic::Status::from_header_map(response.headers()).map_or(tonic::Code::Ok, |status| status.code());
        open.account(&format!("{code:?}"), header(response.headers(), REASON_HEADER));
        response
    }

    /// Authenticate, then revocation, then tenant, then permission: each needs what the one before has proved.
    async fn admit(
        &self,
        method: &Policy,
        headers: &HeaderMap,
        request_id: &RequestId,
        tally: &Arc<Tally>,
        started: Instant,
        who: &OnceLock<Who>,
    ) -> Result<Ctx, Error> {
        let claims = self.authenticator.authenticate(headers).await?;
        let principal = claims.principal()?;
        // From here on a refusal names the caller in the log, too.
        let who = who.get_or_init(|| Who {
            tenant: claims.tid,
            principal: principal.name(),
        });
        if let Some(tenant) = who.tenant {
            tracing::Span::current().record("tenant.id", tracing::field::display(tenant));
        }
        self.revocations.check(&claims, &principal.kind)?;
        self.fresh(method, &principal)?;
        access::authorize(method, &claims, &principal)?;
        let mut ctx = Ctx::new(principal, request_id.clone())
            .with_tally(tally.clone())
            .with_named(claims.tid)
            .with_db(claims.db_context())
            .with_traceparent(current_traceparent().map(Into::into));
        if let (Some(tenant), false) = (claims.tid, method.access == Access::Service) {
            let route = self.resolver.by_id(tenant).await?;
            access::admit(&route)?;
            ctx = ctx.with_route(route);
        }
        Ok(ctx.with_deadline(deadline(method, headers, started)))
    }

    /// With revocations unknown for too long, reads go on and changes stop (fail closed where it matters).
    fn fresh(&self, method: &Policy, principal: &Principal) -> Result<(), Error> {
        let changes = !method.read_only && matches!(method.access, Access::Tenant | Access::Operator);
        if changes && principal.user().is_some() && self.revocations.is_stale(self.clock.now()) {
            let text =
                "Sign-in state is out of date at the moment, so changes are refused. Try again in a few seconds.";
            return Err(Error::new(Reason::RevocationStale, text).retry_after(Duration::from_secs(2)));
        }
        Ok(())
    }

    async fn serve<S>(
        &self,
        inner: &mut S,
        request: Request<Body>,
        deadline: Option<Instant>,
        request_id: &RequestId,
    ) -> Response<Body>
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            let text = "The service has too much to do right now. Try again in a moment.";
            return refuse(
                &Error::new(Reason::Overloaded, text).retry_after(Duration::from_secs(1)),
                request_id,
            );
        };
        // A panic is a bug, but one request's bug: the others go on.
        let serving = AssertUnwindSafe(call(inner, request)).catch_unwind();
        let served = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), serving).await,
            None => Ok(serving.await),
        };
        match served {
            Ok(Ok(response)) => unoffered(&response)
                .or_else(|| unreadable(&response))
                .map_or(response, |error| refuse(&error, request_id)),
            Ok(Err(_panic)) => {
                let error = Error::internal("a handler panicked");
                tracing::error!(%request_id, "a handler panicked");
                refuse(&error, request_id)
            }
            Err(_elapsed) => {
                let text = "The deadline passed before the request was done. Whether it took effect is unknown; repeat it with the same request_id.";
                refuse(&Error::new(Reason::DeadlineExceeded, text), request_id)
            }
        }
    }

    fn request_id(&self, headers: &HeaderMap) -> RequestId {
        let given = header(headers, REQUEST_ID_HEADER).and_then(RequestId::parse);
        given.unwrap_or_else(|| RequestId::from_uuid(self.ids.new_v7()))
    }
}

/// A request that is in work. Its caller may go away before it is answered, which drops it in the middle: then this is what
/// still counts it.
struct Open<'r> {
    stack: &'r Stack,
    method: &'r Policy,
    who: &'r OnceLock<Who>,
    request_id: &'r RequestId,
    started: Instant,
    tally: &'r Tally,
    answered: bool,
}

impl Open<'_> {
    /// The one canonical line and the request metrics. A stream is accounted for when it begins.
    fn account(&self, code: &str, reason: Option<&str>) {
        let (elapsed, who) = (self.started.elapsed(), self.who.get());
        self.stack
            .metrics
            .record(&self.method.full_name, code, elapsed.as_secs_f64());
        canonical_line(CanonicalLine {
            service: self.stack.service,
            method: &self.method.full_name,
            code,
            reason,
            tenant: who.and_then(|who| who.tenant),
            principal: who.map_or("anonymous", |who| who.principal.as_str()),
            request_id: self.request_id.as_str(),
            elapsed,
            tally: self.tally,
        });
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.account("Cancelled", Some(Reason::Cancelled.as_str()));
        }
    }
}

/// An earlier call's answer says so: whoever repeats a call learns that its effect is not new. A failure is never stored.
fn told_before(response: &mut Response<Body>, tally: &Tally) {
    if tally.replayed() && !response.headers().contains_key(REASON_HEADER) {
        let told = HeaderValue::from_static("true");
        response.headers_mut().insert(REPLAYED_HEADER, told);
    }
}

/// What a span says about its answer. Only the service's own failures are errors of the span.
fn outcome(span: &tracing::Span, response: &Response<Body>) {
    use tonic::Code;
    let code = tonic::Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
    span.record("rpc.grpc.status_code", i32::from(code));
    if matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    ) {
        span.record("otel.status_code", "ERROR");
    }
}

async fn call<S>(inner: &mut S, request: Request<Body>) -> Response<Body>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    // Routes are always ready: they are an in-process router.
    match inner.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The library answers a method that nobody implements with a bare UNIMPLEMENTED: the caller is newer than the service,
/// or has made the name up.
fn unoffered(response: &Response<Body>) -> Option<Error> {
    let headers = response.headers();
    // It refuses a compression with the same code, and then says which ones it takes.
    if headers.contains_key(REASON_HEADER) || headers.contains_key("grpc-accept-encoding") {
        return None;
    }
    let status = tonic::Status::from_header_map(headers)?;
    (status.code() == tonic::Code::Unimplemented).then(unimplemented)
}

/// The library answers a message that it cannot decode with INTERNAL and no details. No handler of ours fails without a
/// reason, so what has none is about the caller's bytes.
fn unreadable(response: &Response<Body>) -> Option<Error> {
    if response.headers().contains_key(REASON_HEADER) {
        return None;
    }
    let status = tonic::Status::from_header_map(response.headers())?;
    let what = status.message();
    match status.code() {
        tonic::Code::Internal | tonic::Code::Unimplemented => Some(Error::new(
            Reason::MalformedRequest,
            format!(
                "The request cannot be read: {what}. Send one message of the method's type, complete and uncompressed."
            ),
        )),
        tonic::Code::OutOfRange => Some(Error::new(
            Reason::RequestTooLarge,
            format!("The request is too large: {what}."),
        )),
        _ => None,
    }
}

fn refuse(error: &Error, request_id: &RequestId) -> Response<Body> {
    let ctx = Ctx::new(Principal::anonymous(), request_id.clone());
    handler::log(&ctx, error);
    if error.reason() == Reason::TenantMismatch {
        tracing::warn!(%request_id, "tenant mismatch refused");
    }
    status_of(error, request_id).into_http()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `grpc-timeout`, within bounds. Streams have none: they are cut at shutdown and re-checked per batch.
fn deadline(method: &Policy, headers: &HeaderMap, started: Instant) -> Option<Instant> {
    if method.server_streaming {
        return None;
    }
    // The library ends a call at its grpc-timeout, too, without a reason. Ours has to be there before.
    let asked = header(headers, "grpc-timeout")
        .and_then(grpc_timeout)
        .map(|asked| asked - HEAD_START.min(asked / 10));
    let (default, most) = match (method.client_streaming, method.access) {
        (true, Access::Service) => (SERVICE_STREAM, SERVICE_STREAM),
        (true, _) => (MAX_DEADLINE, MAX_DEADLINE),
        (false, _) => (DEFAULT_DEADLINE, MAX_DEADLINE),
    };
    Some(started + asked.unwrap_or(default).min(most))
}

/// At most eight digits and a unit (gRPC over HTTP/2 specification).
pub(crate) fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(n * 3600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

/// Puts the stack in front of a service's routes.
#[derive(Clone)]
pub(crate) struct StackLayer(pub(crate) Arc<Stack>);

impl<S> tower::Layer<S> for StackLayer {
    type Service = Stacked<S>;
    fn layer(&self, inner: S) -> Stacked<S> {
        Stacked {
            stack: self.0.clone(),
            inner,
        }
    }
}

/// See [`StackLayer`].
#[derive(Clone)]
pub(crate) struct Stacked<S> {
    stack: Arc<Stack>,
    inner: S,
}

impl<S> tower::Service<Request<Body>> for Stacked<S>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }
    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone that was polled ready is the one that is called.
        let next = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, next);
        let stack = self.stack.clone();
        Box::pin(async move { Ok(stack.run(ready, request).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_timeouts_are_ignored_rather_than_overflowing() {
        assert_eq!(grpc_timeout("5S"), Some(Duration::from_secs(5)));
        assert_eq!(grpc_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in ["", "S", "5", "5x", "999999999S", "-1S", "1é", " 1S"] {
            assert_eq!(grpc_timeout(bad), None, "{bad}");
        }
    }
}
