//! A service's stream as NDJSON (one message a line) or as server-sent events, as the client asked.

use super::{frames::Answer, rest};
use crate::{
    app::visitor::Visitor,
    domain::{problem, table::Binding, transcode},
};
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::StreamBody;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tenantry_kernel::{Error, RequestId};
use tonic::{Status, body::Body};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Events,
}

/// The response of a server-streaming method. What fails before the first message is an ordinary problem.
#[must_use]
pub fn respond(binding: &Binding, visitor: &Visitor, headers: &HeaderMap, answer: Answer) -> Response<Body> {
    if let Some(status) = answer.failed_at_once() {
        return rest::failed(visitor, &status.clone());
    }
    let events = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|text| text.contains("text/event-stream"));
    let form = if events { Form::Events } else { Form::Lines };
    let pump = Pump {
        answer: Some(answer),
        kind: binding.method.descriptor.output(),
        response_body: binding.response_body.clone(),
        form,
        request_id: visitor.request_id.clone(),
    };
    let chunks = stream::unfold(pump, async |mut pump| {
        let chunk = pump.next().await?;
        Some((Ok::<_, Status>(Frame::data(chunk)), pump))
    });
    let mut response = Response::new(Body::new(StreamBody::new(Box::pin(chunks))));
    let media = if form == Form::Events {
        "text/event-stream"
    } else {
        "application/x-ndjson"
    };
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

struct Pump {
    /// `None` after the last line.
    answer: Option<Answer>,
    kind: MessageDescriptor,
    response_body: Option<String>,
    form: Form,
    request_id: RequestId,
}

impl Pump {
    async fn next(&mut self) -> Option<Bytes> {
        let next = self.answer.as_mut()?.next().await;
        match next.map(|message| message.map(|bytes| self.render(bytes))) {
            Ok(Some(Ok(text))) => Some(text.into()),
            Ok(None) => None,
            Ok(Some(Err(error))) => Some(self.last(&tenantry_server::status_of(&error, &self.request_id.clone()))),
            Err(status) => Some(self.last(&status)),
        }
    }

    fn render(&self, bytes: Bytes) -> Result<Vec<u8>, Error> {
        let message = DynamicMessage::decode(self.kind.clone(), bytes).map_err(Error::internal)?;
        let json = transcode::response(&message, self.response_body.as_deref())?;
        if self.form == Form::Lines {
            return Ok([json.as_slice(), b"\n"].concat());
        }
        // A browser that reconnects sends the last id back: the stream goes on behind it.
        let token = message
            .get_field_by_name("resume_token")
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default();
        let id = if token.is_empty() || token.contains(['\n', '\r', '\0']) {
            String::new()
        } else {
            format!("id: {token}\n")
        };
        Ok([id.as_bytes(), b"data: ", json.as_slice(), b"\n\n"].concat())
    }

    /// How a stream that fails in the middle says so: the status line is long gone.
    fn last(&mut self, status: &Status) -> Bytes {
        self.answer = None;
        let problem = problem::of_status(status, &self.request_id);
        let json = serde_json::to_string(&problem).unwrap_or_default();
        match self.form {
            Form::Lines => format!("{{\"error\":{json}}}\n").into(),
            Form::Events => format!("event: error\ndata: {json}\n\n").into(),
        }
    }
}
