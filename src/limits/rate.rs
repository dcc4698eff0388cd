//! The rate cell: GCRA (ITU-T I.371) in one 64-bit word.
//!
//! Owns the instant at which the bucket will be full again (the theoretical arrival time) and how far ahead of the
//! record it may move. Promises that no interleaving of threads admits more than the rate. Never reads a clock.

use std::sync::atomic::{AtomicU64, Ordering};

use super::effective::RateRule;

/// What became of a request at the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// It passes; `renew` tells that more should be granted soon.
    Taken { renew: bool },
    /// It comes this many nanoseconds too early.
    TooEarly { wait_ns: u64 },
    /// It would pass, but the record does not reach so far yet.
    NotGranted,
}

/// A key's bucket. All times are on this process's monotonic clock, in nanoseconds.
///
/// Every atomic here stands for itself: no other memory is published through it, so `Relaxed` is enough, and what
/// must be exact is exact because the arrival time only moves by compare-and-exchange.
#[derive(Debug, Default)]
pub(crate) struct RateCell {
    /// When the bucket will be full; the past means full.
    full_at_ns: AtomicU64,
    /// The arrival time may move up to here: as far as the record reaches.
    ceiling_ns: AtomicU64,
    /// Beyond this, ask for a higher ceiling.
    renew_above_ns: AtomicU64,
    /// The signature of the rule that the arrival time is measured in; 0 before the first.
    tuned_to: AtomicU64,
}

impl RateCell {
    /// What [`RateCell::take`] would say, without taking.
    pub(crate) fn peek(&self, rule: RateRule, now_ns: u64) -> Take {
        if self.tuned_to.load(Ordering::Relaxed) != rule.signature() {
            return Take::NotGranted;
        }
        let full_at = self.full_at_ns.load(Ordering::Relaxed);
        match self.next(rule, full_at, now_ns) {
            Ok(_) => Take::Taken { renew: false },
            Err(refused) => refused,
        }
    }

    /// Takes one request out of the bucket.
    pub(crate) fn take(&self, rule: RateRule, now_ns: u64) -> Take {
        let mut full_at = self.full_at_ns.load(Ordering::Relaxed);
        loop {
            let next = match self.next(rule, full_at, now_ns) {
                Ok(next) => next,
                Err(refused) => return refused,
            };
            match self.full_at_ns.compare_exchange_weak(full_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Take::Taken { renew: next > self.renew_above_ns.load(Ordering::Relaxed) },
                Err(current) => full_at = current,
            }
        }
    }

    /// Puts one request back.
    pub(crate) fn refund(&self, rule: RateRule) {
        // A retired cell stays retired: its word is the largest, and only `take` adds to it.
        let _ = self.full_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            (full_at != RETIRED).then(|| full_at.saturating_sub(rule.interval_ns))
        });
    }

    /// Requests left, and nanoseconds until the bucket is full.
    pub(crate) fn level(&self, rule: RateRule, now_ns: u64) -> (u64, u64) {
        let full_at = self.full_at_ns.load(Ordering::Relaxed);
        let until_full = full_at.saturating_sub(now_ns).min(rule.full_ns);
        let left = (rule.full_ns - until_full) / rule.interval_ns;
        (left.min(rule.burst), until_full)
    }

    fn next(&self, rule: RateRule, full_at: u64, now_ns: u64) -> Result<u64, Take> {
        if full_at == RETIRED {
            return Err(Take::NotGranted);
        }
        let brim = now_ns.saturating_add(rule.full_ns);
        // A narrower limit may leave the arrival time beyond the brim: then the bucket counts as empty, no worse.
        let next = full_at.clamp(now_ns, brim).saturating_add(rule.interval_ns);
        if next > brim {
            return Err(Take::TooEarly { wait_ns: next - brim });
        }
        if next > self.ceiling_ns.load(Ordering::Relaxed) {
            return Err(Take::NotGranted);
        }
        Ok(next)
    }

    // What follows is for the keeper alone: one task, so plain stores do not race with each other.

    pub(crate) fn tuned_to(&self) -> u64 {
        self.tuned_to.load(Ordering::Relaxed)
    }

    /// When the bucket will be full if it is measured in `rule` from `now_ns` on.
    pub(crate) fn full_at_in(&self, rule: RateRule, now_ns: u64) -> u64 {
        let old = RateRule::interval_of(self.tuned_to());
        stretched(self.full_at_ns.load(Ordering::Relaxed), now_ns, old, rule.interval_ns)
    }

    pub(crate) fn ceiling_ns(&self) -> u64 {
        self.ceiling_ns.load(Ordering::Relaxed)
    }

    /// Whether a higher ceiling should be recorded for requests at `now_ns`.
    pub(crate) fn wants_more(&self, rule: RateRule, now_ns: u64) -> bool {
        let next = self.full_at_in(rule, now_ns).max(now_ns).saturating_add(rule.interval_ns);
        next > self.renew_above_ns.load(Ordering::Relaxed).min(self.ceiling_ns())
    }

    /// Begins to measure in `rule`. What was used stays used: the arrival time is stretched from the old interval
    /// to the new one. `floor_ns` is the least the arrival time may be, from the record of an earlier process.
    pub(crate) fn tune(&self, rule: RateRule, now_ns: u64, floor_ns: u64) {
        let old = RateRule::interval_of(self.tuned_to.load(Ordering::Relaxed));
        let brim = now_ns.saturating_add(rule.full_ns);
        // Admissions may still happen in the old measure meanwhile; the closure is retried until none interferes.
        let _ = self.full_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let kept = stretched(full_at, now_ns, old, rule.interval_ns).max(floor_ns).min(brim);
            (full_at != RETIRED).then_some(kept)
        });
        self.tuned_to.store(rule.signature(), Ordering::Relaxed);
    }

    /// Lets the arrival time move up to `ceiling_ns`, of which `block_ns` are new: beyond half of them more is asked.
    pub(crate) fn grant(&self, ceiling_ns: u64, block_ns: u64) {
        self.renew_above_ns.store(ceiling_ns.saturating_sub(block_ns / 2), Ordering::Relaxed);
        self.ceiling_ns.store(ceiling_ns, Ordering::Relaxed);
    }

    /// Ends the cell: nothing passes any more. Returns the last arrival time and the interval it is measured in;
    /// `None` where no request ever came, or it had ended before.
    pub(crate) fn retire(&self) -> Option<(u64, u64)> {
        let interval = RateRule::interval_of(self.tuned_to());
        let full_at = self.full_at_ns.swap(RETIRED, Ordering::Relaxed);
        (interval != 0 && full_at != RETIRED).then_some((full_at, interval))
    }
}

