//! Bodies that count what passes through them for the tenant of their request, frame by frame, so that a stream of a day
//! is counted while it runs. Bytes that came before the tenant was known are counted with the next ones. What a response
//! ended with behind its head is counted when it ends, whichever way the client's protocol carries it.

use crate::app::visitor::Trail;
use bytes::{Buf, Bytes};
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tenantry_kernel::Reason;
use tenantry_metering::{Meter, Request};
use tonic::{Code, Status, body::Body};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// Writes the line and the metrics of a request whose head did not say how it ended.
pub type Closing = Box<dyn FnOnce(Code) + Send>;

struct Counted {
    inner: Body,
    way: Way,
    meter: Arc<Meter>,
    trail: Arc<Trail>,
    waiting: u64,
    /// The end is counted, here or with the head.
    ended: bool,
    closing: Option<Closing>,
}

/// Counts the body of a request.
#[must_use]
pub fn inward(body: Body, meter: &Arc<Meter>, trail: &Arc<Trail>) -> Body {
    wrap(body, Way::In, meter, trail, None)
}

/// Counts the body of a response; `closing` hears how it ended.
#[must_use]
pub fn outward(body: Body, meter: &Arc<Meter>, trail: &Arc<Trail>, closing: Option<Closing>) -> Body {
    wrap(body, Way::Out, meter, trail, closing)
}

fn wrap(inner: Body, way: Way, meter: &Arc<Meter>, trail: &Arc<Trail>, closing: Option<Closing>) -> Body {
    if inner.is_end_stream() && closing.is_none() {
        return inner;
    }
    Body::new(Counted {
        inner,
        way,
        meter: Arc::clone(meter),
        trail: Arc::clone(trail),
        waiting: 0,
        // What was read to its end already, for a REST answer, is in the answer's own status.
        ended: way == Way::In || (closing.is_none() && trail.end.get().is_some()),
        closing,
    })
}

impl Counted {
    fn count(&mut self, frame: &Frame<Bytes>) {
        self.waiting += frame.data_ref().map_or(0, |data| data.remaining() as u64);
        self.settle();
        let own = frame.trailers_ref().and_then(Status::from_header_map);
        if let Some(code) = self.trail.end.get().copied().or(own.map(|status| status.code())) {
            self.end(code);
        }
    }

    /// The head said nothing of the end.
    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let is_error = is_error(code) && self.trail.given_up.get().is_none();
        if let Some(tenant) = self.trail.tenant.get().filter(|_| is_error) {
            self.meter.error(*tenant);
        }
        if let Some(closing) = self.closing.take() {
            closing(code);
        }
    }

    fn settle(&mut self) {
        if let (Some(tenant), 1..) = (self.trail.tenant.get(), self.waiting) {
            match self.way {
                Way::In => self.meter.request_bytes(*tenant, self.waiting),
                Way::Out => self.meter.response_bytes(*tenant, self.waiting),
            }
            self.waiting = 0;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.settle();
        // Without a word of its end: read to it, as what the gateway answers itself, or given up by the client.
        let end = self.trail.end.get().copied();
        let read = self.inner.is_end_stream();
        self.end(end.unwrap_or(if read { Code::Ok } else { Code::Cancelled }));
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &polled {
            Some(Ok(frame)) => self.count(frame),
            Some(Err(status)) => self.end(status.code()),
            None => {
                let end = self.trail.end.get().copied();
                self.end(end.unwrap_or(Code::Ok));
            }
        }
        Poll::Ready(polled)
    }
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What one answered request counts as.
#[must_use]
pub fn request(response: &Response<Body>, trail: &Trail, reason: Option<&str>, elapsed: Duration) -> Request {
    let limits = [Reason::RateLimited, Reason::QuotaExceeded, Reason::SignInThrottled];
    let limited = reason.is_some_and(|reason| limits.iter().any(|limit| limit.as_str() == reason));
    let status = Status::from_header_map(response.headers());
    // A full house of ours is no fault of the caller, though gRPC has one code for both.
    let full = reason == Some(Reason::Overloaded.as_str());
    let failed = full || response.status().is_server_error() || status.is_some_and(|status| is_error(status.code()));
    Request {
        admitted: !limited && is_known(trail),
        error: failed && trail.given_up.get().is_none(),
        limited,
        elapsed,
    }
}

/// What a request counts as whose caller went away before it was answered.
#[must_use]
pub fn given_up(trail: &Trail, elapsed: Duration) -> Request {
    Request {
        admitted: is_known(trail),
        error: false,
        limited: false,
        elapsed,
    }
}

/// Its caller has proved who they are.
fn is_known(trail: &Trail) -> bool {
    trail.principal.get().is_some_and(|principal| principal != "anonymous")
}

/// Our fault, not the caller's.
fn is_error(code: Code) -> bool {
    matches!(
        code,
        Code::Internal | Code::Unknown | Code::Unavailable | Code::DataLoss | Code::DeadlineExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kernel::RequestId;

    fn answered(error: &tenantry_kernel::Error) -> Response<Body> {
        tenantry_server::status_of(error, &RequestId::parse("r").expect("an id")).into_http()
    }

    #[test]
    fn errors_are_ours_limits_are_limits_and_strangers_are_not_admitted() {
        let (stranger, member) = (Trail::default(), Trail::default());
        let _ = stranger.principal.set("anonymous".to_owned());
        let _ = member.principal.set("user:1".to_owned());
        let of = |response: &Response<Body>, trail: &Trail, reason: Option<&str>| {
            let counted = request(response, trail, reason, Duration::ZERO);
            (counted.admitted, counted.error, counted.limited)
        };
        let fine = Response::new(Body::empty());
        assert_eq!(of(&fine, &member, None), (true, false, false));
        assert_eq!(of(&fine, &stranger, None), (false, false, false));
        assert_eq!(of(&fine, &Trail::default(), None), (false, false, false));
        assert_eq!(of(&fine, &member, Some("QUOTA_EXCEEDED")), (false, false, true));
        assert_eq!(of(&fine, &member, Some("RATE_LIMITED")), (false, false, true));
        let missing = answered(&tenantry_kernel::Error::not_found());
        assert_eq!(of(&missing, &member, Some("NOT_FOUND")), (true, false, false));
        let broken = answered(&tenantry_kernel::Error::internal("x"));
        assert_eq!(of(&broken, &member, Some("INTERNAL")), (true, true, false));
        let full = answered(&tenantry_kernel::Error::new(Reason::Overloaded, "x"));
        assert_eq!(of(&full, &member, Some("OVERLOADED")), (true, true, false));
        let late = answered(&tenantry_kernel::Error::new(Reason::DeadlineExceeded, "x"));
        assert_eq!(of(&late, &member, Some("DEADLINE_EXCEEDED")), (true, true, false));
        let _ = member.given_up.set(());
        assert_eq!(of(&late, &member, Some("DEADLINE_EXCEEDED")), (true, false, false));
    }
}
