//! What each error reason means and what helps: the pages under `/errors/`, to which every problem links.

use tenantry_kernel::Reason;

/// Meaning and remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What happened.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// The entry of a reason.
#[must_use]
pub fn entry(reason: Reason) -> Entry {
    let (meaning, remedy) = request(reason)
        .or_else(|| identity(reason))
        .or_else(|| state(reason))
        .unwrap_or_else(|| service(reason));
    Entry { meaning, remedy }
}

type Text = (&'static str, &'static str);

fn request(reason: Reason) -> Option<Text> {
    Some(match reason {
        Reason::InvalidArgument => (
            "A field or parameter has a value that is not accepted.",
            "Read the violations: each names the field and what is accepted.",
        ),
        Reason::UnknownField => (
            "The request names a field that does not exist.",
            "Check the spelling. JSON names are lowerCamelCase; the proto's own names work too.",
        ),
        Reason::InvalidFilter => (
            "The filter does not parse, or it compares something that cannot be filtered by.",
            "Write comparisons joined by AND, such as: status = \"open\" AND priority >= 2.",
        ),
        Reason::InvalidPageToken => (
            "The page token is of another query, another caller or another tenant, or it is older than a day.",
            "Start the list again without a page token and keep filter and order unchanged while paging.",
        ),
        Reason::MalformedRequest => (
            "The request is not well-formed: broken JSON, text that is not UTF-8, a cut-off frame, or more than one host.",
            "Send complete JSON in UTF-8, nested at most 64 levels, to exactly one host.",
        ),
        Reason::RequestTooLarge => (
            "The body is larger than accepted: 4 MiB for a request, 100 MiB for an import.",
            "Send less at once; large data goes through an import.",
        ),
        Reason::UnsupportedMediaType => (
            "The Content-Type is not accepted here.",
            "Send application/json, or text/csv for an import.",
        ),
        Reason::MethodNotAllowed => (
            "The path exists, but not with this HTTP method.",
            "Use one of the methods in the Allow header.",
        ),
        Reason::ImportInvalid => (
            "The file cannot be read as CSV, or some rows do not fit the type.",
            "Correct the lines that the violations name and upload the file again. Nothing was written.",
        ),
        _ => return None,
    })
}

fn identity(reason: Reason) -> Option<Text> {
    Some(match reason {
        Reason::CredentialsMissing => (
            "The request carries no credentials.",
            "Send an Authorization header with a bearer token or API key, or sign in on the tenant's host.",
        ),
        Reason::CredentialsInvalid => (
            "The credentials are wrong, expired or were ended.",
            "Sign in again, refresh the access token, or make a new API key.",
        ),
        Reason::SignInFailed => (
            "E-mail or password is wrong.",
            "Check both, and that you are on your own organisation's address. An admin can make a reset link.",
        ),
        Reason::SignInThrottled => (
            "There were too many sign-in attempts.",
            "Wait as long as Retry-After says.",
        ),
        Reason::RefreshTokenReused => (
            "A refresh token was used twice, so its whole session was ended: somebody may have a copy.",
            "Sign in again. If it was not you, change the password.",
        ),
        Reason::LinkInvalid => (
            "The one-time link was used before or has expired.",
            "Ask an admin of your organisation for a new one.",
        ),
        Reason::PasswordRejected => (
            "The password is too short, too long or too common.",
            "Choose 12 to 1024 characters that are not a common password.",
        ),
        Reason::PermissionDenied => (
            "You are known here, but your role or the key's scope does not include this.",
            "Ask an admin of your organisation for the permission that the error names.",
        ),
        Reason::RevocationStale => (
            "The service has not heard about ended sessions for too long and refuses changes until it has.",
            "Try again in a few seconds.",
        ),
        Reason::OriginMismatch => (
            "A change was asked for by a page of another site.",
            "Use the form on your organisation's own address; programs use a bearer token instead of the cookie.",
        ),
        Reason::NotFound | Reason::TenantMismatch => (
            "It does not exist, was deleted, or is not yours. The three look the same on purpose.",
            "Check the name and which organisation you are signed in to.",
        ),
        Reason::TenantNotFound => (
            "The host, path or credential names no organisation that is served here.",
            "Use your organisation's own address, or a credential of it.",
        ),
        _ => return None,
    })
}

