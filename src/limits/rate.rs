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
