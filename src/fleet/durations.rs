//! How long things took, counted for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in nanoseconds: from what a fleet without faults takes to the longest that an answer waits.
pub const REVOCATION_BOUNDS_NS: &[u64] = &[
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Counts under each of [`REVOCATION_BOUNDS_NS`].
#[derive(Debug, Default)]
pub(super) struct Durations {
    /// One for each bound, and a last one for what lies above all of them.
    buckets: [AtomicU64; 14],
    sum_ns: AtomicU64,
}

impl Durations {
    pub(super) fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = REVOCATION_BOUNDS_NS.partition_point(|bound| *bound < nanos);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
            self.sum_ns.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// The counts, and their sum in nanoseconds.
    pub(super) fn read(&self) -> (Vec<u64>, u64) {
        let buckets = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        (buckets, self.sum_ns.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_falls_under_the_first_bound_that_holds_it() {
        let durations = Durations::default();
        for millis in [1, 3, 20_000] {
            durations.add(Duration::from_millis(millis));
        }
        let (buckets, sum_ns) = durations.read();
        assert_eq!(buckets.len(), REVOCATION_BOUNDS_NS.len() + 1);
        assert_eq!((buckets[0], buckets[2], buckets[13], sum_ns), (1, 1, 1, 20_004_000_000));
    }
}
