//! Counting. A request costs one hash lookup under the lock of one of a few shards.

use crate::{BUCKETS, Delta, bucket};
use chrono::{DateTime, Utc};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tenantry_kernel::{Clock, TenantId, probe};

const SHARDS: usize = 16;

/// How a request went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Its caller proved who they are and no limit refused it: it counts against the plan's quota. A stranger who only
    /// knows the address of a tenant must not use up what the tenant paid for.
    pub admitted: bool,
    /// It was answered with a server error.
    pub error: bool,
    /// It was refused for a limit or a quota.
    pub limited: bool,
    /// From its head to the head of the answer.
    pub elapsed: Duration,
}

/// Counters of all tenants of this process since they were last taken.
pub struct Meter {
    shards: [Mutex<HashMap<TenantId, Delta>>; SHARDS],
    since: Mutex<DateTime<Utc>>,
    clock: Arc<dyn Clock>,
    counted: probe::Counter,
}

impl Meter {
    /// Empty counters.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            since: Mutex::new(clock.now()),
            clock,
            counted: probe::counter(
                "tenantry_metered_requests_total",
                "Requests that were counted for a tenant: reports have to follow",
                &[],
            ),
        }
    }
    /// One finished request.
    pub fn request(&self, tenant: TenantId, request: Request) {
        self.counted.one();
        self.with(tenant, |delta| {
            delta.requests += 1;
            delta.admitted += u64::from(request.admitted);
            delta.errors += u64::from(request.error);
            delta.limited += u64::from(request.limited);
            delta.latency[bucket(request.elapsed)] += 1;
        });
    }
    /// A stream that had begun well ended with a server error. Its request is counted already.
    pub fn error(&self, tenant: TenantId) {
        self.with(tenant, |delta| delta.errors += 1);
    }
    /// Rows that a statement returned or changed.
    pub fn rows(&self, tenant: TenantId, rows: u64) {
        self.with(tenant, |delta| delta.rows += rows);
    }
    /// Bytes of request bodies.
    pub fn request_bytes(&self, tenant: TenantId, bytes: u64) {
        self.with(tenant, |delta| delta.request_bytes += bytes);
    }
    /// Bytes of response bodies.
    pub fn response_bytes(&self, tenant: TenantId, bytes: u64) {
        self.with(tenant, |delta| delta.response_bytes += bytes);
    }

    fn with(&self, tenant: TenantId, change: impl FnOnce(&mut Delta)) {
        let (high, low) = tenant.uuid().as_u64_pair();
        // The low bits of a UUIDv7 are random.
        let shard = &self.shards[(high ^ low) as usize % SHARDS];
        let mut counts = shard.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry(tenant).or_insert_with(|| Delta {
            tenant,
            requests: 0,
            admitted: 0,
            errors: 0,
            limited: 0,
            latency: [0; BUCKETS],
            rows: 0,
            request_bytes: 0,
            response_bytes: 0,
        }));
    }

    /// Takes everything that was counted, with the span of time it is of.
    pub(crate) fn take(&self) -> (DateTime<Utc>, DateTime<Utc>, Vec<Delta>) {
        let now = self.clock.now();
        let since = std::mem::replace(&mut *self.since.lock().unwrap_or_else(PoisonError::into_inner), now);
        let mut deltas = Vec::new();
        for shard in &self.shards {
            let taken = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            deltas.extend(taken.into_values());
        }
        deltas.sort_by_key(|delta| delta.tenant);
        (since.min(now), now, deltas)
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meter(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kernel::SystemClock;
    use uuid::Uuid;

    #[test]
    fn nothing_is_lost_between_counting_and_taking() {
        let meter = Meter::new(Arc::new(SystemClock));
        let tenant = |n: u128| TenantId::from_uuid(Uuid::from_u128(n));
        let mut taken = Vec::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..5_000_u128 {
                        meter.request(tenant(n % 7), Request::default());
                    }
                });
            }
            for _ in 0..50 {
                taken.extend(meter.take().2);
            }
        });
        taken.extend(meter.take().2);
        assert_eq!(taken.iter().map(|delta| delta.requests).sum::<u64>(), 20_000);
        assert_eq!(taken.iter().flat_map(|delta| delta.latency).sum::<u64>(), 20_000);
        assert!(meter.take().2.is_empty());
    }
}
