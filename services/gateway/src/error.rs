//! Errors that several places of the gateway answer with, each in one wording.

use std::sync::Arc;
use tenantry_kernel::{Error, Reason};

/// Nothing was sent to prove who calls.
#[must_use]
pub fn credentials_missing() -> Error {
    Error::new(
        Reason::CredentialsMissing,
        "No credentials were sent. Send an Authorization header with a bearer token or API key, or sign in.",
    )
}

/// What was sent proves nothing.
#[must_use]
pub fn credentials_invalid() -> Error {
    Error::new(
        Reason::CredentialsInvalid,
        "The credentials are not valid. Sign in again.",
    )
}

/// The call needs a tenant and none was named.
#[must_use]
pub fn tenant_missing() -> Error {
    Error::new(
        Reason::TenantNotFound,
        "No tenant is named by this call. Use the tenant's own host, the path prefix /v1/tenants/{tenant}/, or a credential of the tenant.",
    )
}

/// A page of another site asked for a change.
#[must_use]
pub fn origin_mismatch() -> Error {
    Error::new(
        Reason::OriginMismatch,
        "The change was asked for by a page of another site. Use this site's own pages, or a bearer token.",
    )
}

/// More bytes than accepted.
#[must_use]
pub fn too_large(most: usize) -> Error {
    let text = format!("The body is larger than the {} MiB that are accepted here.", most >> 20);
    Error::new(Reason::RequestTooLarge, text).meta("limit_bytes", most.to_string())
}

pub use tenantry_server::unimplemented;

/// A deadline passed at the gateway.
#[must_use]
pub fn deadline_exceeded() -> Error {
    let text = "The deadline passed before the request was done. Whether it took effect is unknown; repeat it with the same request_id.";
    Error::new(Reason::DeadlineExceeded, text)
}

/// One failure was waited for by several requests; each gets its own copy.
#[must_use]
pub fn again(error: &Arc<Error>) -> Error {
    let mut copy = Error::new(error.reason(), error.public().to_owned()).because(error.to_string());
    if let Some(delay) = error.retry_delay() {
        copy = copy.retry_after(delay);
    }
    copy
}
