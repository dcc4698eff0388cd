//! What metrics tell of the calls to Redis.
//!
//! Promises that counting never waits, and that names are those of calls in the program: a few, known beforehand.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dashmap::DashMap;

/// Counters of the calls of one process. They only grow; [`breaker_open`](RedisCounters::breaker_open) is a state.
#[derive(Debug, Default)]
pub struct RedisCounters {
    calls: DashMap<&'static str, Tally>,
    reconnects: AtomicU64,
    breaker_open: AtomicBool,
}

/// Of one kind of call.
#[derive(Debug, Default)]
struct Tally {
    calls: AtomicU64,
    failures: AtomicU64,
}

/// The calls of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Calls {
    /// What is called.
    pub name: &'static str,
    /// How often it was.
    pub calls: u64,
    /// How often no answer came, or a refusal.
    pub failures: u64,
}

impl RedisCounters {
    /// All calls made so far, by name.
    pub fn calls(&self) -> Vec<Calls> {
        let mut all: Vec<Calls> = self
            .calls
            .iter()
            .map(|tally| Calls {
                name: tally.key(),
                calls: tally.calls.load(Ordering::Relaxed),
                failures: tally.failures.load(Ordering::Relaxed),
            })
            .collect();
        all.sort_unstable();
        all
    }

    /// Connections that were opened after the first one.
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// Whether calls fail at once because the last ones did.
    pub fn breaker_open(&self) -> bool {
        self.breaker_open.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, name: &'static str, failed: bool) {
        let tally = self.calls.entry(name).or_default();
        tally.calls.fetch_add(1, Ordering::Relaxed);
        tally.failures.fetch_add(u64::from(failed), Ordering::Relaxed);
    }

    pub(super) fn reconnected(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_breaker(&self, open: bool) {
        self.breaker_open.store(open, Ordering::Relaxed);
    }
}