/// The arrival time of a cell that its process has handed back.
const RETIRED: u64 = u64::MAX;

/// `full_at` measured in requests of `old_ns` each, expressed in requests of `new_ns` each.
pub(crate) fn stretched(full_at: u64, now: u64, old_ns: u64, new_ns: u64) -> u64 {
    if old_ns == 0 || old_ns == new_ns || full_at <= now {
        return full_at;
    }
    let ahead = u128::from(full_at - now) * u128::from(new_ns) / u128::from(old_ns);
    now.saturating_add(u64::try_from(ahead).unwrap_or(u64::MAX / 4))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;
    use governor::{Quota, RateLimiter};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::limit::{Period, Rate};

    const START_NS: u64 = 1 << 60;

    fn cell(rule: RateRule) -> RateCell {
        let cell = RateCell::default();
        cell.tune(rule, START_NS, 0);
        cell.grant(u64::MAX, 0);
        cell
    }

    fn period() -> impl Strategy<Value = Period> {
        prop_oneof![Just(Period::Second), Just(Period::Minute), Just(Period::Hour), Just(Period::Day)]
    }

    proptest! {
        #[test]
        fn the_cell_admits_what_an_independent_implementation_admits(
            requests in 1_u64..5_000,
            per in period(),
            burst in 1_u32..50,
            pauses in proptest::collection::vec(0_u64..3_000, 1..200),
        ) {
            let rule = RateRule::compile(Rate { requests, per, burst: u64::from(burst) });
            let cell = cell(rule);
            let clock = FakeRelativeClock::default();
            let quota = Quota::with_period(Duration::from_nanos(rule.interval_ns)).unwrap();
            let oracle =
                RateLimiter::direct_with_clock(quota.allow_burst(NonZeroU32::new(burst).unwrap()), clock.clone());
            let mut now_ns = START_NS;
            for pause in pauses {
                // Pauses in thousandths of the interval, so that both sides of every edge are met.
                let pause_ns = rule.interval_ns / 1_000 * pause;
                now_ns += pause_ns;
                clock.advance(Duration::from_nanos(pause_ns));
                let admitted = matches!(cell.take(rule, now_ns), Take::Taken { .. });
                prop_assert_eq!(admitted, oracle.check().is_ok());
            }
        }

        #[test]
        fn peeking_says_what_taking_does(requests in 1_u64..100, burst in 1_u64..5, pauses in proptest::collection::vec(0_u64..2_000_000_000, 1..50)) {
            let rule = RateRule::compile(Rate { requests, per: Period::Second, burst });
            let cell = cell(rule);
            let mut now_ns = START_NS;
            for pause in pauses {
                now_ns += pause;
                prop_assert_eq!(cell.peek(rule, now_ns), cell.take(rule, now_ns));
            }
        }
    }

    #[test]
    fn threads_racing_for_a_bucket_get_exactly_the_burst() {
        let rule = RateRule::compile(Rate { requests: 1, per: Period::Day, burst: 10_000 });
        let cell = cell(rule);
        let admitted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while let Take::Taken { .. } = cell.take(rule, START_NS) {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 10_000);
    }

    #[test]
    fn a_changed_rate_keeps_what_was_used() {
        let hourly = RateRule::compile(Rate { requests: 10, per: Period::Hour, burst: 10 });
        let cell = cell(hourly);
        for _ in 0..4 {
            assert!(matches!(cell.take(hourly, START_NS), Take::Taken { .. }));
        }
        let wider = RateRule::compile(Rate { requests: 100, per: Period::Hour, burst: 100 });
        assert_eq!(cell.peek(wider, START_NS), Take::NotGranted, "the keeper has to see to it first");
        cell.tune(wider, START_NS, 0);
        assert_eq!(cell.level(wider, START_NS).0, 96);
        let narrower = RateRule::compile(Rate { requests: 2, per: Period::Day, burst: 2 });
        cell.tune(narrower, START_NS, 0);
        assert_eq!(cell.level(narrower, START_NS).0, 0, "an empty bucket is the worst there is");
    }

    #[test]
    fn nothing_passes_beyond_the_record_nor_after_the_end() {
        let rule = RateRule::compile(Rate { requests: 1, per: Period::Hour, burst: 10 });
        let cell = cell(rule);
        cell.grant(START_NS + 2 * rule.interval_ns, 2 * rule.interval_ns);
        assert_eq!(cell.take(rule, START_NS), Take::Taken { renew: false });
        assert_eq!(cell.take(rule, START_NS), Take::Taken { renew: true });
        assert_eq!(cell.take(rule, START_NS), Take::NotGranted);
        assert_eq!(cell.retire(), Some((START_NS + 2 * rule.interval_ns, rule.interval_ns)));
        cell.refund(rule);
        assert_eq!(cell.take(rule, START_NS), Take::NotGranted);
        assert_eq!(cell.retire(), None);
    }
}
