//! Responses in the forms that fronts share.

use crate::domain::problem::{self, Problem};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tenantry_kernel::{Error, RequestId};
use tonic::{Status, body::Body};

/// A body with its type.
#[must_use]
pub fn content(status: StatusCode, media: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(body.into())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// JSON.
#[must_use]
pub fn json(body: impl Into<Bytes>) -> Response<Body> {
    content(StatusCode::OK, "application/json", body)
}

/// A problem.
#[must_use]
pub fn problem(problem: &Problem) -> Response<Body> {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = content(status, problem::MEDIA_TYPE, body);
    if let Some(wait) = problem.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        if let Ok(value) = HeaderValue::from_str(&seconds.max(1).to_string()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
    }
    if status == StatusCode::UNAUTHORIZED {
        let realm = HeaderValue::from_static("Bearer realm=\"tenantry\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    }
    response
}

/// A problem from an error of the gateway.
#[must_use]
pub fn error(error: &Error, request_id: &RequestId) -> Response<Body> {
    problem(&problem::of_error(error, request_id))
}

/// A problem from a service's status.
#[must_use]
pub fn status(status: &Status, request_id: &RequestId) -> Response<Body> {
    problem(&problem::of_status(status, request_id))
}

/// "See other", after a form.
#[must_use]
pub fn see_other(location: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let value = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, value);
    response
}
