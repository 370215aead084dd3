//! What the edge learned about one request before anybody decided anything, and what the stations after it found out.

use super::limits::RateState;
use http::HeaderMap;
use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tenantry_kernel::{RequestId, TenantId, TenantRoute};
use tonic::Code;

/// Where a request came in.
#[derive(Clone, Debug)]
pub enum Place {
    /// The shared API host.
    Api,
    /// A tenant's own host or custom domain; the operators' host is the platform tenant's.
    Tenant(Arc<TenantRoute>),
}

/// What a client proves itself with. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Arc<str>);

impl Credential {
    /// Wraps the text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }
    /// The text, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(***)")
    }
}

/// What later stations found out, for the response's headers and the log line. Each is written once.
#[derive(Debug, Default)]
pub struct Trail {
    /// What the request counts as in logs and metrics: a method's name or `GET /template`.
    pub route: OnceLock<String>,
    /// The tenant.
    pub tenant: OnceLock<TenantId>,
    /// Who called.
    pub principal: OnceLock<String>,
    /// The limit that was counted against.
    pub rate: OnceLock<RateState>,
    /// The reason of a refusal, as the log shall know it.
    pub reason: OnceLock<String>,
    /// What a service's answer ended with behind its head, in trailers that the client's protocol may carry elsewhere.
    pub end: OnceLock<Code>,
    /// The reason of that end.
    pub end_reason: OnceLock<String>,
    /// Its caller gave up: hung up, or had asked for an answer sooner than anybody promises one.
    pub given_up: OnceLock<()>,
    /// A person looks at a page with their session: the quota of the month, which is for programs, is not asked.
    pub page: OnceLock<()>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Its id.
    pub request_id: RequestId,
    /// Where it came in.
    pub place: Place,
    /// What it proves itself with.
    pub credential: Option<Credential>,
    /// Who sent it, for limits.
    pub client: IpAddr,
    /// How long its sender wants to wait.
    pub wish: Option<Duration>,
    /// The headers that may go on.
    pub headers: HeaderMap,
    /// See [`Trail`].
    pub trail: Arc<Trail>,
}
