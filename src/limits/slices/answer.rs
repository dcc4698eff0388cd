//! What an answer of the ledger, or none, makes of an account.
//!
//! Promises that what is published to requests was granted, and that without an answer nothing is granted but a
//! gateway's own share of a rate, once the rest of the fleet leaves that to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ask::{PlacesAnswer, PlacesPart, QuotaAnswer, QuotaPart, RateAnswer, RatePart, SliceAnswer};
use super::holding::{Holding, Sent, Terms};
use super::size;
use super::standing::FLOWS_AFTER_NS;
use crate::domain::clock::Moment;
use crate::limits::quota::{QuotaLease, Span, Standing};
use crate::limits::rate::Take;

/// Where all is granted and others have not used what they hold, the ledger is asked again after so long.
const AGAIN_NS: u64 = 1_000_000_000;
/// So long after it failed to answer for an account, requests are refused instead of waiting for it.
const LACKS_NS: u64 = 250_000_000;
/// The same where a console has to say first what was used.
const FLOOR_NS: u64 = 50_000_000;

impl Holding {
    /// Takes an answer in. Says whether there is something to ask at once.
    pub(super) fn apply(&mut self, sent: &Sent, answer: &SliceAnswer, terms: &Terms) -> bool {
        let now = terms.now;
        let shares = self.account.shares();
        match answer {
            SliceAnswer::Granted { quotas, rate, places, needs_floor } => {
                shares.lacks_until_ns.store(0, Ordering::Relaxed);
                for (part, answer) in sent.ask.quotas.iter().zip(quotas) {
                    self.apply_quota(part, *answer, now);
                }
                // Before tokens and places are published: they are good for so long.
                let good_until = sent.at_ns.saturating_add(terms.seat.valid_ns());
                self.account.shares().valid_until_ns.store(good_until, Ordering::Relaxed);
                if let (Some(part), Some(answer)) = (sent.ask.rate, rate) {
                    self.apply_rate(&part, *answer, sent.tokens_spent, now);
                }
                if let (Some(part), Some(answer)) = (sent.ask.places, places) {
                    self.apply_places(part, *answer, now);
                }
                self.first = false;
                self.unrecorded = 0;
                self.epoch = sent.ask.epoch;
                self.asked_at_ns = sent.at_ns;
                if *needs_floor {
                    // A bucket that is not known yet only looks empty.
                    self.account.shares().tokens_again_ns.store(0, Ordering::Relaxed);
                    self.lack(now, FLOOR_NS);
                }
                false
            }
            SliceAnswer::Forgotten | SliceAnswer::Late => {
                self.drop_all();
                self.first = true;
                true
            }
            SliceAnswer::OtherEpoch(_) => {
                self.lack(now, LACKS_NS);
                false
            }
        }
    }

    fn apply_quota(&mut self, part: &QuotaPart, answer: QuotaAnswer, now: Moment) {
        let place = self.account.quota(part.window);
        let others = answer.total.saturating_sub(answer.own);
        if let Some(believed) = self.believed.get_mut(part.window.index()) {
            *believed = (answer.span.start.0, answer.own);
        }
        let again = if answer.total < part.limit || answer.others_idle == 0 {
            u64::MAX
        } else {
            now.mono_ns.saturating_add(AGAIN_NS)
        };
        let lease = place.load_full();
        let lease = match lease {
            Some(lease) if lease.span.start == answer.span.start => lease,
            // Of a window that is over for this gateway, by its clock, nothing is spent.
            Some(_) | None if answer.span.holds(now.unix) => {
                let lease = QuotaLease::shared(answer.span, others, answer.own, 0);
                lease.ask_again(again);
                place.store(Some(Arc::new(lease)));
                return;
            }
            Some(_) | None => return,
        };
        let granted_here = lease.granted().saturating_sub(lease.elsewhere());
        if others >= lease.elsewhere() && answer.own >= granted_here {
            lease.share(others, answer.own);
            lease.ask_again(again);
            return;
        }
        // Numbers go down: another lease, so that no request charges one number against the other's past.
        let elsewhere = lease.elsewhere();
        let Some(used) = lease.retire() else { return };
        let used = used.saturating_sub(elsewhere);
        let anew = QuotaLease::shared(answer.span, others, answer.own.max(used), used);
        anew.ask_again(again);
        place.store(Some(Arc::new(anew)));
    }

