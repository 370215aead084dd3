//! A request that nobody has answered yet. Its caller may hang up at any moment, and with it ends the task that serves it:
//! it is still one request, and often the only sign that something hangs.

use super::{Edge, arrival::Protocol, counted};
use crate::app::visitor::Trail;
use std::{sync::Arc, time::Instant};
use tenantry_kernel::{Reason, RequestId};

/// Accounts for the request when it is dropped, unless it was [`Open::answered`].
pub struct Open {
    edge: Option<Arc<Edge>>,
    protocol: Protocol,
    trail: Arc<Trail>,
    request_id: RequestId,
    started: Instant,
}

impl Open {
    /// From here on somebody waits.
    #[must_use]
    pub fn new(edge: &Arc<Edge>, protocol: Protocol, trail: &Arc<Trail>, id: &RequestId, started: Instant) -> Self {
        Self {
            edge: Some(edge.clone()),
            protocol,
            trail: trail.clone(),
            request_id: id.clone(),
            started,
        }
    }
    /// There is an answer; what becomes of it is counted elsewhere.
    pub fn answered(mut self) {
        self.edge = None;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(edge) = self.edge.take() else { return };
        let (trail, elapsed) = (&self.trail, self.started.elapsed());
        let _ = trail.given_up.set(());
        if let Some(tenant) = trail.tenant.get() {
            edge.meter.request(*tenant, counted::given_up(trail, elapsed));
        }
        let reason = Some(Reason::Cancelled.as_str());
        edge.close(self.protocol, "", reason, trail, &self.request_id, elapsed);
    }
}
