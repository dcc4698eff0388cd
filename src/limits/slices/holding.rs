//! What the keeper of a fleet's gateway knows of one account: what to ask next, and what an answer means.
//!
//! Promises that a lost answer is asked for again with the same number and contents, that what is given back can no
//! longer be spent, and that nothing of an earlier lineage is spent that the new one was not told of. Never waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::ask::{PlacesPart, QuotaPart, RatePart, SliceAsk};
use super::size::{self, Pace};
use super::standing::{FleetView, Seat};
use crate::domain::clock::Moment;
use crate::domain::limit::Quota;
use crate::limits::account::Account;
use crate::limits::calendar::window_at;
use crate::limits::effective::{EffectiveLimits, RateRule};
use crate::limits::quota::{QuotaLease, Span, Standing};

/// What is not used for so long is given back.
const UNUSED_NS: u64 = 10_000_000_000;

/// What an ask is made from beside the account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) now: Moment,
    pub(super) seat: Seat,
    pub(super) view: FleetView,
}

/// An ask that is not answered yet.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) ask: SliceAsk,
    pub(super) at_ns: u64,
    pub(super) tokens_spent: u64,
}

#[derive(Debug)]
pub(super) struct Holding {
    pub(super) account: Arc<Account>,
    pub(super) limits: Arc<EffectiveLimits>,
    /// The lineage that has been told what is held here.
    pub(super) epoch: u64,
    pub(super) first: bool,
    /// Of a first ask: admitted here and perhaps not in SQL.
    pub(super) unrecorded: u64,
    pub(super) pending: Option<Sent>,
    pub(super) flying: bool,
    /// Whether what is under way has to be let go of when it lands.
    pub(super) lapsed: bool,
    pub(super) queued: bool,
    /// Whether more is wished for, rather than only to tell what is.
    pub(super) grows: bool,
    pub(super) waiting: u64,
    pub(super) told: Vec<oneshot::Sender<()>>,
    pub(super) pace: Pace,
    /// What the ledger believes: for each window its start and what is granted here; tokens in hand; places.
    pub(super) believed: [(u64, u64); 5],
    pub(super) tokens: u64,
    pub(super) places: u32,
    /// Tokens that are to be told as put back, and as flowed in here.
    pub(super) returned: u64,
    pub(super) refilled: u64,
    pub(super) flows_from_ns: u64,
    /// When the last ask that was answered began.
    pub(super) asked_at_ns: u64,
    /// Granted and not used, of all quotas.
    pub(super) outstanding: u64,
}

impl Holding {
    pub(super) fn new(
        account: Arc<Account>,
        limits: Arc<EffectiveLimits>,
        epoch: u64,
        now: Moment,
    ) -> Holding {
        let pace = Pace::begin(account.meter.used(), now.mono_ns);
        let mut holding = Holding {
            account,
            limits,
            epoch,
            first: true,
            unrecorded: 0,
            pending: None,
            flying: false,
            lapsed: false,
            queued: false,
            grows: false,
            waiting: 0,
            told: Vec::new(),
            pace,
            believed: [(0, 0); 5],
            tokens: 0,
            places: 0,
            returned: 0,
            refilled: 0,
            flows_from_ns: 0,
            asked_at_ns: now.mono_ns,
            outstanding: 0,
        };
        // The account may have been held before: nothing was left of that.
        holding.drop_all();
        holding
    }

