//! The catalogue of error reasons: stable, UPPER_SNAKE on the wire (AIP-193 `ErrorInfo.reason`), each with one
//! page under `docs/errors/`. A test holds the two lists together.

use crate::Kind;
use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident, $http:expr;)*) => {
        /// Why a call failed. Stable: clients branch on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }
        impl Reason {
            /// Every reason, for documentation and tests.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];
            /// The wire text.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Reason::$name => $text,)* } }
            /// The kind, and with it the gRPC code, of this reason.
            #[must_use]
            pub const fn kind(self) -> Kind { match self { $(Reason::$name => Kind::$kind,)* } }
            /// The HTTP status where it differs from the gRPC code's own mapping.
            #[must_use]
            pub const fn http_override(self) -> Option<u16> { match self { $(Reason::$name => $http,)* } }
            /// Finds a reason by its wire text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> { Self::ALL.iter().copied().find(|r| r.as_str() == text) }
        }
    };
}

reasons! {
    /// A field or parameter is wrong.
    InvalidArgument = "INVALID_ARGUMENT", InvalidArgument, None;
    /// A field that does not exist was named.
    UnknownField = "UNKNOWN_FIELD", InvalidArgument, None;
    /// The filter does not parse or names something it may not.
    InvalidFilter = "INVALID_FILTER", InvalidArgument, None;
    /// The page token is foreign, edited, expired or of another query.
    InvalidPageToken = "INVALID_PAGE_TOKEN", InvalidArgument, None;
    /// The body is not well-formed (JSON, UTF-8, frame).
    MalformedRequest = "MALFORMED_REQUEST", InvalidArgument, None;
    /// The body is larger than accepted.
    RequestTooLarge = "REQUEST_TOO_LARGE", ResourceExhausted, Some(413);
    /// The media type is not accepted here.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", InvalidArgument, Some(415);
    /// The path exists, the HTTP method does not.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", Unimplemented, Some(405);
    /// A CSV file cannot be read or does not fit the type.
    ImportInvalid = "IMPORT_INVALID", InvalidArgument, Some(422);
    /// No credentials were sent.
    CredentialsMissing = "CREDENTIALS_MISSING", Unauthenticated, None;
    /// The credentials are wrong, expired or revoked.
    CredentialsInvalid = "CREDENTIALS_INVALID", Unauthenticated, None;
    /// E-mail or password is wrong (one answer for both).
    SignInFailed = "SIGN_IN_FAILED", Unauthenticated, None;
    /// Too many attempts.
    SignInThrottled = "SIGN_IN_THROTTLED", ResourceExhausted, None;
    /// A refresh token was used twice; its family is revoked.
    RefreshTokenReused = "REFRESH_TOKEN_REUSED", Unauthenticated, None;
    /// The one-time link was used or has expired.
    LinkInvalid = "LINK_INVALID", FailedPrecondition, None;
    /// The password is too weak.
    PasswordRejected = "PASSWORD_REJECTED", InvalidArgument, None;
    /// The caller's role or scope lacks the permission.
    PermissionDenied = "PERMISSION_DENIED", PermissionDenied, None;
    /// Revocation state is too old to allow a change.
    RevocationStale = "REVOCATION_STALE", Unavailable, None;
    /// Cross-site form post or wrong origin.
    OriginMismatch = "ORIGIN_MISMATCH", PermissionDenied, None;
    /// Missing, foreign or deleted.
    NotFound = "NOT_FOUND", NotFound, None;
    /// The host, path or id names no tenant that is served here.
    TenantNotFound = "TENANT_NOT_FOUND", NotFound, None;
    /// For the log only: token, host or path disagree. Outside it is NOT_FOUND.
    TenantMismatch = "TENANT_MISMATCH", NotFound, None;
    /// The tenant is suspended.
    TenantSuspended = "TENANT_SUSPENDED", FailedPrecondition, Some(403);
    /// The tenant is still being created or is being deleted.
    TenantNotActive = "TENANT_NOT_ACTIVE", FailedPrecondition, Some(409);
    /// The name is taken.
    AlreadyExists = "ALREADY_EXISTS", AlreadyExists, None;
    /// A unique field already has this value.
    UniqueViolation = "UNIQUE_VIOLATION", AlreadyExists, None;
    /// A reference names a record that does not exist.
    ReferenceNotFound = "REFERENCE_NOT_FOUND", FailedPrecondition, Some(422);
    /// Other records still refer to this one.
    StillReferenced = "STILL_REFERENCED", FailedPrecondition, Some(409);
    /// The state forbids this.
    FailedPrecondition = "FAILED_PRECONDITION", FailedPrecondition, Some(409);
    /// The last owner cannot leave.
    LastOwner = "LAST_OWNER", FailedPrecondition, Some(409);
    /// The etag is not the current one.
    EtagMismatch = "ETAG_MISMATCH", Aborted, Some(412);
    /// The same idempotency key came with another payload.
    IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED", FailedPrecondition, Some(422);
    /// A request with this idempotency key is still running.
    IdempotencyInProgress = "IDEMPOTENCY_IN_PROGRESS", Aborted, Some(409);
    /// A concurrent change won; try again.
    Conflict = "CONFLICT", Aborted, Some(409);
    /// A limit of the tenant's plan is reached.
    QuotaExceeded = "QUOTA_EXCEEDED", ResourceExhausted, None;
    /// Too many requests for the tenant's plan.
    RateLimited = "RATE_LIMITED", ResourceExhausted, None;
    /// The plan does not include this feature.
    FeatureNotInPlan = "FEATURE_NOT_IN_PLAN", FailedPrecondition, Some(403);
    /// A queue of ours is full; come back.
    Overloaded = "OVERLOADED", ResourceExhausted, Some(503);
    /// The deadline passed.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded, None;
    /// The change stream cannot be resumed from this token.
    ResumeTokenExpired = "RESUME_TOKEN_EXPIRED", FailedPrecondition, Some(410);
    /// An object of the snapshot is damaged or missing.
    SnapshotCorrupt = "SNAPSHOT_CORRUPT", FailedPrecondition, Some(409);
    /// The snapshot is being written or removed, or did not come to be.
    SnapshotNotReady = "SNAPSHOT_NOT_READY", FailedPrecondition, Some(409);
    /// The caller went away.
    Cancelled = "CANCELLED", Cancelled, None;
    /// A dependency is away.
    Unavailable = "UNAVAILABLE", Unavailable, None;
    /// Not offered here.
    Unimplemented = "UNIMPLEMENTED", Unimplemented, None;
    /// A bug of ours.
    Internal = "INTERNAL", Internal, None;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
