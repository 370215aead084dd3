//! The latency histogram. Its bounds are part of the report's format: changing them needs a new message type.

use std::time::Duration;

/// Upper bounds in milliseconds, inclusive. The last bucket has none.
pub const BOUNDS_MS: [u64; 23] = [
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 1_500, 2_000, 5_000, 10_000, 30_000,
];
/// Buckets of a histogram.
pub const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// The bucket of a latency.
#[must_use]
pub fn bucket(elapsed: Duration) -> usize {
    BOUNDS_MS.partition_point(|bound| u128::from(*bound) * 1_000_000 < elapsed.as_nanos())
}

/// The latency in milliseconds that `share` (0 to 1) of the requests did not exceed, interpolated within its bucket; 0
/// for an empty histogram. What lies behind the last bound counts as that bound: the truth is at least this.
#[must_use]
pub fn percentile(counts: &[u64], share: f64) -> f64 {
    let total: u64 = counts.iter().fold(0, |sum, count| sum.saturating_add(*count));
    if total == 0 {
        return 0.0;
    }
    let rank = (share.clamp(0.0, 1.0) * total as f64).max(1.0);
    let mut below = 0.0;
    for (index, count) in counts.iter().enumerate() {
        let here = *count as f64;
        if here > 0.0 && below + here >= rank {
            let last = BOUNDS_MS[BOUNDS_MS.len() - 1];
            let upper = BOUNDS_MS.get(index).copied().unwrap_or(last) as f64;
            let lower = index
                .checked_sub(1)
                .and_then(|at| BOUNDS_MS.get(at))
                .copied()
                .unwrap_or(0) as f64;
            return lower + (upper - lower) * ((rank - below) / here);
        }
        below += here;
    }
    BOUNDS_MS[BOUNDS_MS.len() - 1] as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_latency_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        for (micros, expected) in [
            (0, 0),
            (1_000, 0),
            (1_001, 1),
            (2_000, 1),
            (30_000_000, 22),
            (30_000_001, 23),
        ] {
            assert_eq!(bucket(Duration::from_micros(micros)), expected, "{micros} us");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_of_known_latencies() {
        let mut counts = [0; BUCKETS];
        for millis in 1..=100 {
            counts[bucket(Duration::from_millis(millis))] += 1;
        }
        assert!((percentile(&counts, 0.50) - 50.0).abs() < 0.01);
        assert!((percentile(&counts, 0.95) - 95.0).abs() < 0.01);
        assert!((percentile(&counts, 0.99) - 99.0).abs() < 0.01);
        assert!(percentile(&[0; BUCKETS], 0.5).abs() < f64::EPSILON);
        assert!(percentile(&[], 0.5).abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn percentiles_are_finite_and_in_order(counts in prop::collection::vec(any::<u64>(), 0..30), a in 0.0..1.0f64, b in 0.0..1.0f64) {
            let (low, high) = (percentile(&counts, a.min(b)), percentile(&counts, a.max(b)));
            prop_assert!(low.is_finite() && high.is_finite() && low <= high + 1e-9);
        }
    }
}
