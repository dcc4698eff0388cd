//! A quota's lease: the part of a calendar window's quota that this process may spend without asking anyone.
//!
//! Promises that what was spent is never more than what was granted, and that what was granted is on record before
//! it can be spent. Never goes back to an earlier window.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::domain::clock::{Moment, UnixMillis};

/// A wall clock that is set back by less than this keeps the window it was in: nobody gains a second quota.
pub(crate) const SET_BACK_MS_MAX: u64 = 60_000;

/// Marks a lease that was handed back. Larger than any quota, so nothing is spent from it.
const RETIRED: u64 = u64::MAX;

/// Where a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// One more may be spent.
    Open,
    /// The quota is used up until the window's end.
    UsedUp,
    /// Another window has begun, or the grant is used up and the quota is not.
    Lapsed,
}

/// Half-open span of wall-clock time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first millisecond.
    pub start: UnixMillis,
    /// The first millisecond after it.
    pub end: UnixMillis,
}

impl Span {
    /// All of time, for what has no window.
    pub const ALWAYS: Span = Span { start: UnixMillis(0), end: UnixMillis(i64::MAX as u64) };

    /// Whether counting goes on in this span at `now`. A clock set back a little does not leave it.
    pub fn holds(self, now: UnixMillis) -> bool {
        now < self.end && now.0.saturating_add(SET_BACK_MS_MAX) >= self.start.0
    }
}

/// Granted and used in one window.
///
/// `used` moves by compare-and-exchange and is what makes the count exact; `granted` only grows. Neither publishes
/// other memory, so `Relaxed` is enough: reading an old `granted` makes a request wait, never pass wrongly.
#[derive(Debug)]
pub(crate) struct QuotaLease {
    pub(crate) span: Span,
    used: AtomicU64,
    granted: AtomicU64,
    /// From this use on, ask for more in the background.
    renew_at: AtomicU64,
    /// Whether the record of earlier processes is contained in the numbers. Written by the keeper alone.
    anchored: AtomicBool,
    /// In a fleet: how much of both numbers is granted to others. Written by the keeper alone.
    elsewhere: AtomicU64,
    /// In a fleet: where all is granted, on the monotonic clock the time from which on to ask whether others gave
    /// something back. `u64::MAX` where nothing can come back.
    again_ns: AtomicU64,
}

impl QuotaLease {
    /// A lease on `span` of which `used` are used and nothing more is granted.
    pub(crate) fn new(span: Span, used: u64, anchored: bool) -> QuotaLease {
        QuotaLease {
            span,
            used: AtomicU64::new(used),
            granted: AtomicU64::new(used),
            renew_at: AtomicU64::new(u64::MAX),
            anchored: AtomicBool::new(anchored),
            elsewhere: AtomicU64::new(0),
            again_ns: AtomicU64::new(u64::MAX),
        }
    }

    /// A lease on `span` of which `elsewhere` are granted to other gateways, and here `own`, `used` of them used.
    pub(crate) fn shared(span: Span, elsewhere: u64, own: u64, used: u64) -> QuotaLease {
        let lease = QuotaLease::new(span, elsewhere.saturating_add(used), true);
        lease.elsewhere.store(elsewhere, Ordering::Relaxed);
        lease.grant(elsewhere.saturating_add(own));
        lease
    }

    pub(crate) fn standing(&self, limit: u64, now: Moment) -> Standing {
        if !self.span.holds(now.unix) {
            return Standing::Lapsed;
        }
        let used = self.used.load(Ordering::Relaxed);
        if used == RETIRED {
            Standing::Lapsed
        } else if used >= limit {
            let again = now.mono_ns >= self.again_ns.load(Ordering::Relaxed);
            if again { Standing::Lapsed } else { Standing::UsedUp }
        } else if used >= self.granted.load(Ordering::Relaxed) {
            Standing::Lapsed
        } else {
            Standing::Open
        }
    }

    /// Spends one. `None` where the quota or the grant is used up; otherwise whether to ask for more.
    pub(crate) fn spend(&self, limit: u64) -> Option<bool> {
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let granted = self.granted.load(Ordering::Relaxed);
            if used >= limit.min(granted) {
                return None;
            }
            match self.used.compare_exchange_weak(used, used + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(granted < limit && used + 1 >= self.renew_at.load(Ordering::Relaxed)),
                Err(current) => used = current,
            }
        }
    }

    /// Puts one back.
    pub(crate) fn refund(&self) {
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            (used != RETIRED).then(|| used.saturating_sub(1))
        });
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn is_anchored(&self) -> bool {
        self.anchored.load(Ordering::Relaxed)
    }

    pub(crate) fn granted(&self) -> u64 {
        self.granted.load(Ordering::Relaxed)
    }

    /// Whether more should be granted: half of the last grant is used.
    pub(crate) fn wants_more(&self, limit: u64) -> bool {
        let used = self.used();
        used < limit
            && self.granted() < limit
            && used >= self.renew_at.load(Ordering::Relaxed).min(self.granted())
    }

    /// Raises the grant to `granted` in total; from half of what is then left on, more is asked for. For the keeper
    /// alone.
    pub(crate) fn grant(&self, granted: u64) {
        let granted = granted.max(self.granted());
        let left = granted.saturating_sub(self.used());
        self.renew_at.store(granted - left / 2, Ordering::Relaxed);
        self.granted.store(granted, Ordering::Relaxed);
    }

    /// Adds what earlier processes had used, found on record only now. For the keeper alone.
    pub(crate) fn anchor(&self, earlier: u64) {
        // Use first: between the two stores a request may wait, and none may pass.
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            (used != RETIRED).then(|| used.saturating_add(earlier))
        });
        self.granted.fetch_add(earlier, Ordering::Relaxed);
        self.anchored.store(true, Ordering::Relaxed);
    }

    /// Of what is used and granted, the part that is granted to others.
    pub(crate) fn elsewhere(&self) -> u64 {
        self.elsewhere.load(Ordering::Relaxed)
    }

    /// Takes in that `elsewhere` are granted to others, no fewer than before, and here `own`. For the keeper alone.
    pub(crate) fn share(&self, elsewhere: u64, own: u64) {
        let more = elsewhere.saturating_sub(self.elsewhere.swap(elsewhere, Ordering::Relaxed));
        // Use first: between the two stores a request may wait, and none may pass.
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            (used != RETIRED).then(|| used.saturating_add(more))
        });
        self.grant(elsewhere.saturating_add(own));
    }

    /// From `again_ns` on, ask anew though all is granted.
    pub(crate) fn ask_again(&self, again_ns: u64) {
        self.again_ns.store(again_ns, Ordering::Relaxed);
    }

    /// Whether others may give back what would be granted here.
    pub(crate) fn may_reopen(&self) -> bool {
        self.again_ns.load(Ordering::Relaxed) != u64::MAX
    }

    /// Ends the lease and returns what was used: nothing can be spent afterwards. `None` where it had ended before.
    pub(crate) fn retire(&self) -> Option<u64> {
        let used = self.used.swap(RETIRED, Ordering::Relaxed);
        (used != RETIRED).then_some(used)
    }
}
