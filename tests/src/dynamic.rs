//! Calls any method by its descriptor with a JSON request, over gRPC or REST, and says how it went.

use crate::{HttpRule, RawCodec, Rest, channel_for};
use bytes::Bytes;
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, SerializeOptions};
use serde_json::Value;
use tenantry_testkit::World;
use tonic::{Request, Status, metadata::MetadataMap};
use tonic_types::StatusExt;

/// How a call went, the same for both protocols.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// gRPC code name (`Ok`, `NotFound`); for REST derived from the status.
    pub code: String,
    /// Stable reason, empty on success.
    pub reason: String,
    /// The text of the error.
    pub message: String,
    /// The response, or for a stream its first message.
    pub response: Value,
}

impl Outcome {
    /// It worked.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.code == "Ok"
    }
    /// `Code/REASON`, for tables.
    #[must_use]
    pub fn verdict(&self) -> String {
        if self.is_ok() {
            "Ok".to_owned()
        } else {
            format!("{}/{}", self.code, self.reason)
        }
    }
}

/// One caller: a host, a credential and perhaps forged headers.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// `acme.localhost:8080`
    pub host: String,
    /// Bearer token.
    pub token: Option<String>,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
}

impl Call {
    /// A caller on a host.
    #[must_use]
    pub fn new(host: &str, token: Option<&str>) -> Self {
        Self {
            host: host.to_owned(),
            token: token.map(str::to_owned),
            headers: Vec::new(),
        }
    }

    /// Over gRPC.
    ///
    /// # Panics
    /// Where `request` does not fit the method: a bug of the test.
    pub async fn grpc(&self, world: &World, method: &MethodDescriptor, request: &Value) -> Outcome {
        let message = DynamicMessage::deserialize(method.input(), request)
            .unwrap_or_else(|error| panic!("{}: {error}: {request}", method.full_name()));
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let mut grpc = tonic::client::Grpc::new(channel_for(world, &self.host)).max_decoding_message_size(16 << 20);
        if let Err(error) = grpc.ready().await {
            panic!("the gateway is away: {error}");
        }
        let path = path.parse().expect("a path");
        let body = Bytes::from(message.encode_to_vec());
        let answer = match (method.is_client_streaming(), method.is_server_streaming()) {
            (false, false) => grpc
                .unary(self.request(body), path, RawCodec)
                .await
                .map(tonic::Response::into_inner),
            (true, false) => {
                let stream = self.request(tokio_stream::iter([body]));
                grpc.client_streaming(stream, path, RawCodec)
                    .await
                    .map(tonic::Response::into_inner)
            }
            (_, true) => match grpc.server_streaming(self.request(body), path, RawCodec).await {
                Ok(stream) => stream.into_inner().message().await.map(Option::unwrap_or_default),
                Err(status) => Err(status),
            },
        };
        match answer {
            Ok(bytes) => Outcome {
                code: "Ok".into(),
                reason: String::new(),
                message: String::new(),
                response: decode(method, bytes),
            },
            Err(status) => refused(&status),
        }
    }

    /// Over REST, by the method's `google.api.http` rule.
    ///
    /// # Panics
    /// As [`Call::grpc`].
    pub async fn rest(&self, world: &World, rule: &HttpRule, request: &Value) -> Outcome {
        let (path, body) = rule.render(request);
        let mut client = Rest::new(world, &self.host);
        if let Some(token) = &self.token {
            client = client.bearer(token);
        }
        for (name, value) in &self.headers {
            client = client.header(name, value);
        }
        let answer = client.send(&rule.method, &path, body.as_ref()).await;
        let json = answer.json();
        let code = if answer.status < 300 {
            "Ok".to_owned()
        } else {
            code_of(answer.status).to_owned()
        };
        Outcome {
            code,
            reason: answer.reason(),
            message: json["detail"].as_str().unwrap_or_default().to_owned(),
            response: json,
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request
                .metadata_mut()
                .insert("authorization", format!("Bearer {token}").parse().expect("a token"));
        }
        let metadata: &mut MetadataMap = request.metadata_mut();
        for (name, value) in &self.headers {
            metadata.insert(*name, value.parse().expect("a header value"));
        }
        request
    }
}

fn decode(method: &MethodDescriptor, bytes: Bytes) -> Value {
    let message = DynamicMessage::decode(method.output(), bytes).expect("the response decodes");
    let options = SerializeOptions::new().skip_default_fields(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("the response is JSON")
}

fn refused(status: &Status) -> Outcome {
    let reason = status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default();
    Outcome {
        code: format!("{:?}", status.code()),
        reason,
        message: status.message().to_owned(),
        response: Value::Null,
    }
}

fn code_of(status: u16) -> &'static str {
    match status {
        400 | 415 => "InvalidArgument",
        401 => "Unauthenticated",
        403 => "PermissionDenied",
        404 => "NotFound",
        409 => "Conflict",
        412 => "Aborted",
        429 => "ResourceExhausted",
        501 | 405 => "Unimplemented",
        503 => "Unavailable",
        504 => "DeadlineExceeded",
        _ => "Other",
    }
}
