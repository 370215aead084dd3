//! The context of one call: built once (in `libs/server`'s stack or by a job runner), immutable, passed as the
//! first argument. It is the only key that opens the database and the cache.

use crate::{Error, Principal, Reason, RequestId, Tally, TenantId, TenantRoute};
use std::{fmt, sync::Arc, time::Instant};

/// The signed database context (`tenancy.ctx`), minted by auth for one tenant and one database role. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct DbContext(Arc<str>);

impl DbContext {
    /// Wraps the token text.
    #[must_use]
    pub fn new(token: impl Into<Arc<str>>) -> Self {
        Self(token.into())
    }
    /// The text to bind, never to inline.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DbContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DbContext(***)")
    }
}

/// Who calls, for which tenant, until when.
#[derive(Clone, Debug)]
pub struct Ctx {
    route: Option<Arc<TenantRoute>>,
    named: Option<TenantId>,
    principal: Arc<Principal>,
    request_id: RequestId,
    deadline: Option<Instant>,
    db: Option<DbContext>,
    traceparent: Option<Arc<str>>,
    tally: Arc<Tally>,
}

impl Ctx {
    /// A context without a tenant; add one with [`Ctx::with_route`].
    #[must_use]
    pub fn new(principal: Principal, request_id: RequestId) -> Self {
        Self {
            route: None,
            named: None,
            principal: Arc::new(principal),
            request_id,
            deadline: None,
            db: None,
            traceparent: None,
            tally: Arc::new(Tally::default()),
        }
    }
    /// Binds the tenant.
    #[must_use]
    pub fn with_route(mut self, route: Arc<TenantRoute>) -> Self {
        self.route = Some(route);
        self
    }
    /// The tenant that the caller's token names: a call between services has one without being bound to it.
    #[must_use]
    pub fn with_named(mut self, tenant: Option<TenantId>) -> Self {
        self.named = tenant;
        self
    }
    /// Carries the signed database context.
    #[must_use]
    pub fn with_db(mut self, db: Option<DbContext>) -> Self {
        self.db = db;
        self
    }
    /// Sets the deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }
    /// Carries the W3C `traceparent` of the current span.
    #[must_use]
    pub fn with_traceparent(mut self, traceparent: Option<Arc<str>>) -> Self {
        self.traceparent = traceparent;
        self
    }
    /// Shares the caller's tally (the stack prints it in the canonical line).
    #[must_use]
    pub fn with_tally(mut self, tally: Arc<Tally>) -> Self {
        self.tally = tally;
        self
    }
    /// The tenant's route.
    ///
    /// # Errors
    /// `NOT_FOUND` where the call names no tenant.
    pub fn route(&self) -> Result<&Arc<TenantRoute>, Error> {
        self.route.as_ref().ok_or_else(|| {
            Error::new(
                Reason::TenantNotFound,
                "No tenant is named by this call. Use the tenant's host or a token of the tenant.",
            )
        })
    }
    /// The tenant.
    ///
    /// # Errors
    /// As [`Ctx::route`].
    pub fn tenant(&self) -> Result<TenantId, Error> {
        Ok(self.route()?.tenant)
    }
    /// The tenant, if the call has one (for logs).
    #[must_use]
    pub fn tenant_opt(&self) -> Option<TenantId> {
        self.route.as_ref().map(|route| route.tenant)
    }
    /// Passes where the caller's token was minted for `tenant`; a message can name any.
    ///
    /// # Errors
    /// `NOT_FOUND`: a foreign tenant looks like a missing one.
    pub fn require_named(&self, tenant: TenantId) -> Result<(), Error> {
        if self.named == Some(tenant) {
            Ok(())
        } else {
            Err(Error::not_found())
        }
    }
    /// The verified caller.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
    /// The request id.
    #[must_use]
    pub fn request_id(&self) -> &RequestId {
        &self.request_id
    }
    /// When the caller stops waiting.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    /// The signed database context.
    #[must_use]
    pub fn db(&self) -> Option<&DbContext> {
        self.db.as_ref()
    }
    /// The W3C `traceparent`, to put into outbox rows and outgoing calls.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }
    /// Counts what this call cost.
    #[must_use]
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }
}
