//! A lingering close for HTTP/1.1: a client that is refused in the middle of its body must be able to read why. Closing
//! a socket with unread bytes resets it, and the answer is lost with it; so what is left of the body is read and thrown
//! away for a while.

use bytes::Bytes;
use http::{Request, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tonic::{Status, body::Body};

/// At most this much is thrown away.
const MOST: usize = 64 << 20;
/// A client that is silent for so long is not sending.
const SILENCE: Duration = Duration::from_secs(1);

struct Linger(Option<Body>);

/// Wraps the body of a request. HTTP/2 streams end one by one, and a client that asks first (`Expect`) has sent nothing.
#[must_use]
pub fn wrap(request: Request<Body>) -> Request<Body> {
    if request.version() >= Version::HTTP_2
        || request.headers().contains_key(header::EXPECT)
        || request.body().is_end_stream()
    {
        return request;
    }
    request.map(|body| Body::new(Linger(Some(body))))
}

impl HttpBody for Linger {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let polled = std::task::ready!(Pin::new(body).poll_frame(cx));
        if !matches!(polled, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(polled)
    }
    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }
    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Linger {
    fn drop(&mut self) {
        let unread = self.0.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (unread, tokio::runtime::Handle::try_current()) {
            runtime.spawn(discard(body));
        }
    }
}

async fn discard(mut body: Body) {
    let mut seen = 0;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(SILENCE, body.frame()).await {
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > MOST {
            return;
        }
    }
}
