//! The state of one key: what it has used, what it may still use here, and what became of its requests.
//!
//! Shared by all versions of the key's entry, so that changing a key changes neither use nor window. Promises that
//! reading it costs no I/O. Never knows the limits: those come with each call, because they may change.

use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::effective::RateRule;
use super::quota::{QuotaLease, Span};
use super::rate::RateCell;
use super::slices::Shares;
use crate::domain::denial::Denial;
use crate::domain::id::KeyId;
use crate::domain::limit::Window;

/// One key's mutable state.
#[derive(Debug)]
pub struct Account {
    key: KeyId,
    pub(super) rate: RateCell,
    /// Counts what was admitted under no limit at all, so that after a crash the totals are not less than that.
    pub(super) meter: QuotaLease,
    quotas: [ArcSwapOption<QuotaLease>; 5],
    /// Requests in flight, in the low half. In a fleet the high half is how many places this gateway has.
    in_flight: AtomicU64,
    /// What a fleet's gateway holds beside quotas; empty in a process alone.
    shares: OnceLock<Box<Shares>>,
    /// Whether a background renewal is under way: at most one entry of the keeper's queue is this account's.
    pub(super) renewal_queued: AtomicBool,
    /// Whether the keeper knows that there are counts to record.
    pub(super) settlement_queued: AtomicBool,
    /// Whether the keeper holds this account in its list of those to hand back.
    pub(super) listed: AtomicBool,
    /// How many requests one grant covers, and when it was last made. Written by the keeper alone.
    pub(super) block: AtomicU64,
    pub(super) granted_at_ns: AtomicU64,
    tally: [AtomicU64; 6],
    /// What of `tally` is on record. Written by the keeper alone.
    recorded: [AtomicU64; 6],
}

/// What became of requests. Cumulative: since this process began, or over a span of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Admitted and answered by the upstream.
    pub allowed: u64,
    /// Admitted, then failed through the upstream or the client's body.
    pub failed: u64,
    /// Refused by the rate.
    pub denied_rate: u64,
    /// Refused by a quota.
    pub denied_quota: u64,
    /// Refused by the concurrency.
    pub denied_concurrency: u64,
    /// Refused for another reason, such as an agent that the key does not open.
    pub denied_other: u64,
}

impl Totals {
    /// All refusals.
    pub fn denied(&self) -> u64 {
        self.denied_rate + self.denied_quota + self.denied_concurrency + self.denied_other
    }

    /// All that were let in.
    pub fn admitted(&self) -> u64 {
        self.allowed + self.failed
    }

    /// Whether nothing was counted.
    pub fn is_zero(&self) -> bool {
        *self == Totals::default()
    }

    pub(crate) fn to_array(self) -> [u64; 6] {
        [
            self.allowed,
            self.failed,
            self.denied_rate,
            self.denied_quota,
            self.denied_concurrency,
            self.denied_other,
        ]
    }

    pub(crate) fn from_array([allowed, failed, rate, quota, concurrency, other]: [u64; 6]) -> Totals {
        Totals {
            allowed,
            failed,
            denied_rate: rate,
            denied_quota: quota,
            denied_concurrency: concurrency,
            denied_other: other,
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Totals) {
        self.allowed += more.allowed;
        self.failed += more.failed;
        self.denied_rate += more.denied_rate;
        self.denied_quota += more.denied_quota;
        self.denied_concurrency += more.denied_concurrency;
        self.denied_other += more.denied_other;
    }
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Totals>>(all: I) -> Totals {
        all.fold(Totals::default(), |mut sum, each| {
            sum += each;
            sum
        })
    }
}

/// How a request of a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Admitted and answered.
    Allowed,
    /// Refused before it was admitted.
    Denied(Denial),
    /// Admitted, then failed.
    Failed(Denial),
}

