//! `kernel::Error` <-> `tonic::Status`, with the rich details of AIP-193.

use std::time::Duration;
use tenantry_kernel::{Error, Kind, Reason, RequestId};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Repeats the reason for the canonical log line; the gateway removes it.
pub const REASON_HEADER: &str = "x-tenantry-reason";
const DOMAIN: &str = "tenantry.dev";

const fn code(kind: Kind) -> Code {
    match kind {
        Kind::InvalidArgument => Code::InvalidArgument,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::PermissionDenied => Code::PermissionDenied,
        Kind::NotFound => Code::NotFound,
        Kind::AlreadyExists => Code::AlreadyExists,
        Kind::FailedPrecondition => Code::FailedPrecondition,
        Kind::Aborted => Code::Aborted,
        Kind::ResourceExhausted => Code::ResourceExhausted,
        Kind::Unimplemented => Code::Unimplemented,
        Kind::Internal => Code::Internal,
        Kind::Unavailable => Code::Unavailable,
        Kind::DeadlineExceeded => Code::DeadlineExceeded,
        Kind::Cancelled => Code::Cancelled,
    }
}

/// No such method, in one wording for the gateway and the services.
#[must_use]
pub fn unimplemented() -> Error {
    Error::new(
        Reason::Unimplemented,
        "No such method is offered here. See gRPC reflection or /openapi.json for what is.",
    )
}

/// The status for a caller. The reason TENANT_MISMATCH stays inside: the caller sees the same NOT_FOUND as for a
/// missing thing.
#[must_use]
pub fn status_of(error: &Error, request_id: &RequestId) -> Status {
    let (public, reason) = match error.reason() {
        Reason::TenantMismatch => {
            let same = Error::not_found();
            (same.public().to_owned(), same.reason())
        }
        reason => (error.public().to_owned(), reason),
    };
    let metadata = error
        .metadata()
        .iter()
        .cloned()
        .collect::<std::collections::HashMap<_, _>>();
    let mut details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, metadata);
    details.set_request_info(request_id.as_str(), "");
    for violation in error.fields() {
        details.add_bad_request_violation(&violation.field, &violation.description);
    }
    if let Some(delay) = error.retry_delay() {
        details.set_retry_info(Some(delay));
    }
    let mut status = Status::with_error_details(code(error.kind()), public, details);
    let value = tonic::metadata::MetadataValue::from_static(error.reason().as_str());
    status.metadata_mut().insert(REASON_HEADER, value);
    status
}

/// The error a peer's status stands for. A peer's INTERNAL or UNAVAILABLE becomes ours to explain.
#[must_use]
pub fn error_of(status: &Status) -> Error {
    let details = status.get_error_details();
    let told = details.error_info().and_then(|info| Reason::parse(&info.reason));
    let reason = told.unwrap_or_else(|| {
        if was_cut_off(status) {
            Reason::Unavailable
        } else {
            fallback(status.code())
        }
    });
    let mut error = match reason {
        Reason::Internal => Error::internal(status.clone()),
        Reason::Unavailable => Error::unavailable(status.clone()),
        reason => Error::new(reason, status.message().to_owned()).because(status.clone()),
    };
    for violation in details
        .bad_request()
        .map(|bad| bad.field_violations.as_slice())
        .unwrap_or_default()
    {
        error = error.field(&violation.field, &violation.description);
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        error = error.retry_after(Duration::min(delay, Duration::from_secs(3600)));
    }
    error
}

/// No peer has said this: the connection broke under the call, and what the library makes of that depends on the moment. A
/// status that was received has no source.
fn was_cut_off(status: &Status) -> bool {
    matches!(status.code(), Code::Unknown | Code::Internal) && std::error::Error::source(status).is_some()
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
        Code::ResourceExhausted => Reason::Overloaded,
        Code::Unimplemented => Reason::Unimplemented,
        Code::DeadlineExceeded => Reason::DeadlineExceeded,
        // Nobody of ours cancelled it: the connection ended under the call.
        Code::Cancelled | Code::Unavailable => Reason::Unavailable,
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Reason::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_mismatch_is_byte_for_byte_a_missing_thing() {
        let id = RequestId::parse("r1").unwrap();
        let mismatch = status_of(&Error::new(Reason::TenantMismatch, "token of A at host B"), &id);
        let missing = status_of(&Error::not_found(), &id);
        assert_eq!(mismatch.message(), missing.message());
        assert_eq!(mismatch.details(), missing.details());
        assert_eq!(mismatch.code(), Code::NotFound);
    }

    #[test]
    fn a_status_comes_back_as_the_same_error() {
        let id = RequestId::parse("r1").unwrap();
        let error = Error::new(Reason::UniqueViolation, "taken")
            .field("record.fields.email", "is taken")
            .retry_after(Duration::from_secs(2));
        let back = error_of(&status_of(&error, &id));
        assert_eq!(back.reason(), Reason::UniqueViolation);
        assert_eq!(back.public(), "taken");
        assert_eq!(back.fields(), error.fields());
        assert_eq!(back.retry_delay(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn the_cause_never_reaches_the_wire() {
        let id = RequestId::parse("r1").unwrap();
        let status = status_of(&Error::internal("password=hunter2"), &id);
        assert!(!format!("{status:?}").contains("hunter2"));
    }
}
