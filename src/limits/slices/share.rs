//! What a gateway of a fleet holds of one account beside quotas: tokens of the rate and places, and until when.
//!
//! Promises that no more is spent than the ledger granted, and nothing after the ledger may have taken it back. Read
//! and spent by requests without a lock; what is granted is written by the keeper alone.

use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use crate::limits::account::Account;
use crate::limits::effective::RateRule;
use crate::limits::quota::QuotaLease;
use crate::limits::rate::Take;

/// Seconds after which what other gateways left unused has come back: they give back after ten, and look about twice
/// in that time.
pub(crate) const GIVEN_BACK_S: u64 = 16;

/// What the keeper and requests share of an account, in a fleet.
///
/// Every atomic stands for itself, and an old reading makes a request wait or be refused, never pass: `Relaxed` is
/// enough.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// Tokens: granted and spent since the lease began.
    pub(crate) tokens: ArcSwapOption<QuotaLease>,
    /// The signature of the rule that the tokens were granted under.
    pub(crate) tuned_to: AtomicU64,
    /// Tokens that were left in the fleet's bucket at the last answer.
    pub(crate) left: AtomicU64,
    /// A request went on to spend a token at this monotonic instant, at the latest.
    pub(crate) spent_at_ns: AtomicU64,
    /// Before this instant the fleet's bucket is known to hold no token.
    pub(crate) tokens_again_ns: AtomicU64,
    /// Before this instant no place is known to be free.
    pub(crate) places_again_ns: AtomicU64,
    /// From this instant on the ledger may have taken tokens and places back.
    pub(crate) valid_until_ns: AtomicU64,
    /// Before this instant the ledger is known not to answer for this account.
    pub(crate) lacks_until_ns: AtomicU64,
}

/// Why a request did not get a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// All are taken.
    Full,
    /// The ledger has to be asked.
    NotGranted,
}

impl Shares {
    /// Takes a place for a request at `now_ns`.
    pub(crate) fn enter(&self, account: &Account, limit: u32, now_ns: u64) -> Result<(), Entry> {
        if now_ns >= self.valid_until_ns.load(Ordering::Relaxed) {
            return Err(Entry::NotGranted);
        }
        if account.in_flight() < limit && account.enter_place() {
            return Ok(());
        }
        let known = account.in_flight() >= limit || now_ns < self.places_again_ns.load(Ordering::Relaxed);
        Err(if known { Entry::Full } else { Entry::NotGranted })
    }

    /// What [`Shares::take`] would say, without taking.
    pub(crate) fn peek(&self, rule: RateRule, tokens: Option<&QuotaLease>, now_ns: u64) -> Take {
        let granted = self.tuned_to.load(Ordering::Relaxed) == rule.signature()
            && now_ns < self.valid_until_ns.load(Ordering::Relaxed);
        let Some(tokens) = tokens.filter(|_| granted) else { return Take::NotGranted };
        if tokens.used() < tokens.granted() {
            return Take::Taken { renew: false };
        }
        match self.tokens_again_ns.load(Ordering::Relaxed).saturating_sub(now_ns) {
            0 => Take::NotGranted,
            wait_ns => Take::TooEarly { wait_ns },
        }
    }

    /// Takes one token.
    pub(crate) fn take(&self, rule: RateRule, tokens: Option<&QuotaLease>, now_ns: u64) -> Take {
        match self.peek(rule, tokens, now_ns) {
            Take::Taken { .. } => {}
            refused @ (Take::TooEarly { .. } | Take::NotGranted) => return refused,
        }
        // Before the token is spent: whoever sees it spent sees when, too.
        self.spent_at_ns.fetch_max(now_ns, Ordering::AcqRel);
        match tokens.and_then(|tokens| tokens.spend(u64::MAX)) {
            Some(renew) => Take::Taken { renew },
            None => Take::NotGranted,
        }
    }

    /// Tokens left in the bucket and here, and nanoseconds until the bucket is full, as far as is known.
    pub(crate) fn level(&self, rule: RateRule) -> (u64, u64) {
        let tokens = self.tokens.load();
        let known = self.tuned_to.load(Ordering::Relaxed) == rule.signature();
        let Some(tokens) = tokens.as_deref().filter(|_| known) else { return (rule.burst, 0) };
        let here = tokens.granted().saturating_sub(tokens.used());
        let left = self.left.load(Ordering::Relaxed).saturating_add(here).min(rule.burst);
        (left, rule.interval_ns.saturating_mul(rule.burst - left).min(rule.full_ns))
    }

    /// Whether the ledger is known not to answer for this account at `now_ns`.
    pub(crate) fn lacks(&self, now_ns: u64) -> bool {
        now_ns < self.lacks_until_ns.load(Ordering::Relaxed)
    }
}