impl Account {
    /// The account of a key that has not been used here.
    pub fn new(key: KeyId) -> Account {
        Account {
            key,
            rate: RateCell::default(),
            meter: QuotaLease::new(Span::ALWAYS, 0, true),
            quotas: Default::default(),
            in_flight: AtomicU64::new(0),
            shares: OnceLock::new(),
            renewal_queued: AtomicBool::new(false),
            settlement_queued: AtomicBool::new(false),
            listed: AtomicBool::new(false),
            block: AtomicU64::new(0),
            granted_at_ns: AtomicU64::new(0),
            tally: Default::default(),
            recorded: Default::default(),
        }
    }

    /// The key.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> u32 {
        taken(self.in_flight.load(Ordering::Relaxed))
    }

    /// What this gateway of a fleet holds. Made with the key's first request.
    pub(super) fn shares(&self) -> &Shares {
        self.shares.get_or_init(Box::default)
    }

    /// Requests left of the rate, and nanoseconds until all are there, as far as is known here.
    pub(super) fn rate_level(&self, rule: RateRule, now_ns: u64) -> (u64, u64) {
        match self.shares.get() {
            None => self.rate.level(rule, now_ns),
            Some(shares) => shares.level(rule),
        }
    }

    /// What became of this key's requests since this process began.
    pub fn totals(&self) -> Totals {
        // Counters are read one by one: a sum may be ahead of another by requests that end right now.
        Totals::from_array(std::array::from_fn(|at| read(&self.tally, at)))
    }

    /// What was counted and is not on record, and what will have been counted once it is.
    pub(super) fn unrecorded(&self) -> (Totals, Totals) {
        let now: [u64; 6] = std::array::from_fn(|at| read(&self.tally, at));
        let delta = std::array::from_fn(|at| {
            now.get(at).copied().unwrap_or(0).saturating_sub(read(&self.recorded, at))
        });
        (Totals::from_array(delta), Totals::from_array(now))
    }

    /// Notes that everything up to `totals` is on record.
    pub(super) fn mark_recorded(&self, totals: Totals) {
        for (counter, total) in self.recorded.iter().zip(totals.to_array()) {
            counter.store(total, Ordering::Relaxed);
        }
    }

    pub(super) fn tally(&self, outcome: Outcome) {
        let [allowed, failed, rate, quota, concurrency, other] = &self.tally;
        let counter = match outcome {
            Outcome::Allowed => allowed,
            Outcome::Failed(_) => failed,
            Outcome::Denied(Denial::RateExceeded) => rate,
            Outcome::Denied(Denial::QuotaExceeded) => quota,
            Outcome::Denied(Denial::ConcurrencyExceeded) => concurrency,
            Outcome::Denied(_) => other,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn quota(&self, window: Window) -> &ArcSwapOption<QuotaLease> {
        let [minute, hour, day, week, month] = &self.quotas;
        match window {
            Window::Minute => minute,
            Window::Hour => hour,
            Window::Day => day,
            Window::Week => week,
            Window::Month => month,
        }
    }

    /// Takes one of `limit` places, or says that none is free.
    pub(super) fn enter(&self, limit: u32) -> bool {
        // The count guards no memory; compare-and-exchange alone keeps it at or under the limit.
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                (taken(word) < limit).then(|| word + 1)
            })
            .is_ok()
    }

    /// Takes one of the places that this gateway has, or says that none of them is free.
    pub(super) fn enter_place(&self) -> bool {
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                (taken(word) < places(word)).then(|| word + 1)
            })
            .is_ok()
    }

    /// Places that this gateway has.
    pub(super) fn places(&self) -> u32 {
        places(self.in_flight.load(Ordering::Relaxed))
    }

    /// Sets how many places this gateway has, but no fewer than are taken; gives how many it has then.
    pub(super) fn set_places(&self, wished: u32) -> u32 {
        let set = |word| u64::from(wished.max(taken(word))) << 32 | u64::from(taken(word));
        let before =
            self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| Some(set(word)));
        before.map_or(0, |word| places(set(word)))
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The low half of the word for requests in flight.
fn taken(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// The high half.
fn places(word: u64) -> u32 {
    u32::try_from(word >> 32).unwrap_or(u32::MAX)
}

fn read(counters: &[AtomicU64; 6], at: usize) -> u64 {
    counters.get(at).map_or(0, |counter| counter.load(Ordering::Relaxed))
}
