//! gRPC and gRPC-Web: frames go through as they are, in both directions. Health and reflection are answered here.

use super::{Edge, arrival::Protocol};
use crate::{
    app::{
        gate::refuse,
        guard::{FrameGuard, Shape, Violation},
        visitor::Visitor,
    },
    error,
};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use std::{collections::BTreeSet, convert::Infallible, sync::Arc};
use tenantry_api::{Access, DESCRIPTORS, Methods};
use tenantry_kernel::Error;
use tonic::{body::Body, service::Routes};
use tower::{Layer, Service};

/// Whether the gateway answers this path itself.
#[must_use]
pub fn is_builtin(path: &str) -> bool {
    [
        "/grpc.health.v1.Health/",
        "/grpc.reflection.v1.ServerReflection/",
        "/grpc.reflection.v1alpha.ServerReflection/",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix))
}

/// Health and reflection of what clients may call; `own` are descriptor sets beside the built-in one.
///
/// # Errors
/// INTERNAL for descriptors that do not decode; a test builds it.
pub async fn builtin(methods: &Methods, own: &[Vec<u8>]) -> Result<Routes, Error> {
    let public: BTreeSet<String> = methods
        .iter()
        .filter(|method| method.access != Access::Service)
        .map(|method| method.descriptor.parent_service().full_name().to_owned())
        .collect();
    let (reporter, health) = tonic_health::server::health_reporter();
    let mut builder = tonic_reflection::server::Builder::configure();
    let mut alpha = tonic_reflection::server::Builder::configure();
    for encoded in [DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET]
        .into_iter()
        .chain(own.iter().map(Vec::as_slice))
    {
        (builder, alpha) = (
            builder.register_encoded_file_descriptor_set(encoded),
            alpha.register_encoded_file_descriptor_set(encoded),
        );
    }
    for name in &public {
        reporter
            .set_service_status(name, tonic_health::ServingStatus::Serving)
            .await;
        (builder, alpha) = (builder.with_service_name(name), alpha.with_service_name(name));
    }
    const HEALTH: &str = "grpc.health.v1.Health";
    (builder, alpha) = (builder.with_service_name(HEALTH), alpha.with_service_name(HEALTH));
    let (v1, alpha) = (
        builder.build_v1().map_err(Error::internal)?,
        alpha.build_v1alpha().map_err(Error::internal)?,
    );
    Ok(Routes::default()
        .add_service(health)
        .add_service(v1)
        .add_service(alpha)
        .prepare())
}

impl Edge {
    /// One call. `visitor` is `None` for what the gateway answers itself.
    pub async fn grpc(
        self: Arc<Self>,
        request: Request<Body>,
        visitor: Option<Visitor>,
        protocol: Protocol,
    ) -> Response<Body> {
        if request.method() != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED);
        }
        if !is_proto(request.headers().get(header::CONTENT_TYPE)) {
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        let edge = self.clone();
        let inner = tower::service_fn(move |request: Request<Body>| {
            let (edge, visitor) = (edge.clone(), visitor.clone());
            async move { Ok::<_, Infallible>(edge.call(request, visitor).await) }
        });
        let answered = match protocol {
            // Only here: the layer refuses everything that is not gRPC-Web.
            Protocol::GrpcWeb => tonic_web::GrpcWebLayer::new().layer(inner).call(request).await,
            _ => { inner }.call(request).await,
        };
        match answered {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn call(&self, request: Request<Body>, visitor: Option<Visitor>) -> Response<Body> {
        let Some(visitor) = visitor else {
            return match self.builtin.clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
        };
        let Some(method) = self.methods.get(request.uri().path()) else {
            return refuse(&visitor, &error::unimplemented());
        };
        let _ = visitor.trail.route.set(method.full_name.clone());
        match self.gate.admit(&visitor, None, method).await {
            Ok(pass) => {
                let violation = Violation::default();
                let encoding = request
                    .headers()
                    .get("grpc-encoding")
                    .is_some_and(|value| value != "identity");
                let shape = Shape {
                    one: !method.client_streaming,
                    compressed: encoding,
                };
                let body = Body::new(FrameGuard::new(request.into_body(), shape, violation.clone()));
                self.gate.forward(&visitor, pass, body, violation).await
            }
            Err(error) => refuse(&visitor, &error),
        }
    }
}

/// `application/grpc`, `application/grpc+proto` and the same for the web; other encodings are not spoken.
fn is_proto(media: Option<&HeaderValue>) -> bool {
    let text = media.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = text.split(';').next().unwrap_or_default().trim();
    matches!(
        text,
        "application/grpc"
            | "application/grpc+proto"
            | "application/grpc-web"
            | "application/grpc-web+proto"
            | "application/grpc-web-text"
            | "application/grpc-web-text+proto"
    )
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A refusal for a browser's gRPC client: the status is in the headers, the content type is the web's.
#[must_use]
pub fn web(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc-web+proto"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_protobuf_is_spoken() {
        for (text, yes) in [
            ("application/grpc", true),
            ("application/grpc+proto; x=y", true),
            ("application/grpc-web-text", true),
            ("application/grpc+json", false),
            ("application/grpcx", false),
            ("application/json", false),
        ] {
            assert_eq!(is_proto(Some(&HeaderValue::from_static(text))), yes, "{text}");
        }
    }
}