    fn apply_rate(&mut self, part: &RatePart, answer: RateAnswer, spent: u64, now: Moment) {
        let Some(rule) = self.limits.rate() else { return };
        let account = Arc::clone(&self.account);
        let shares = account.shares();
        self.tokens = answer.own;
        if size::units(rule) != (part.interval, part.per_us, part.burst) {
            // The limit has changed meanwhile: what was granted under the old one goes back with the next ask.
            self.returned += answer.own.saturating_sub(part.held) + self.take_tokens();
            return;
        }
        // What flowed in here since the ask was made is not in the answer.
        let granted = spent.saturating_add(answer.own).saturating_add(self.refilled);
        let (used, granted) = match shares.tokens.load_full() {
            Some(lease) if granted >= lease.granted() => {
                lease.grant(granted);
                (0, None)
            }
            Some(lease) => (lease.retire().unwrap_or(0), Some(granted)),
            // What was in hand when the ask was made was let go of since, and goes back with the next one.
            None => (0, Some(answer.own.saturating_sub(part.held))),
        };
        if let Some(granted) = granted {
            let lease = QuotaLease::new(Span::ALWAYS, used, true);
            lease.grant(granted.max(used));
            shares.tokens.store(Some(Arc::new(lease)));
        }
        shares.left.store(answer.left, Ordering::Relaxed);
        let empty = answer.left == 0;
        let again =
            if empty { now.mono_ns.saturating_add(size::empty_for_ns(answer.wait_us, rule)) } else { 0 };
        shares.tokens_again_ns.store(again, Ordering::Relaxed);
        shares.tuned_to.store(rule.signature(), Ordering::Relaxed);
    }

    fn apply_places(&mut self, part: PlacesPart, answer: PlacesAnswer, now: Moment) {
        self.places = answer.own;
        self.account.set_places(answer.own);
        let again = if answer.own < part.want { now.mono_ns.saturating_add(AGAIN_NS) } else { 0 };
        self.account.shares().places_again_ns.store(again, Ordering::Relaxed);
    }

    /// Until then, requests that have no slice are refused instead of waiting.
    fn lack(&self, now: Moment, for_ns: u64) {
        self.account.shares().lacks_until_ns.store(now.mono_ns.saturating_add(for_ns), Ordering::Relaxed);
    }

    /// Sees to an account whose ledger does not answer, or may not grant.
    pub(super) fn without(&mut self, terms: &Terms) {
        self.flow_in(terms);
        // Where every part can be decided here, requests are: the next token is waited for, and nothing is refused that
        // has flowed in meanwhile.
        self.lack(terms.now, if self.decides(terms.now) { 0 } else { LACKS_NS });
    }

    /// Whether the next request can be admitted, or refused by its limit, with what is here.
    fn decides(&self, now: Moment) -> bool {
        let shares = self.account.shares();
        let rate = self.limits.rate().is_none_or(|rule| {
            let tokens = shares.tokens.load();
            shares.peek(rule, tokens.as_deref(), now.mono_ns) != Take::NotGranted
        });
        let quotas = self.limits.quotas().iter().all(|quota| {
            let lease = self.account.quota(quota.per).load();
            lease.as_ref().is_some_and(|lease| lease.standing(quota.requests, now) != Standing::Lapsed)
        });
        let places = self.limits.limits().concurrency.is_none_or(|limit| {
            now.mono_ns < shares.valid_until_ns.load(Ordering::Relaxed)
                && self.account.in_flight() < self.account.places().min(limit)
        });
        rate && quotas && places
    }

    /// Lets this gateway's share of the rate flow in, up to what the ledger believes to be in its hand: so the bucket
    /// and all hands together never hold more than the burst.
    fn flow_in(&mut self, terms: &Terms) {
        let (Some(rule), now_ns) = (self.limits.rate(), terms.now.mono_ns) else { return };
        let shares = self.account.shares();
        let begins_ns = terms.view.asked_at_ns.saturating_add(FLOWS_AFTER_NS);
        if now_ns < begins_ns || shares.tuned_to.load(Ordering::Relaxed) != rule.signature() {
            return;
        }
        let Some(lease) = shares.tokens.load_full().filter(|_| self.tokens > 0) else { return };
        let each_ns = rule.interval_ns.saturating_mul(u64::from(terms.view.gateways.max(1)));
        let from_ns = self.flows_from_ns.max(begins_ns);
        let flown = now_ns.saturating_sub(from_ns) / each_ns;
        let room = self.tokens.saturating_sub(lease.granted().saturating_sub(lease.used()));
        let more = flown.min(room);
        // What does not fit is lost, as in any bucket.
        self.flows_from_ns =
            if flown >= room { now_ns } else { from_ns.saturating_add(flown.saturating_mul(each_ns)) };
        if more > 0 {
            lease.grant(lease.granted().saturating_add(more));
            self.refilled = self.refilled.saturating_add(more);
        }
        let next_ns = self.flows_from_ns.saturating_add(each_ns);
        shares.tokens_again_ns.store(next_ns, Ordering::Relaxed);
    }

    /// Granted and not used, of all quotas.
    pub(super) fn unspent(&self) -> u64 {
        let leases =
            self.limits.quotas().iter().filter_map(|quota| self.account.quota(quota.per).load_full());
        leases.map(|lease| lease.granted().saturating_sub(lease.used())).sum()
    }
}
