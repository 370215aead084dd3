//! gRPC frames for fronts that speak something else: one message in, messages and a status out.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use tonic::{Code, Status, body::Body};

/// Largest message of a service that is turned into JSON.
const MAX_ANSWER: usize = 32 << 20;

/// One message as a whole request body.
#[must_use]
pub fn one(message: &impl prost::Message) -> Body {
    Body::new(http_body_util::Full::new(frame(message)))
}

/// One message with its frame header.
#[must_use]
pub fn frame(message: &impl prost::Message) -> Bytes {
    let length = message.encoded_len();
    let mut out = BytesMut::with_capacity(5 + length);
    out.put_u8(0);
    // Bodies are bounded far below 4 GiB.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut out);
    out.freeze()
}

/// Reads a service's response.
pub struct Answer {
    body: Body,
    buffer: BytesMut,
    status: Option<Status>,
    headers: HeaderMap,
}

impl Answer {
    /// Takes a response apart.
    #[must_use]
    pub fn new(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let status = Status::from_header_map(&parts.headers);
        Self {
            body,
            buffer: BytesMut::new(),
            status,
            headers: parts.headers,
        }
    }

    /// The response's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The failure, if the service answered with nothing else.
    #[must_use]
    pub fn failed_at_once(&self) -> Option<&Status> {
        self.status.as_ref().filter(|status| status.code() != Code::Ok)
    }

    /// The next message; `None` at a good end.
    ///
    /// # Errors
    /// The status the response ended with.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.cut()? {
                return Ok(Some(message));
            }
            if let Some(status) = &self.status {
                return if status.code() == Code::Ok {
                    Ok(None)
                } else {
                    Err(status.clone())
                };
            }
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        self.status =
                            Some(Status::from_header_map(&trailers).unwrap_or_else(|| Status::unknown("no status")));
                    }
                },
                Some(Err(status)) => self.status = Some(status),
                None => {
                    self.status = Some(Status::unavailable(
                        "The service ended without a status. Try again in a moment.",
                    ));
                }
            }
        }
    }

    fn cut(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(&[flag, a, b, c, d]) = self.buffer.get(..5) else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if flag != 0 || length > MAX_ANSWER {
            return Err(Status::internal("the answer is compressed or too large"));
        }
        if self.buffer.len() < 5 + length {
            return Ok(None);
        }
        self.buffer.advance(5);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    /// The only message of a unary response.
    ///
    /// # Errors
    /// The status the response ended with.
    pub async fn unary(&mut self) -> Result<Bytes, Status> {
        let message = self
            .next()
            .await?
            .ok_or_else(|| Status::internal("a unary answer without a message"))?;
        match self.next().await? {
            None => Ok(message),
            Some(_) => Err(Status::internal("a unary answer with two messages")),
        }
    }
}
