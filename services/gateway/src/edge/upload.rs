//! A raw file as a client stream: the body of `POST /v1/imports:upload` goes to the service chunk by chunk, never whole
//! in memory.

use super::frames;
use crate::{app::guard::Violation, domain::text, error};
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::{HeaderMap, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tenantry_api::business::UploadImportRequest;
use tenantry_kernel::{Error, Reason, Result};
use tonic::{Status, body::Body};

/// Largest file.
pub const MAX_FILE: usize = 100 << 20;
/// Largest chunk that the service takes.
const CHUNK: usize = 1 << 20;
/// Chunks are gathered to at least this much: a frame for each network packet would be waste.
const GATHER: usize = 256 << 10;

/// The `filename` of the query, the only parameter.
///
/// # Errors
/// For any other parameter, or a name that is no plain file name.
pub fn filename(query: &str) -> Result<String> {
    let pairs = text::pairs(query)
        .ok_or_else(|| Error::new(Reason::MalformedRequest, "The query is not percent-encoded UTF-8."))?;
    let mut name = None;
    for (key, value) in pairs {
        if key != "filename" {
            return Err(crate::domain::json::unknown(&key));
        }
        if name.replace(value).is_some() {
            return Err(Error::invalid_field("filename", "is given twice"));
        }
    }
    let name = name.unwrap_or_else(|| "upload.csv".to_owned());
    let plain = (1..=255).contains(&name.len()) && !name.contains(['/', '\\']) && !name.chars().any(char::is_control);
    if plain {
        Ok(name)
    } else {
        Err(Error::invalid_field(
            "filename",
            "must be a file name of at most 255 bytes without slashes",
        ))
    }
}

struct Upload {
    body: Option<Body>,
    filename: Option<String>,
    buffer: BytesMut,
    total: usize,
    violation: Violation,
}

/// The frames of the upload.
///
/// # Errors
/// `REQUEST_TOO_LARGE` where the announced length is too large.
pub fn body(body: Body, headers: &HeaderMap, filename: String, violation: Violation) -> Result<Body> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if announced.unwrap_or_default() > MAX_FILE {
        return Err(error::too_large(MAX_FILE));
    }
    let upload = Upload {
        body: Some(body),
        filename: Some(filename),
        buffer: BytesMut::new(),
        total: 0,
        violation,
    };
    let frames = stream::unfold(upload, async |mut upload| {
        let next = upload.next().await?;
        Some((next.map(Frame::data), upload))
    });
    Ok(Body::new(StreamBody::new(Box::pin(frames))))
}

impl Upload {
    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        while self.buffer.len() < GATHER {
            let Some(body) = &mut self.body else { break };
            match body.frame().await {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.total += data.len();
                    if self.total > MAX_FILE {
                        return Some(Err(self.fail(error::too_large(MAX_FILE))));
                    }
                    self.buffer.extend_from_slice(&data);
                }
                Some(Err(_)) => {
                    return Some(Err(
                        self.fail(Error::new(Reason::MalformedRequest, "The request body broke off."))
                    ));
                }
                None => self.body = None,
            }
        }
        let chunk = self.buffer.split_to(self.buffer.len().min(CHUNK)).freeze();
        // The first message carries the name, even of an empty file.
        if chunk.is_empty() && self.filename.is_none() {
            return None;
        }
        let filename = self.filename.take().unwrap_or_default();
        Some(Ok(frames::frame(&UploadImportRequest {
            filename,
            chunk: chunk.into(),
        })))
    }

    fn fail(&mut self, error: Error) -> Status {
        let text = error.public().to_owned();
        self.violation.set(error);
        self.body = None;
        Status::cancelled(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[test]
    fn a_file_name_is_a_name() {
        assert_eq!(filename("filename=a%20b.csv").expect("a name"), "a b.csv");
        assert_eq!(filename("").expect("a default"), "upload.csv");
        for bad in [
            "filename=..%2Fx",
            "filename=",
            "filename=a&filename=b",
            "name=a",
            "filename=%00",
            "filename=%ff",
        ] {
            assert!(filename(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_file_becomes_small_frames_and_one_too_large_is_reported() {
        let run = async |n: usize| {
            let violation = Violation::default();
            let file = Body::new(Full::new(Bytes::from(vec![b'x'; n])));
            let body = body(file, &HeaderMap::new(), "f".into(), violation.clone()).expect("a body");
            let size = body.collect().await.map(|body| body.to_bytes().len());
            (size.ok(), violation.take().map(|error| error.reason()))
        };
        let (size, none) = run(3 << 20).await;
        assert!(size.is_some_and(|size| size > 3 << 20 && size < (3 << 20) + 100) && none.is_none());
        assert_eq!(run(0).await, (Some(5 + 3), None));
        assert_eq!(run(MAX_FILE + 1).await, (None, Some(Reason::RequestTooLarge)));
    }
}
