//! Bodies under watch: a client's frames on their way in (size and shape, before a service sees them), and a service's
//! answer on its way out (deadline, trailers, and what the request holds until it ends).

use super::{
    limits::Held,
    visitor::{Trail, Visitor},
};
use crate::{domain::headers, error};
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tenantry_kernel::{Error, Reason, RequestId};
use tokio::time::{Instant, Sleep};
use tonic::{Code, Status, body::Body};

/// Largest message of a client.
pub const MAX_MESSAGE: usize = 4 << 20;

/// What was wrong with the client's bytes, told from the body's wrapper to the one who waits for the answer.
#[derive(Clone, Debug, Default)]
pub struct Violation(Arc<Mutex<Option<Error>>>);

impl Violation {
    /// Reports.
    pub fn set(&self, error: Error) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }
    /// Takes the report.
    #[must_use]
    pub fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a method's frames must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Exactly one message; a client stream has any number.
    pub one: bool,
    /// The request said how its messages may be compressed.
    pub compressed: bool,
}

/// Checks gRPC frames without decoding them: each announces its length, none is larger than accepted, none is cut off.
pub struct FrameGuard {
    inner: Body,
    shape: Shape,
    seen: usize,
    header: Vec<u8>,
    rest: usize,
    violation: Violation,
}

impl FrameGuard {
    /// Wraps a client's body.
    #[must_use]
    pub fn new(inner: Body, shape: Shape, violation: Violation) -> Self {
        Self {
            inner,
            shape,
            seen: 0,
            header: Vec::with_capacity(5),
            rest: 0,
            violation,
        }
    }

    fn check(&mut self, data: &Bytes) -> Result<(), Error> {
        let mut data = data.clone();
        while data.has_remaining() {
            if self.rest > 0 {
                let n = self.rest.min(data.remaining());
                data.advance(n);
                self.rest -= n;
                continue;
            }
            self.header.push(data.get_u8());
            if let [flag, a, b, c, d] = self.header[..] {
                self.header.clear();
                self.rest = u32::from_be_bytes([a, b, c, d]) as usize;
                self.seen += 1;
                if flag > u8::from(self.shape.compressed) || (self.shape.one && self.seen > 1) {
                    return Err(malformed());
                }
                if self.rest > MAX_MESSAGE {
                    return Err(error::too_large(MAX_MESSAGE));
                }
            }
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.rest == 0 && self.header.is_empty() && (self.seen == 1 || !self.shape.one)
    }

    fn fail(&self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let text = error.public().to_owned();
        self.violation.set(error);
        Poll::Ready(Some(Err(Status::cancelled(text))))
    }
}

fn malformed() -> Error {
    Error::new(
        Reason::MalformedRequest,
        "The request is not a sequence of whole gRPC frames, as many as the method takes.",
    )
}

/// A status that came without details was made by a transport library, not by a service of ours: it gets a reason, so
/// that every refusal has one. What does not decode is the client's mistake, whatever code the library chose.
fn explain(headers: &mut HeaderMap, request_id: &RequestId) {
    let Some(status) = Status::from_header_map(headers) else {
        return;
    };
    if status.code() == Code::Ok || !status.details().is_empty() {
        return;
    }
    let undecoded = status.code() == Code::Internal && status.message().contains("failed to decode Protobuf message");
    let error = if undecoded {
        Error::new(
            Reason::MalformedRequest,
            "The request message does not decode. Check it against the proto.",
        )
    } else if status.code() == Code::Unimplemented {
        error::unimplemented()
    } else {
        tenantry_server::error_of(&status)
    };
    let explained = tenantry_server::status_of(&error, request_id);
    for name in ["grpc-status", "grpc-message"] {
        headers.remove(name);
    }
    if explained.add_header(headers).is_err() {
        headers.insert("grpc-status", HeaderValue::from_static("13"));
    }
}

impl HttpBody for FrameGuard {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match polled {
            Some(Ok(frame)) => match frame.data_ref().cloned() {
                Some(data) => match self.check(&data) {
                    Ok(()) => Poll::Ready(Some(Ok(frame))),
                    Err(error) => self.fail(error),
                },
                // A client has no trailers; what looks like some could carry reserved metadata.
                None => Poll::Ready(None),
            },
            None if self.is_whole() => Poll::Ready(None),
            // Cut off, or not what its content type says (base64 of gRPC-Web).
            None | Some(Err(_)) => self.fail(malformed()),
        }
    }
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream() && self.is_whole()
    }
}

/// A service's answer: ends with a status whatever happens, and lets go of the tenant's permit when it ends.
struct Answer {
    inner: Body,
    sleep: Option<Pin<Box<Sleep>>>,
    impatient: bool,
    held: Option<Held>,
    violation: Violation,
    request_id: RequestId,
    trail: Arc<Trail>,
    done: bool,
}

/// When an answer has to be whole.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    /// `None`: whenever.
    pub at: Option<Instant>,
    /// Its caller asked for less time than usual.
    pub impatient: bool,
}

/// Wraps a service's response for the client.
#[must_use]
pub fn answer(
    mut response: Response<Body>,
    until: Until,
    held: Held,
    violation: Violation,
    visitor: &Visitor,
) -> Response<Body> {
    let sleep = until.at.map(|at| Box::pin(tokio::time::sleep_until(at)));
    explain(response.headers_mut(), &visitor.request_id);
    response.map(|inner| {
        if inner.is_end_stream() {
            return inner;
        }
        Body::new(Answer {
            inner,
            sleep,
            impatient: until.impatient,
            held: Some(held),
            violation,
            request_id: visitor.request_id.clone(),
            trail: visitor.trail.clone(),
            done: false,
        })
    })
}

