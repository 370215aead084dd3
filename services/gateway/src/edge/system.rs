//! What machines ask for without a tenant's data: health, the OpenAPI document, what a reason means, public keys.

use super::{Edge, pages, respond, rest};
use crate::{
    app::visitor::{Place, Trail, Visitor},
    domain::{
        catalogue, problem,
        table::{Fixed, Found, Kind, Target},
        template::Path,
    },
    error,
};
use http::{HeaderValue, Request, Response, StatusCode, header};
use tenantry_api::auth::{GetJwksRequest, GetJwksResponse};
use tenantry_kernel::{Error, Reason, RequestId};
use tonic::body::Body;

/// Answers what does not depend on the host; `None` for everything else.
#[must_use]
pub fn without_host(
    edge: &Edge,
    request: &Request<Body>,
    request_id: &RequestId,
    trail: &Trail,
) -> Option<Response<Body>> {
    let path = Path::parse(request.uri().path())?;
    let Found::Route(route, bindings) = edge.table.find(request.method(), &path) else {
        return None;
    };
    let Target::Fixed(fixed) = &route.target else {
        return None;
    };
    if route.kind != Kind::System || *fixed == Fixed::Jwks {
        return None;
    }
    let _ = trail.route.set(format!("{} {}", route.http, route.template.text()));
    Some(match fixed {
        Fixed::Health => respond::content(StatusCode::OK, "text/plain; charset=utf-8", "ok\n"),
        Fixed::OpenApi => public(respond::json(edge.open_api.clone())),
        Fixed::ConsoleStyle => pages::assets::style(request.uri().query().unwrap_or_default()),
        Fixed::ConsoleScript => pages::assets::script(request.uri().query().unwrap_or_default()),
        _ => {
            let text = bindings.first().map(|(_, value)| value.as_str()).unwrap_or_default();
            reason(text, request_id)
        }
    })
}

fn reason(text: &str, request_id: &RequestId) -> Response<Body> {
    match Reason::parse(text).filter(|reason| *reason != Reason::TenantMismatch) {
        Some(reason) => {
            let status = problem::of_error(&Error::new(reason, ""), request_id).status;
            public(pages::reason(reason, catalogue::entry(reason), status))
        }
        None => pages::unknown(request_id),
    }
}

/// RFC 7517 for the tenant of the host.
pub async fn jwks(edge: &Edge, visitor: &Visitor) -> Response<Body> {
    let Place::Tenant(_) = visitor.place else {
        return rest::refuse(visitor, &error::tenant_missing());
    };
    let answer: Result<GetJwksResponse, _> = edge
        .ask(visitor, "/tenantry.auth.v1.LoginService/GetJwks", &GetJwksRequest {})
        .await;
    match answer {
        Ok(answer) => {
            let keys: Vec<serde_json::Value> = answer
                .keys
                .into_iter()
                .map(|key| serde_json::json!({"kty": key.kty, "crv": key.crv, "x": key.x, "y": key.y, "kid": key.kid, "use": key.r#use, "alg": key.alg}))
                .collect();
            let mut response = respond::json(serde_json::json!({ "keys": keys }).to_string());
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
            response
        }
        Err(status) => rest::failed(visitor, &status),
    }
}

fn public(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
