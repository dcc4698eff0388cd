//! Requests by key, with a bound on how many keys have series of their own.
//!
//! Promises that `other` never falls, whichever keys come and go, and that a key's requests are counted in exactly
//! one of the two: its own series or `other`. Never keeps a series of a key that is gone.

use std::collections::HashMap;

use super::exposition::{Family, Kind};
use super::labels::OTHER;
use crate::domain::id::KeyId;
use crate::keytable::KeyTable;

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

impl KeyCounters for KeyTable {
    fn visit(&self, tell: &mut dyn FnMut(KeyId, KeyTotals)) {
        self.for_each_account(|entry| {
            if let Some(account) = entry.account_in_use() {
                let totals = account.totals();
                let (allowed, failed) = (totals.allowed, totals.failed);
                tell(entry.id, KeyTotals { allowed, denied: totals.denied(), failed });
            }
        });
    }

    fn key_count(&self) -> usize {
        self.len()
    }
}

/// Which keys have series of their own, and what the others came to.
#[derive(Debug)]
pub(crate) struct KeySeries {
    keys_max: usize,
    /// Counts the scrapes: a key that was not seen in the last one is gone.
    scrape: u64,
    /// Keys with series of their own, and when they were last seen.
    named: HashMap<KeyId, u64>,
    /// Keys that are summed into `other`. A key in here is not promoted when a place gets free: its past would be
    /// counted twice.
    summed: HashMap<KeyId, LastSeen>,
    other: KeyTotals,
}

/// What was last seen of a key, and in which scrape: only growth is added to `other`, so a key that goes takes
/// nothing back.
#[derive(Debug)]
struct LastSeen {
    totals: KeyTotals,
    scrape: u64,
}

impl KeySeries {
    pub(crate) fn new(keys_max: usize) -> KeySeries {
        KeySeries {
            keys_max,
            scrape: 0,
            named: HashMap::new(),
            summed: HashMap::new(),
            other: KeyTotals::default(),
        }
    }

    /// Brings the series up to what `counters` tell now, and shows them.
    pub(crate) fn collect(&mut self, counters: &dyn KeyCounters) -> Family {
        let mut family = Family::new(
            "keystile_key_requests_total",
            "Requests with a good key by outcome, and by key for at most metrics.keys_max keys; \
             all other keys together are key=\"other\".",
            Kind::Counter,
        );
        self.scrape += 1;
        let mut new = Vec::new();
        counters.visit(&mut |key, totals| {
            if let Some(scrape) = self.named.get_mut(&key) {
                *scrape = self.scrape;
                push(&mut family, &key.to_string(), totals);
            } else if let Some(last) = self.summed.get_mut(&key) {
                self.other.add_growth(last.totals, totals);
                *last = LastSeen { totals, scrape: self.scrape };
            } else if !totals.is_zero() {
                new.push((key, totals));
            }
        });
        // Keys that are gone give up their places before new ones ask for them.
        self.named.retain(|_, scrape| *scrape == self.scrape);
        self.summed.retain(|_, last| last.scrape == self.scrape);
        for (key, totals) in new {
            if self.named.len() < self.keys_max {
                self.named.insert(key, self.scrape);
                push(&mut family, &key.to_string(), totals);
            } else {
                self.summed.insert(key, LastSeen { totals, scrape: self.scrape });
                self.other.add_growth(KeyTotals::default(), totals);
            }
        }
        push(&mut family, OTHER, self.other);
        family
    }
}

fn push(family: &mut Family, key: &str, totals: KeyTotals) {
    for (outcome, count) in
        [("allowed", totals.allowed), ("denied", totals.denied), ("failed", totals.failed)]
    {
        family.push(&[("key", key), ("outcome", outcome)], count as f64);
    }
}
