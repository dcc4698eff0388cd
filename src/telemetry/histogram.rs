//! A histogram of nanoseconds over fixed bounds, written by one worker and read by the scrape.
//!
//! Promises that an observation is two relaxed additions after a search over at most 16 bounds. Never allocates
//! after it was made, and never shows a sum without the buckets that it was made of being counted too.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the gateway's own time, in nanoseconds: from what a good request takes to what is a defect.
pub(crate) const OVERHEAD_BOUNDS_NS: &[u64] = &[
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    1_000_000_000,
];

/// Upper bounds of the time that an upstream takes to begin its answer, in nanoseconds: agents think for a while.
pub(crate) const UPSTREAM_BOUNDS_NS: &[u64] = &[
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// One worker's observations.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds_ns: &'static [u64],
    /// One per bound, not cumulative, and a last one for what lies above all of them.
    buckets: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(bounds_ns: &'static [u64]) -> Histogram {
        let buckets = (0..=bounds_ns.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds_ns, buckets, sum_ns: AtomicU64::new(0) }
    }

    pub(crate) fn observe(&self, nanos: u64) {
        let place = self.bounds_ns.partition_point(|bound| *bound < nanos);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
            self.sum_ns.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// Adds what was observed so far to `totals`, which must be over the same bounds.
    pub(crate) fn add_to(&self, totals: &mut HistogramTotals) {
        for (bucket, total) in self.buckets.iter().zip(&mut totals.buckets) {
            *total += bucket.load(Ordering::Relaxed);
        }
        totals.sum_ns += u128::from(self.sum_ns.load(Ordering::Relaxed));
    }
}

/// What all workers observed together.
#[derive(Debug)]
pub(crate) struct HistogramTotals {
    pub(crate) bounds_ns: &'static [u64],
    /// One per bound, not cumulative, and a last one for what lies above all of them.
    pub(crate) buckets: Vec<u64>,
    pub(crate) sum_ns: u128,
}

impl HistogramTotals {
    pub(crate) fn new(bounds_ns: &'static [u64]) -> HistogramTotals {
        HistogramTotals { bounds_ns, buckets: vec![0; bounds_ns.len() + 1], sum_ns: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals_of(observations: &[u64]) -> HistogramTotals {
        let histogram = Histogram::new(OVERHEAD_BOUNDS_NS);
        observations.iter().for_each(|nanos| histogram.observe(*nanos));
        let mut totals = HistogramTotals::new(OVERHEAD_BOUNDS_NS);
        histogram.add_to(&mut totals);
        totals
    }

    #[test]
    fn bounds_rise() {
        assert!(OVERHEAD_BOUNDS_NS.is_sorted() && UPSTREAM_BOUNDS_NS.is_sorted());
    }

    #[test]
    fn an_observation_on_a_bound_counts_below_it_as_le_says() {
        assert_eq!(totals_of(&[5_000]).buckets[0], 1);
        assert_eq!(totals_of(&[5_001]).buckets[1], 1);
        assert_eq!(totals_of(&[0]).buckets[0], 1);
        assert_eq!(totals_of(&[u64::MAX]).buckets[OVERHEAD_BOUNDS_NS.len()], 1);
    }

    #[test]
    fn the_sum_is_that_of_the_observations() {
        let totals = totals_of(&[1, 20, 300, 4_000_000_000]);
        assert_eq!(totals.sum_ns, 4_000_000_321);
        assert_eq!(totals.buckets.iter().sum::<u64>(), 4);
    }
}