    /// The next ask; the last one where its answer is missing; `None` where there is nothing to ask or tell.
    pub(super) fn ask(&mut self, terms: &Terms, number: u64) -> Option<SliceAsk> {
        if let Some(sent) = &self.pending {
            return Some(sent.ask.clone());
        }
        let (now, view) = (terms.now, terms.view);
        self.pace.note(self.account.meter.used(), now.mono_ns);
        let may_grow = view.ledger_open && view.epoch == self.epoch && self.grows;
        let limits = Arc::clone(&self.limits);
        let quotas: Vec<QuotaPart> =
            limits.quotas().iter().map(|quota| self.quota_part(*quota, terms, may_grow)).collect();
        let rate = limits.rate().map(|rule| self.rate_part(rule, terms, may_grow));
        let places = limits.limits().concurrency.map(|limit| self.places_part(limit, terms, may_grow));
        let wishes = quotas.iter().any(|part| part.want != self.believed_of(part.window.index(), part.span))
            || rate.is_some_and(|part| part.want != part.held || part.returned > 0 || part.refilled > 0)
            || places.is_some_and(|part| part.want != self.places);
        let declares = self.first && self.epoch != view.epoch;
        let due = (self.tokens > 0 || self.places > 0)
            && now.mono_ns.saturating_sub(self.asked_at_ns) >= terms.seat.keeps_ns();
        if !(wishes || declares || due) {
            return None;
        }
        let ask = SliceAsk {
            key: self.account.key(),
            gateway: terms.seat.gateway,
            number,
            epoch: view.epoch,
            first: self.first,
            unrecorded: self.unrecorded,
            lapse_ms: terms.seat.lapse_ms(),
            gateways: view.gateways.max(1),
            silent: view.silent,
            quotas,
            rate,
            places,
        };
        (self.returned, self.refilled) = (0, 0);
        let tokens_spent = self.account.shares().tokens.load().as_deref().map_or(0, |tokens| {
            // What was in hand when the ask was made is what was granted less this.
            tokens.granted().saturating_sub(rate.map_or(0, |part| part.held))
        });
        self.pending = Some(Sent { ask: ask.clone(), at_ns: now.mono_ns, tokens_spent });
        Some(ask)
    }

    fn believed_of(&self, window: usize, span: Span) -> u64 {
        self.believed.get(window).filter(|(start, _)| *start == span.start.0).map_or(0, |(_, own)| *own)
    }

    fn quota_part(&self, quota: Quota, terms: &Terms, may_grow: bool) -> QuotaPart {
        let now = terms.now;
        let lease = self.account.quota(quota.per).load_full().filter(|lease| lease.span.holds(now.unix));
        let span = lease
            .as_ref()
            .map_or_else(|| window_at(quota.per, self.limits.zone(), now.unix), |lease| lease.span);
        let (elsewhere, granted, used) =
            lease.as_ref().map_or((0, 0, 0), |lease| (lease.elsewhere(), lease.granted(), lease.used()));
        let own = granted.saturating_sub(elsewhere);
        let used = used.saturating_sub(elsewhere).min(own);
        let wants = may_grow
            && lease.as_ref().is_none_or(|lease| {
                lease.wants_more(quota.requests) || lease.standing(quota.requests, now) == Standing::Lapsed
            });
        let mut want = own;
        if wants {
            let left = quota.requests.saturating_sub(granted);
            let slice = self.pace.of_quota(left, u64::from(terms.view.gateways)).max(self.waiting);
            want = own.max(used.saturating_add(slice)).min(quota.requests.max(own));
        }
        QuotaPart { window: quota.per, span, limit: quota.requests, held: own, used, want }
    }

    fn rate_part(&mut self, rule: RateRule, terms: &Terms, may_grow: bool) -> RatePart {
        let now_ns = terms.now.mono_ns;
        let account = Arc::clone(&self.account);
        let shares = account.shares();
        if now_ns >= shares.valid_until_ns.load(Ordering::Relaxed) {
            // The ledger may have taken them back: they are nobody's to return.
            self.take_tokens();
        } else if shares.tuned_to.load(Ordering::Relaxed) != rule.signature() {
            self.returned += self.take_tokens();
        }
        let lease = shares.tokens.load_full();
        let held = lease.as_ref().map_or(0, |lease| lease.granted().saturating_sub(lease.used()));
        let wants = may_grow
            && now_ns >= shares.tokens_again_ns.load(Ordering::Relaxed)
            && lease.is_none_or(|lease| lease.wants_more(u64::MAX));
        let (interval, per_us, burst) = size::units(rule);
        let slice = self.pace.of_rate(burst, u64::from(terms.view.gateways)).max(self.waiting).min(burst);
        // Read after `held`. A sixteenth less for clocks that run apart, and 10 ms for a request between its reading of
        // the clock and its charge.
        let quiet_us = now_ns.saturating_sub(shares.spent_at_ns.load(Ordering::Acquire)) / 16_000 * 15;
        RatePart {
            interval,
            per_us,
            burst,
            held,
            quiet_us: quiet_us.saturating_sub(10_000),
            refilled: self.refilled,
            returned: self.returned,
            want: if wants { held.max(slice) } else { held },
        }
    }