impl Answer {
    fn end(&mut self, error: &Error) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut trailers = HeaderMap::new();
        let status = tenantry_server::status_of(error, &self.request_id);
        if status.add_header(&mut trailers).is_err() {
            trailers.insert("grpc-status", HeaderValue::from_static("13"));
        }
        self.last(trailers)
    }
    /// For who counts: behind here the trailers may become the last frame of a gRPC-Web body, or an event.
    fn note(&self, trailers: &HeaderMap) {
        let reason = trailers.get(tenantry_server::REASON_HEADER);
        if let Some(reason) = reason.and_then(|value| value.to_str().ok()) {
            let _ = self.trail.end_reason.set(reason.to_owned());
        }
        let status = Status::from_header_map(trailers);
        let _ = self.trail.end.set(status.map_or(Code::Unknown, |status| status.code()));
    }
    fn last(&mut self, mut trailers: HeaderMap) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        explain(&mut trailers, &self.request_id);
        self.note(&trailers);
        headers::outwards(&mut trailers);
        if let Ok(value) = HeaderValue::from_str(self.request_id.as_str()) {
            trailers.insert(HeaderName::from_static(tenantry_server::REQUEST_ID_HEADER), value);
        }
        self.done = true;
        self.held = None;
        self.inner = Body::empty();
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.done {
            return Poll::Ready(None);
        }
        if let Some(sleep) = &mut self.sleep
            && sleep.as_mut().poll(cx).is_ready()
        {
            if self.impatient {
                let _ = self.trail.given_up.set(());
            }
            return self.end(&error::deadline_exceeded());
        }
        match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_trailers() {
                Ok(trailers) => self.last(trailers),
                Err(frame) => Poll::Ready(Some(Ok(frame))),
            },
            Some(Err(status)) => {
                let error = self.violation.take().unwrap_or_else(|| Error::unavailable(status));
                self.end(&error)
            }
            // A service always ends with a status: without one it died.
            None => {
                let error = self
                    .violation
                    .take()
                    .unwrap_or_else(|| Error::unavailable("the stream ended without a status"));
                self.end(&error)
            }
        }
    }
    fn is_end_stream(&self) -> bool {
        self.done
    }
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use proptest::prelude::*;

    fn frame(len: u32, flag: u8, actual: usize) -> Vec<u8> {
        let mut bytes = vec![flag];
        bytes.extend(len.to_be_bytes());
        bytes.extend(vec![0; actual]);
        bytes
    }

    const ONE: Shape = Shape {
        one: true,
        compressed: false,
    };
    const MANY: Shape = Shape {
        one: false,
        compressed: true,
    };

    fn run(bytes: &[u8], chunk: usize, shape: Shape) -> Option<Reason> {
        let chunks: Vec<Result<Frame<Bytes>, Status>> = bytes
            .chunks(chunk)
            .map(|part| Ok(Frame::data(Bytes::copy_from_slice(part))))
            .collect();
        let inner = Body::new(http_body_util::StreamBody::new(futures::stream::iter(chunks)));
        let violation = Violation::default();
        let collected = futures::executor::block_on(FrameGuard::new(inner, shape, violation.clone()).collect());
        let error = violation.take();
        assert_eq!(collected.is_err(), error.is_some());
        error.map(|error| error.reason())
    }

    #[test]
    fn whole_frames_pass_and_others_are_named() {
        for chunk in [1, 3, 5, 1000] {
            assert_eq!(run(&frame(7, 0, 7), chunk, ONE), None);
            assert_eq!(run(&[frame(0, 0, 0), frame(3, 1, 3)].concat(), chunk, MANY), None);
            assert_eq!(run(&[], chunk, MANY), None);
            for (bytes, what) in [
                (frame(7, 0, 6), "cut off"),
                (vec![0, 0, 0], "half a header"),
                (frame(7, 9, 7), "no such flag"),
                (frame(7, 1, 7), "compressed without saying how"),
                (vec![], "no message"),
                ([frame(1, 0, 1), frame(1, 0, 1)].concat(), "two messages"),
            ] {
                assert_eq!(run(&bytes, chunk, ONE), Some(Reason::MalformedRequest), "{what}");
            }
            assert_eq!(run(&frame(u32::MAX, 0, 10), chunk, ONE), Some(Reason::RequestTooLarge));
            assert_eq!(
                run(&frame(u32::try_from(MAX_MESSAGE).expect("fits") + 1, 0, 0), chunk, ONE),
                Some(Reason::RequestTooLarge)
            );
        }
    }

    #[test]
    fn a_status_without_details_gets_a_reason() {
        let id = RequestId::parse("r").expect("an id");
        let explained = |status: Status| {
            let mut headers = HeaderMap::new();
            status.add_header(&mut headers).expect("headers");
            explain(&mut headers, &id);
            let status = Status::from_header_map(&headers).expect("a status");
            (
                status.code(),
                tonic_types::StatusExt::get_error_details(&status)
                    .error_info()
                    .map(|info| info.reason.clone())
                    .unwrap_or_default(),
            )
        };
        let undecoded = Status::internal("failed to decode Protobuf message: invalid wire type");
        assert_eq!(
            explained(undecoded),
            (Code::InvalidArgument, "MALFORMED_REQUEST".to_owned())
        );
        assert_eq!(
            explained(Status::unimplemented("no such encoding")),
            (Code::Unimplemented, "UNIMPLEMENTED".to_owned())
        );
        assert_eq!(
            explained(tenantry_server::status_of(&Error::etag_mismatch(), &id)),
            (Code::Aborted, "ETAG_MISMATCH".to_owned())
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), chunk in 1_usize..20) {
            let _ = (run(&bytes, chunk, ONE), run(&bytes, chunk, MANY));
        }
    }
}
