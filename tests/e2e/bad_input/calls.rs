//! One gRPC call made by hand, so that its bytes can be wrong.

use bytes::Bytes;
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::TokioExecutor,
};
use std::{net::SocketAddr, time::Duration};

/// How it ended.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    /// HTTP status; 0 where the connection broke.
    pub(crate) http: u16,
    /// `grpc-status`, from trailers or headers.
    pub(crate) code: Option<i32>,
    /// Has a request id.
    pub(crate) request_id: bool,
    /// The details name a reason.
    pub(crate) reason: bool,
    /// Everything, for the report.
    pub(crate) seen: String,
}

/// Sends a body to a gRPC path at an address with an authority and headers.
pub(crate) async fn send(
    at: SocketAddr,
    authority: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Ending {
    // Whatever the name, this address is dialled: the authority says which tenant is meant.
    let resolver = tower::service_fn(move |_name: Name| async move { Ok::<_, std::io::Error>(std::iter::once(at)) });
    let connector = HttpConnector::new_with_resolver(resolver);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build(connector);
    let uri: Uri = format!("http://{authority}{path}").parse().expect("a URI");
    let mut request = Request::post(uri)
        .header("te", "trailers")
        .header("x-forwarded-for", "203.0.113.9");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).expect("a request");
    let answer = match tokio::time::timeout(Duration::from_secs(20), client.request(request)).await {
        Err(_) => return broken("no answer in 20 s"),
        Ok(Err(error)) => return broken(&format!("{error:?}")),
        Ok(Ok(answer)) => answer,
    };
    let (http, head) = (answer.status().as_u16(), answer.headers().clone());
    let rest = tokio::time::timeout(Duration::from_secs(20), answer.into_body().collect()).await;
    let trailers = match rest {
        Ok(Ok(rest)) => rest.trailers().cloned().unwrap_or_default(),
        Ok(Err(error)) => return broken(&format!("{http} {error:?}")),
        Err(_) => return broken("no end in 20 s"),
    };
    ending(http, &head, &trailers)
}

fn ending(http: u16, head: &HeaderMap, trailers: &HeaderMap) -> Ending {
    let find = |name: &str| {
        trailers
            .get(name)
            .or_else(|| head.get(name))
            .and_then(|value| value.to_str().ok())
    };
    Ending {
        http,
        code: find("grpc-status").and_then(|text| text.parse().ok()),
        request_id: find("x-request-id").is_some(),
        reason: find("grpc-status-details-bin").is_some(),
        seen: format!("{http} {head:?} {trailers:?}"),
    }
}

fn broken(seen: &str) -> Ending {
    Ending {
        http: 0,
        code: None,
        request_id: false,
        reason: false,
        seen: seen.to_owned(),
    }
}
