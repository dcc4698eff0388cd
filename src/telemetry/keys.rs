//! Requests by key, with a bound on how many keys have series of their own.
//!
//! Promises that `other` never falls, whichever keys come and go, and that a key's requests are counted in exactly
//! one of the two: its own series or `other`. Never keeps a series of a key that is gone.

use std::collections::{HashMap, HashSet};

use super::exposition::{Family, Kind};
use super::labels::OTHER;
use crate::domain::id::KeyId;

/// What was counted of one key since this process began to count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyTotals {
    /// Requests that were admitted and answered.
    pub allowed: u64,
    /// Requests that were refused.
    pub denied: u64,
    /// Requests that were admitted and then failed.
    pub failed: u64,
}

impl KeyTotals {
    fn is_zero(self) -> bool {
        self == KeyTotals::default()
    }

    /// Adds what `now` has more than `before`.
    fn add_growth(&mut self, before: KeyTotals, now: KeyTotals) {
        self.allowed += now.allowed.saturating_sub(before.allowed);
        self.denied += now.denied.saturating_sub(before.denied);
        self.failed += now.failed.saturating_sub(before.failed);
    }
}

/// Where the counters of keys are: the key table.
pub trait KeyCounters: Send + Sync {
    /// Tells of every key that has been used, once. Totals of one key never fall.
    fn visit(&self, tell: &mut dyn FnMut(KeyId, KeyTotals));

    /// How many keys there are, used or not.
    fn key_count(&self) -> usize;
}

/// Which keys have series of their own, and what the others came to.
#[derive(Debug)]
pub(crate) struct KeySeries {
    keys_max: usize,
    named: HashSet<KeyId>,
    /// What was last seen of each key that is summed into `other`: only growth is added, so a key that goes takes
    /// nothing back. A key in here is not promoted when a place gets free: its past would be counted twice.
    summed: HashMap<KeyId, KeyTotals>,
    other: KeyTotals,
}

impl KeySeries {
    pub(crate) fn new(keys_max: usize) -> KeySeries {
        KeySeries { keys_max, named: HashSet::new(), summed: HashMap::new(), other: KeyTotals::default() }
    }

    /// Brings the series up to what `counters` tell now, and shows them.
    pub(crate) fn collect(&mut self, counters: &dyn KeyCounters) -> Family {
        let mut family = Family::new(
            "keystile_key_requests_total",
            "Requests with a good key by outcome, and by key for at most metrics.keys_max keys; \
             all other keys together are key=\"other\".",
            Kind::Counter,
        );
        let mut seen: HashMap<KeyId, KeyTotals> =
            HashMap::with_capacity(self.named.len() + self.summed.len());
        counters.visit(&mut |key, totals| {
            if !totals.is_zero() {
                seen.insert(key, totals);
            }
        });
        // Keys that are gone give up their places before new ones ask for them.
        self.named.retain(|key| seen.contains_key(key));
        self.summed.retain(|key, _| seen.contains_key(key));
        for (key, totals) in seen {
            if self.named.contains(&key) || (self.has_room() && !self.summed.contains_key(&key)) {
                self.named.insert(key);
                push(&mut family, &key.to_string(), totals);
            } else {
                let before = self.summed.insert(key, totals).unwrap_or_default();
                self.other.add_growth(before, totals);
            }
        }
        push(&mut family, OTHER, self.other);
        family
    }

    fn has_room(&self) -> bool {
        self.named.len() < self.keys_max
    }
}

fn push(family: &mut Family, key: &str, totals: KeyTotals) {
    for (outcome, count) in
        [("allowed", totals.allowed), ("denied", totals.denied), ("failed", totals.failed)]
    {
        family.push(&[("key", key), ("outcome", outcome)], count as f64);
    }
}
