//! The ledger: where grants and counts outlive the process.
//!
//! Owns the trait that every store of limits implements, its messages, and the rules by which a grant follows from
//! what is on record. Promises that a grant is on record when `renew` returns. Never decides on a request.

use std::future::Future;
use std::sync::Arc;

use super::account::Totals;
use super::quota::Span;
use super::rate::stretched;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, KeyId};
use crate::domain::limit::Window;

/// The store refused or failed. The text is for operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

/// How much of an account the asking process holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It does not know what is on record.
    Unknown {
        /// Granted in memory while the store failed, to be added to what is on record.
        unsecured: u64,
    },
    /// It holds all that was granted: so much, in total. What is on record may be less, never more that matters.
    Total(u64),
}

/// A wish to count further in one window of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaAsk {
    /// The key.
    pub key: KeyId,
    /// The kind of window.
    pub window: Window,
    /// The window by the calendar; a window on record that still goes on comes before it.
    pub span: Span,
    /// The quota: no more than this is granted in total.
    pub limit: u64,
    /// What is granted already.
    pub held: Held,
    /// Requests wished for beyond that.
    pub want: u64,
}

/// What may be spent of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaGrant {
    /// The window.
    pub span: Span,
    /// Granted before this ask, by others or by earlier processes; counts as used. 0 where `held` was a total.
    pub earlier: u64,
    /// Granted in total, `earlier` and what was held included.
    pub granted: u64,
}

impl QuotaAsk {
    /// The grant that follows from what is on record.
    pub fn grant(&self, record: Option<(Span, u64)>, now: UnixMillis) -> QuotaGrant {
        let (span, recorded) = match record {
            Some((span, granted)) if span.holds(now) => (span, granted),
            Some(_) | None => (self.span, 0),
        };
        let (earlier, base) = match self.held {
            Held::Unknown { unsecured } => (recorded, recorded.saturating_add(unsecured)),
            Held::Total(total) => (0, total),
        };
        let left = self.limit.saturating_sub(base);
        QuotaGrant { span, earlier, granted: base + self.want.min(left) }
    }
}

/// A wish to let a rate cell move on. Times are wall-clock nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateAsk {
    /// The key.
    pub key: KeyId,
    /// Nanoseconds a request costs.
    pub interval_ns: u64,
    /// Whether the asking process does not know what is on record.
    pub recall: bool,
    /// What is granted already: the arrival time may move up to here. Never taken back.
    pub ceiling_unix_ns: u64,
    /// Requests wished for beyond the arrival time; 0 where the rate is too fast to be worth a record.
    pub want: u64,
    /// The arrival time now: the wish counts from the later of it, `now` and the record.
    pub full_at_unix_ns: u64,
    /// Nanoseconds of a whole bucket: a record further ahead than this counts as an empty bucket.
    pub full_ns: u64,
}

/// How far a rate cell may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateGrant {
    /// The arrival time on record, in the asked interval; 0 where there is none or it was not asked for.
    pub earlier_unix_ns: u64,
    /// The arrival time may move up to here.
    pub ceiling_unix_ns: u64,
}

impl RateAsk {
    /// The grant that follows from the arrival time and the interval on record.
    pub fn grant(&self, record: Option<(u64, u64)>, now_unix_ns: u64) -> RateGrant {
        let brim = now_unix_ns.saturating_add(self.full_ns);
        let earlier = match record {
            Some((full_at, interval)) if self.recall => {
                stretched(full_at, now_unix_ns, interval, self.interval_ns).min(brim)
            }
            Some(_) | None => 0,
        };
        let from = self.full_at_unix_ns.max(earlier).max(now_unix_ns);
        let wished = from.saturating_add(self.want.saturating_mul(self.interval_ns)).min(i64::MAX as u64);
        RateGrant { earlier_unix_ns: earlier, ceiling_unix_ns: wished.max(self.ceiling_unix_ns) }
    }
}

