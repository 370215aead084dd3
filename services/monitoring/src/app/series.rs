//! Tenants on `/metrics`: the busiest, and `other`. The number of series is fixed, whatever anybody sends.

use crate::domain::topk::{Counts, Ranking, TopK};
use std::sync::{Arc, Mutex, PoisonError};
use tenantry_metering::Delta;
use tenantry_telemetry::{KeyValue, meter};

/// Tenants with series of their own.
pub const SHOWN: usize = 100;
/// Metrics that have a tenant label.
pub const METRICS: usize = 3;
/// Series with a tenant label at most: each metric for each shown tenant and for `other`.
pub const BUDGET: usize = METRICS * (SHOWN + 1);

type Pick = fn(&Counts) -> u64;

/// See the module.
pub struct Series(Mutex<TopK>);

impl Series {
    /// Registers the metrics. Once a process.
    #[must_use]
    pub fn register() -> Arc<Self> {
        let series = Arc::new(Self(Mutex::new(TopK::new(SHOWN))));
        let metrics: [(&'static str, &'static str, Pick); METRICS] = [
            (
                "tenantry_tenant_requests",
                "Requests of the busiest tenants since the start; at most tenantry_tenant_error_bound of each are in other",
                |counts| counts.requests,
            ),
            (
                "tenantry_tenant_errors",
                "Server errors, as tenantry_tenant_requests",
                |counts| counts.errors,
            ),
            (
                "tenantry_tenant_limited",
                "Refused for a limit, as tenantry_tenant_requests",
                |counts| counts.limited,
            ),
        ];
        for (name, text, pick) in metrics {
            let shared = Arc::clone(&series);
            // An observable gauge reports what it observes now and nothing else: a tenant that is no longer shown is gone.
            let _registered = meter()
                .u64_observable_gauge(name)
                .with_description(text)
                .with_callback(move |observer| {
                    let ranking = shared.ranking();
                    for (tenant, counts) in &ranking.tenants {
                        observer.observe(pick(counts), &[KeyValue::new("tenant", tenant.to_string())]);
                    }
                    observer.observe(pick(&ranking.other), &[KeyValue::new("tenant", "other")]);
                })
                .build();
        }
        let shared = Arc::clone(&series);
        let _registered = meter()
            .u64_observable_gauge("tenantry_tenant_error_bound")
            .with_description("Requests of one tenant that may be counted as other")
            .with_callback(move |observer| observer.observe(shared.ranking().error_bound, &[]))
            .build();
        let _registered = meter()
            .u64_observable_gauge("tenantry_tenant_series_budget")
            .with_description("Series with a tenant label at most")
            .with_callback(|observer| observer.observe(BUDGET as u64, &[]))
            .build();
        series
    }
    /// Adds what a report says.
    pub fn add(&self, deltas: &[Delta]) {
        let mut top = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for delta in deltas {
            let counts = Counts {
                requests: delta.requests,
                errors: delta.errors,
                limited: delta.limited,
            };
            top.add(delta.tenant, counts);
        }
    }
    /// What is shown now.
    #[must_use]
    pub fn ranking(&self) -> Ranking {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ranking()
    }
}

impl std::fmt::Debug for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Series(..)")
    }
}
