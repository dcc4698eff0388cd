//! How long the table may be believed.
//!
//! Owns two instants on this process's monotonic clock. In one process the table is the truth and believed always; in a
//! fleet it is a replica, fresh for a while after each sync with the feed. Promises that reading costs two loads. Never
//! compares the clocks of two machines.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::clock::Clock;

/// Believed for ever.
const ALWAYS: u64 = u64::MAX;

/// Until when the table is believed.
///
/// The instants stand for themselves: what the table contains is published by the map's own locks before they are
/// moved on, with Release here and Acquire there.
#[derive(Debug)]
pub struct Trust {
    fresh_until_ns: AtomicU64,
    serves_until_ns: AtomicU64,
}

/// What may be done by the table now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is what the console says: a key that is not in it does not exist.
    Fresh,
    /// It may lack the last changes, and the configuration lets it serve on: keys in it pass, and of others nobody knows.
    Stale,
    /// It must not be used.
    Over,
}

impl Trust {
    /// For a table that is the truth.
    pub(super) const fn always() -> Trust {
        Trust { fresh_until_ns: AtomicU64::new(ALWAYS), serves_until_ns: AtomicU64::new(ALWAYS) }
    }

    /// For a replica that has not been filled.
    pub(super) const fn not_yet() -> Trust {
        Trust { fresh_until_ns: AtomicU64::new(0), serves_until_ns: AtomicU64::new(0) }
    }

    /// How the table stands now.
    pub fn standing(&self, clock: &Clock) -> Standing {
        let fresh_until_ns = self.fresh_until_ns.load(Ordering::Acquire);
        if fresh_until_ns == ALWAYS {
            // Saves the clock's reading where nothing depends on it.
            return Standing::Fresh;
        }
        let now_ns = clock.mono_ns();
        if now_ns < fresh_until_ns {
            Standing::Fresh
        } else if now_ns < self.serves_until_ns() {
            Standing::Stale
        } else {
            Standing::Over
        }
    }

    /// Believes the table until `fresh_until_ns`, and lets it serve until `serves_until_ns`, which is not before that.
    /// Never takes back what was given.
    pub fn extend(&self, fresh_until_ns: u64, serves_until_ns: u64) {
        self.serves_until_ns.fetch_max(serves_until_ns, Ordering::AcqRel);
        self.fresh_until_ns.fetch_max(fresh_until_ns, Ordering::AcqRel);
    }

    /// The instant from which on the table must not be used, on the monotonic clock in nanoseconds.
    pub fn serves_until_ns(&self) -> u64 {
        self.serves_until_ns.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::clock::UnixMillis;

    #[test]
    fn a_replica_is_fresh_then_stale_then_over_and_never_gets_less_than_it_was_given() {
        let clock = Clock::manual(UnixMillis(1_000_000));
        let trust = Trust::not_yet();
        assert_eq!(trust.standing(&clock), Standing::Over);
        let start = clock.mono_ns();
        trust.extend(start + 10, start + 30);
        trust.extend(start + 5, start + 20);
        for (nanos, expected) in
            [(9, Standing::Fresh), (1, Standing::Stale), (19, Standing::Stale), (1, Standing::Over)]
        {
            clock.advance(Duration::from_nanos(nanos));
            assert_eq!(trust.standing(&clock), expected);
        }
        assert_eq!(Trust::always().standing(&clock), Standing::Fresh);
    }
}