fn state(reason: Reason) -> Option<Text> {
    Some(match reason {
        Reason::TenantSuspended => (
            "The organisation is suspended. Its data is kept.",
            "Its owner can contact the operator.",
        ),
        Reason::TenantNotActive => (
            "The organisation is still being set up, or is being deleted.",
            "Try again in a moment.",
        ),
        Reason::AlreadyExists => (
            "The name is taken.",
            "Choose another name, or get the resource that has it.",
        ),
        Reason::UniqueViolation => (
            "Another record has the same value in a unique field.",
            "Use another value or update that record.",
        ),
        Reason::ReferenceNotFound => (
            "A reference names a record that does not exist.",
            "Create that record first, or correct the reference.",
        ),
        Reason::StillReferenced => (
            "Other records still refer to this one.",
            "Remove or change those references first.",
        ),
        Reason::FailedPrecondition => (
            "The resource is in a state that forbids this.",
            "Get it and look at its state.",
        ),
        Reason::LastOwner => (
            "The last owner of an organisation cannot leave, be locked or lose the role.",
            "Make somebody else an owner first.",
        ),
        Reason::EtagMismatch => (
            "Somebody else changed the resource after you read it.",
            "Get it again and repeat the change with its new etag.",
        ),
        Reason::IdempotencyKeyReused => (
            "The idempotency key was used before with another request.",
            "Use a new key for a new request.",
        ),
        Reason::IdempotencyInProgress => (
            "A request with this idempotency key is still running.",
            "Wait a moment and send the same request again.",
        ),
        Reason::Conflict => ("A concurrent change won.", "Repeat the request."),
        Reason::QuotaExceeded => (
            "A limit of the organisation's plan is reached; the message names it.",
            "Delete what is not needed, wait for the next month where requests are counted, or ask the operator for a larger plan.",
        ),
        Reason::RateLimited => (
            "More requests came than the organisation's plan allows.",
            "Wait as long as Retry-After says; the RateLimit headers show what is left.",
        ),
        Reason::FeatureNotInPlan => (
            "The organisation's plan does not include this feature.",
            "Ask the operator for a plan that does.",
        ),
        Reason::SnapshotCorrupt => (
            "An object of the snapshot is damaged or missing; the message names it.",
            "Restore another snapshot. The operator can look for the object's older version in the bucket.",
        ),
        Reason::SnapshotNotReady => (
            "The snapshot is being written or removed, or did not come to be.",
            "Wait for its operation, or choose a snapshot whose state is READY.",
        ),
        Reason::ResumeTokenExpired => (
            "The change stream is no longer kept back to this token.",
            "List the records again and watch from now.",
        ),
        _ => return None,
    })
}

fn service(reason: Reason) -> Text {
    match reason {
        Reason::Overloaded => (
            "A queue of the service is full.",
            "Wait as long as Retry-After says and try again.",
        ),
        Reason::DeadlineExceeded => (
            "It took longer than the deadline. Whether it took effect is unknown.",
            "Repeat it with the same request_id or Idempotency-Key: it runs once.",
        ),
        Reason::Cancelled => (
            "The caller went away before the answer.",
            "Repeat the request if you still need it.",
        ),
        Reason::Unavailable => (
            "A part of the service is away for the moment.",
            "Try again in a moment; with the same idempotency key it runs once.",
        ),
        Reason::Unimplemented => (
            "This is not offered here.",
            "See /openapi.json or gRPC reflection for what is.",
        ),
        _ => (
            "Something went wrong on our side.",
            "Try again; if it stays, report the request id.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_says_what_to_do() {
        for reason in Reason::ALL {
            let Entry { meaning, remedy } = entry(*reason);
            assert!(meaning.ends_with('.') && remedy.ends_with('.'), "{reason}");
        }
    }
}
