//! One error type for every service. `Display` is the public text; the cause is a source and is logged once,
//! where the gRPC status is made, never sent.

use crate::Reason;
use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

/// Shorthand used everywhere.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, one to one with the gRPC codes (AIP-193).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is wrong in itself.
    InvalidArgument,
    /// No or bad credentials.
    Unauthenticated,
    /// Known caller, own tenant, missing right.
    PermissionDenied,
    /// Missing, foreign or deleted: one answer for all three.
    NotFound,
    /// A unique value is taken.
    AlreadyExists,
    /// The thing is in a state that forbids this.
    FailedPrecondition,
    /// Somebody else changed it first (etag, serialization).
    Aborted,
    /// A limit of the plan or a queue bound.
    ResourceExhausted,
    /// Not offered.
    Unimplemented,
    /// A bug of ours.
    Internal,
    /// Try again.
    Unavailable,
    /// Took too long.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
}

/// One wrong field of a request, by its proto path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// `record.fields.email`
    pub field: String,
    /// What is wrong and what is accepted.
    pub description: String,
}

/// An error as every layer passes it on.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    reason: Reason,
    public: Cow<'static, str>,
    fields: Vec<FieldViolation>,
    metadata: Vec<(String, String)>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `public` tells the caller what to do and contains nothing that is not the caller's.
    pub fn new(reason: Reason, public: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: reason.kind(),
            reason,
            public: public.into(),
            fields: Vec::new(),
            metadata: Vec::new(),
            retry_after: None,
            source: None,
        }
    }
    /// The one answer for missing, foreign and deleted things.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(
            Reason::NotFound,
            "The resource was not found. Check the name and the tenant you are signed in to.",
        )
    }
    /// A bug or a broken dependency of ours; the caller learns only the request id.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(
            Reason::Internal,
            "An internal error occurred. Try again; if it stays, report the request id.",
        )
        .because(source)
    }
    /// A dependency is away for the moment.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(
            Reason::Unavailable,
            "The service is temporarily unavailable. Try again in a moment.",
        )
        .retry_after(Duration::from_secs(1))
        .because(source)
    }
    /// One wrong field.
    pub fn invalid_field(field: impl Into<String>, description: impl Into<String>) -> Self {
        let (field, description) = (field.into(), description.into());
        Self::new(Reason::InvalidArgument, format!("{field}: {description}")).field(field, description)
    }
    /// The stored version moved on since the caller read it.
    #[must_use]
    pub fn etag_mismatch() -> Self {
        Self::new(
            Reason::EtagMismatch,
            "The resource changed since you read it. Get it again and repeat the change with its new etag.",
        )
    }
    /// Adds a field violation.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.fields.push(FieldViolation {
            field: field.into(),
            description: description.into(),
        });
        self
    }
    /// Adds machine-readable metadata (ErrorInfo.metadata): never secrets, never another tenant's values.
    #[must_use]
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }
    /// When a retry makes sense.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
    /// The cause, for the log only.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
    /// See [`Kind`].
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// See [`Reason`].
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }
    /// The text for the caller.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }
    /// Wrong fields, if any.
    #[must_use]
    pub fn fields(&self) -> &[FieldViolation] {
        &self.fields
    }
    /// Machine-readable details.
    #[must_use]
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }
    /// When to try again.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.public)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