    fn places_part(&self, limit: u32, terms: &Terms, may_grow: bool) -> PlacesPart {
        let (own, taken) = (self.account.places(), self.account.in_flight());
        let waiting = u32::try_from(self.waiting).unwrap_or(u32::MAX);
        let again = self.account.shares().places_again_ns.load(Ordering::Relaxed);
        let mut want = own;
        if may_grow && terms.now.mono_ns >= again && taken.saturating_add(waiting) >= own {
            let spare = size::spare_places(taken, limit, terms.view.gateways);
            want = own.max(taken.saturating_add(waiting.max(spare)).min(limit));
        }
        PlacesPart { limit, held: own, want }
    }

    /// Ends the lease of tokens and gives what was unspent.
    pub(super) fn take_tokens(&mut self) -> u64 {
        let Some(lease) = self.account.shares().tokens.swap(None) else { return 0 };
        let granted = lease.granted();
        lease.retire().map_or(0, |used| granted.saturating_sub(used))
    }

    /// Ends every lease of a quota and begins it anew: what `keep` says of own use and of what is unspent goes on as
    /// this gateway's, everything else counts as others'.
    pub(super) fn renumber(&mut self, keep: impl Fn(u64, u64) -> (u64, u64)) {
        for quota in self.limits.quotas() {
            let place = self.account.quota(quota.per);
            let Some(lease) = place.load_full() else { continue };
            let (elsewhere, granted) = (lease.elsewhere(), lease.granted());
            let Some(used) = lease.retire() else { continue };
            let own_used = used.saturating_sub(elsewhere);
            let (used, unspent) = keep(own_used, granted.saturating_sub(elsewhere + own_used));
            let others = (elsewhere + own_used).saturating_sub(used);
            let anew = QuotaLease::shared(lease.span, others, used + unspent, used);
            if lease.may_reopen() {
                anew.ask_again(0);
            }
            place.store(Some(Arc::new(anew)));
        }
    }

    /// Lets go of everything without a word: the ledger does not know of it.
    pub(super) fn drop_all(&mut self) {
        self.renumber(|_, _| (0, 0));
        self.take_tokens();
        self.account.set_places(0);
        (self.believed, self.tokens, self.places) = ([(0, 0); 5], 0, 0);
        (self.returned, self.refilled) = (0, 0);
    }

    /// Whether a new lineage has to be told of this account.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_none() && self.outstanding == 0 && self.tokens == 0 && self.account.places() == 0
    }

    /// Lets go of what was not used lately. Says whether the ledger is to be told.
    pub(super) fn tidy(&mut self, terms: &Terms) -> bool {
        let now_ns = terms.now.mono_ns;
        self.pace.note(self.account.meter.used(), now_ns);
        if self.pending.is_some() {
            return true;
        }
        let taken = self.account.in_flight();
        let spare = self
            .limits
            .limits()
            .concurrency
            .map_or(0, |limit| size::spare_places(taken, limit, terms.view.gateways));
        let unused = now_ns.saturating_sub(self.pace.used_at_ns) >= UNUSED_NS;
        let kept = if unused { taken } else { taken.saturating_add(spare) };
        if kept < self.account.places() {
            self.account.set_places(kept);
        }
        if unused {
            self.renumber(|used, _| (used, 0));
            self.returned += self.take_tokens();
            self.account.shares().tokens_again_ns.store(0, Ordering::Relaxed);
        }
        let keeps = now_ns.saturating_sub(self.asked_at_ns) >= terms.seat.keeps_ns();
        (unused && !self.is_empty()) || self.account.places() < self.places || keeps
    }

    /// Ends everything, for good.
    pub(super) fn retire(&mut self) {
        // The meter first: without it nothing is admitted, so the others stand still at once.
        self.account.meter.retire();
        self.renumber(|used, _| (used, 0));
        self.returned += self.take_tokens();
        self.account.set_places(0);
        self.grows = false;
    }

    /// The answer to what is pending, if it is to this ask's lineage.
    pub(super) fn take_pending(&mut self) -> Option<Sent> {
        self.pending.take()
    }

    pub(super) fn tell(&mut self) {
        (self.waiting, self.grows) = (0, false);
        for told in self.told.drain(..) {
            // A request may have gone meanwhile.
            let _ = told.send(());
        }
    }
}
