//! What one request cost, printed once in its canonical log line, and whether its answer is an earlier one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters of one request. Relaxed atomics: they are read after everything has finished.
#[derive(Debug, Default)]
pub struct Tally {
    queries: AtomicU64,
    rows: AtomicU64,
    db_micros: AtomicU64,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    cache_errors: AtomicU64,
    replayed: AtomicBool,
}

impl Tally {
    /// One SQL statement that returned or changed `rows` rows in `micros` microseconds (BEGIN, context and COMMIT do not count).
    pub fn query(&self, rows: u64, micros: u64) {
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.db_micros.fetch_add(micros, Ordering::Relaxed);
    }
    /// The cache answered.
    pub fn cache_hit(&self) {
        self.cache_hits.fetch_add(1, Ordering::Relaxed);
    }
    /// The cache did not know.
    pub fn cache_miss(&self) {
        self.cache_misses.fetch_add(1, Ordering::Relaxed);
    }
    /// The cache was away or held something unreadable.
    pub fn cache_error(&self) {
        self.cache_errors.fetch_add(1, Ordering::Relaxed);
    }
    /// The answer is that of an earlier call with the same idempotency key.
    pub fn replay(&self) {
        self.replayed.store(true, Ordering::Relaxed);
    }
    /// Whether the answer is that of an earlier call.
    pub fn replayed(&self) -> bool {
        self.replayed.load(Ordering::Relaxed)
    }
    /// SQL statements so far.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }
    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
    /// Microseconds in the database so far.
    pub fn db_micros(&self) -> u64 {
        self.db_micros.load(Ordering::Relaxed)
    }
    /// Cache hits, misses and errors so far.
    pub fn cache(&self) -> (u64, u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (
            load(&self.cache_hits),
            load(&self.cache_misses),
            load(&self.cache_errors),
        )
    }
}