/// A meter's grant: so many requests, in total since this process began, may be admitted before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterGrant {
    /// The key.
    pub key: KeyId,
    /// Requests in total.
    pub granted: u64,
}

/// One batch of wishes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asks {
    /// Wishes for quotas.
    pub quotas: Vec<QuotaAsk>,
    /// Wishes for rates.
    pub rates: Vec<RateAsk>,
    /// Meters to be put on record as they are.
    pub meters: Vec<MeterGrant>,
}

/// The answers, in the order of the wishes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// One for each wish for a quota.
    pub quotas: Vec<QuotaGrant>,
    /// One for each wish for a rate.
    pub rates: Vec<RateGrant>,
}

/// Admitted requests of one key that took one route to one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathCount {
    /// The route's label.
    pub route: Arc<str>,
    /// The agent and its slug when it was counted; `None` where the route has no agent.
    pub agent: Option<(AgentId, Arc<str>)>,
    /// How many.
    pub requests: u64,
}

/// Counts of one key that are not on record yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageDelta {
    /// The key.
    pub key: KeyId,
    /// What to add.
    pub counts: Totals,
    /// Admitted requests counted since this process began, these included: the meter is settled up to here.
    pub settled: u64,
}

/// What a process hands back when it leaves. Everything is absolute: written twice, it says the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Returns {
    /// Key, window, its span, and what was used of it.
    pub quotas: Vec<(KeyId, Window, Span, u64)>,
    /// Key, arrival time in wall-clock nanoseconds, interval in nanoseconds.
    pub rates: Vec<(KeyId, u64, u64)>,
    /// Meters, down to what was admitted.
    pub meters: Vec<MeterGrant>,
}

/// What the process before this one left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Boot {
    /// Set where it did not leave cleanly: until then, at the latest, it may have admitted.
    pub died_before: Option<UnixMillis>,
}

/// Where counts of requests are recorded, in a process alone and in a fleet alike.
pub trait UsageBook: Send + Sync + 'static {
    /// Begins a process's life, which may admit until `until`: books what the process before had admitted and not
    /// recorded, and tells how it ended. Comes before every other call.
    fn begin(
        &self,
        now: UnixMillis,
        until: UnixMillis,
    ) -> impl Future<Output = Result<Boot, LedgerError>> + Send;

    /// Adds counts to the minute at `at_minute`, all or nothing, and notes keys that admitted as used at `now`.
    fn record_usage(
        &self,
        deltas: &[UsageDelta],
        at_minute: UnixMillis,
        now: UnixMillis,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Adds the ways that admitted requests took to the minute at `at_minute`, all or nothing. The counts of that minute
    /// contain the requests already; each key comes once, and each way of it.
    fn record_paths(
        &self,
        paths: &[(KeyId, Vec<PathCount>)],
        at_minute: UnixMillis,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Notes that this process may admit until `until`.
    fn beat(&self, until: UnixMillis) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Forgets what is older than any page shows.
    fn prune(&self, now: UnixMillis) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Everything that was counted before `at` has been handed over.
    fn counted_until(&self, at: UnixMillis) {
        let _ = at;
    }

    /// Admitted requests of `key` that were handed over and that SQL may not have yet; too many does no harm. 0 where
    /// handing over and recording are one step.
    fn unrecorded(&self, key: KeyId) -> u64 {
        let _ = key;
        0
    }
}

/// Where the limits of one process are counted. One contract test runs over every implementation.
pub trait Ledger: UsageBook {
    /// Grants, all or nothing. Repeating a batch that may have been carried out does no harm.
    fn renew(
        &self,
        asks: &Asks,
        now_unix_ns: u64,
    ) -> impl Future<Output = Result<Grants, LedgerError>> + Send;

    /// Takes back what was not spent. May be called several times.
    fn return_leases(&self, returns: &Returns) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Notes that this process left cleanly. The last call.
    fn end(&self) -> impl Future<Output = Result<(), LedgerError>> + Send;
}
