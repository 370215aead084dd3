//! What an operator watches. No label names a tenant.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};
use tenantry_telemetry::{KeyValue, meter};

/// Counters and gauges of this process.
#[derive(Clone, Debug)]
pub struct Metrics {
    age: Arc<AtomicU64>,
    none: Arc<AtomicI64>,
    /// Of snapshots and of tenants.
    overdue: [Arc<AtomicU64>; 2],
}

/// What can be overdue.
const OVERDUE: [&str; 2] = ["snapshots", "tenants"];

impl Default for Metrics {
    fn default() -> Self {
        let (age, none) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicI64::new(0)));
        let (age_read, none_read) = (Arc::clone(&age), Arc::clone(&none));
        meter()
            .f64_observable_gauge("tenantry_backup_oldest_ready_age_seconds")
            .with_description(
                "Of all active tenants with a schedule and a ready snapshot: age of the newest one of the worst off",
            )
            .with_callback(move |gauge| gauge.observe(f64::from_bits(age_read.load(Ordering::Relaxed)), &[]))
            .build();
        meter()
            .i64_observable_gauge("tenantry_backup_tenants_without_snapshot")
            .with_description("Active tenants with a schedule that have no ready snapshot although one was due")
            .with_callback(move |gauge| gauge.observe(none_read.load(Ordering::Relaxed), &[]))
            .build();
        let overdue = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
        let read = overdue.clone();
        meter()
            .u64_observable_gauge("tenantry_backup_removals_overdue")
            .with_description("What retention could not remove in its last round")
            .with_callback(move |gauge| {
                for (what, count) in OVERDUE.into_iter().zip(&read) {
                    gauge.observe(count.load(Ordering::Relaxed), &[KeyValue::new("what", what)]);
                }
            })
            .build();
        let metrics = Self { age, none, overdue };
        // A counter that begins with its first failure hides that failure from every rate.
        for result in ["ok", "failed", "cancelled", "corrupt"] {
            metrics.count(result, 0);
        }
        metrics
    }
}

impl Metrics {
    /// An operation has ended. `result`: `ok`, `failed`, `cancelled`, `corrupt`.
    pub fn ended(&self, verb: &'static str, result: &'static str, seconds: f64) {
        let labels = [KeyValue::new("verb", verb), KeyValue::new("result", result)];
        meter()
            .u64_counter("tenantry_backup_operations")
            .with_description("Finished operations")
            .build()
            .add(1, &labels);
        meter()
            .f64_histogram("tenantry_backup_seconds")
            .with_description("From request to end of an operation")
            .with_boundaries(vec![0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0])
            .build()
            .record(seconds, &[KeyValue::new("verb", verb)]);
    }
    /// A snapshot has ended.
    pub fn snapshot(&self, result: &'static str, raw_bytes: u64, stored_bytes: u64) {
        self.count(result, 1);
        let bytes = meter()
            .u64_counter("tenantry_backup_bytes")
            .with_description("Bytes of finished snapshots, before compression and as stored")
            .build();
        bytes.add(raw_bytes, &[KeyValue::new("kind", "raw")]);
        bytes.add(stored_bytes, &[KeyValue::new("kind", "stored")]);
    }
    fn count(&self, result: &'static str, snapshots: u64) {
        meter()
            .u64_counter("tenantry_backup_snapshots")
            .with_description("Snapshots that ended, by result")
            .build()
            .add(snapshots, &[KeyValue::new("result", result)]);
    }
    /// What retention could not remove: `snapshots` or `tenants`.
    pub fn overdue(&self, what: &str, count: u64) {
        for (_, shown) in OVERDUE.iter().zip(&self.overdue).filter(|(known, _)| **known == what) {
            shown.store(count, Ordering::Relaxed);
        }
    }
    /// What the scheduler found.
    pub fn ages(&self, oldest_seconds: f64, without: i64) {
        self.age.store(oldest_seconds.to_bits(), Ordering::Relaxed);
        self.none.store(without, Ordering::Relaxed);
    }
}
