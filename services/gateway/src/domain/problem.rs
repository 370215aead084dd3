//! Errors of REST: RFC 9457 `application/problem+json`, made from a gRPC status and its rich details. gRPC clients get
//! the status itself; both say the same reason, text and violations.

use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};
use tenantry_kernel::{Error, Reason, RequestId};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Media type.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Path of the field.
    pub field: String,
    /// What is wrong and what is accepted.
    pub description: String,
}

/// A problem as it is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// Link to the page about the reason.
    pub r#type: String,
    /// The same for every problem of this reason.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What to do.
    pub detail: String,
    /// This occurrence.
    pub instance: String,
    /// Stable, UPPER_SNAKE.
    pub reason: String,
    /// Correlates with logs.
    pub request_id: String,
    /// Wrong fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// Machine-readable details.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// When a retry makes sense.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

/// Makes the problem for a status.
#[must_use]
pub fn of_status(status: &Status, request_id: &RequestId) -> Problem {
    let details = status.get_error_details();
    let info = details.error_info();
    let text = info.map(|info| info.reason.clone()).filter(|reason| is_reason(reason));
    let reason = text.as_deref().and_then(Reason::parse);
    let text = text.unwrap_or_else(|| fallback(status.code()).as_str().to_owned());
    let bad = details
        .bad_request()
        .map(|bad| bad.field_violations.as_slice())
        .unwrap_or_default();
    Problem {
        r#type: format!("/errors/{text}"),
        title: title(&text),
        status: reason
            .and_then(Reason::http_override)
            .unwrap_or_else(|| http_status(status.code())),
        detail: if status.message().is_empty() {
            title(&text)
        } else {
            status.message().to_owned()
        },
        instance: format!("urn:tenantry:request:{request_id}"),
        reason: text,
        request_id: request_id.to_string(),
        violations: bad
            .iter()
            .map(|one| Violation {
                field: one.field.clone(),
                description: one.description.clone(),
            })
            .collect(),
        metadata: info
            .map(|info| info.metadata.clone().into_iter().collect())
            .unwrap_or_default(),
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
    }
}

/// Makes the problem for an error of the gateway itself.
#[must_use]
pub fn of_error(error: &Error, request_id: &RequestId) -> Problem {
    of_status(&tenantry_server::status_of(error, request_id), request_id)
}

/// gRPC code to HTTP status (AIP-193, google.rpc.Code).
#[must_use]
pub const fn http_status(code: Code) -> u16 {
    match code {
        Code::Ok => 200,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::ResourceExhausted => 429,
        Code::Cancelled => 499,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::DeadlineExceeded => 504,
        Code::Unknown | Code::Internal | Code::DataLoss => 500,
    }
}

const fn fallback(code: Code) -> Reason {
    match code {
        Code::InvalidArgument | Code::OutOfRange => Reason::InvalidArgument,
        Code::Unauthenticated => Reason::CredentialsInvalid,
        Code::PermissionDenied => Reason::PermissionDenied,
        Code::NotFound => Reason::NotFound,
        Code::AlreadyExists => Reason::AlreadyExists,
        Code::FailedPrecondition => Reason::FailedPrecondition,
        Code::Aborted => Reason::Conflict,
        Code::ResourceExhausted => Reason::QuotaExceeded,
        Code::Cancelled => Reason::Cancelled,
        Code::Unimplemented => Reason::Unimplemented,
        Code::Unavailable => Reason::Unavailable,
        Code::DeadlineExceeded => Reason::DeadlineExceeded,
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Reason::Internal,
    }
}

fn is_reason(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// `NOT_FOUND` as `Not found`.
#[must_use]
pub fn title(reason: &str) -> String {
    let mut text = reason.replace('_', " ").to_ascii_lowercase();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> RequestId {
        RequestId::parse("r-1").expect("an id")
    }

    #[test]
    fn every_reason_keeps_its_status_and_text() {
        for reason in Reason::ALL.iter().filter(|reason| **reason != Reason::TenantMismatch) {
            let problem = of_error(&Error::new(*reason, "Do this."), &id());
            assert_eq!(problem.reason, reason.as_str());
            assert_eq!(problem.detail, "Do this.");
            if let Some(status) = reason.http_override() {
                assert_eq!(problem.status, status, "{reason}");
            }
            assert!((400..600).contains(&problem.status), "{reason}");
        }
    }

    #[test]
    fn foreign_and_missing_are_one_body() {
        assert_eq!(
            of_error(&Error::new(Reason::TenantMismatch, "secret"), &id()),
            of_error(&Error::not_found(), &id())
        );
    }

    #[test]
    fn details_become_members() {
        let error = Error::invalid_field("page_size", "must not be negative")
            .meta("limit", "5")
            .retry_after(Duration::from_secs(3));
        let problem = of_error(&error, &id());
        assert_eq!(problem.retry_after, Some(Duration::from_secs(3)));
        insta::assert_json_snapshot!(problem, @r#"
        {
          "type": "/errors/INVALID_ARGUMENT",
          "title": "Invalid argument",
          "status": 400,
          "detail": "page_size: must not be negative",
          "instance": "urn:tenantry:request:r-1",
          "reason": "INVALID_ARGUMENT",
          "request_id": "r-1",
          "violations": [
            {
              "field": "page_size",
              "description": "must not be negative"
            }
          ],
          "metadata": {
            "limit": "5"
          }
        }
        "#);
    }

    #[test]
    fn a_bare_status_still_has_a_reason() {
        let problem = of_status(&Status::new(Code::NotFound, ""), &id());
        assert_eq!(
            (problem.status, problem.reason.as_str(), problem.detail.as_str()),
            (404, "NOT_FOUND", "Not found")
        );
    }
}
