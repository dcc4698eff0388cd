//! The decision on one request: every limit that it passes, read first and charged together.
//!
//! Owns the order rate, quotas, and that all or none are charged. Promises no lock, no wait and no allocation. Never
//! knows where leases come from.

use std::sync::Arc;

use arc_swap::Guard;

use super::account::Account;
use super::admit::Refusal;
use super::effective::EffectiveLimits;
use super::quota::{QuotaLease, Standing};
use super::rate::Take;
use super::slices::{GIVEN_BACK_S, Shares};
use crate::domain::clock::{Moment, UnixMillis};
use crate::domain::denial::Denial;

type LoadedLease = Guard<Option<Arc<QuotaLease>>>;

/// The leases that one decision reads and charges: loaded once, so that both see the same window.
pub(super) struct Loaded<'a> {
    quotas: [Option<LoadedLease>; 5],
    /// In a fleet: what the rate is taken from.
    shared: Option<(&'a Shares, LoadedLease)>,
}

pub(super) enum Verdict {
    Pass,
    Refuse(Refusal),
    Wait,
}

pub(super) fn load<'a>(
    account: &Account,
    limits: &EffectiveLimits,
    shares: Option<&'a Shares>,
) -> Loaded<'a> {
    let mut quotas = [const { None }; 5];
    for (place, quota) in quotas.iter_mut().zip(limits.quotas()) {
        *place = Some(account.quota(quota.per).load());
    }
    Loaded { quotas, shared: shares.map(|shares| (shares, shares.tokens.load())) }
}

fn leases<'a>(
    loaded: &'a Loaded<'_>,
    limits: &'a EffectiveLimits,
) -> impl Iterator<Item = (u64, Option<&'a QuotaLease>)> {
    let requests = limits.quotas().iter().map(|quota| quota.requests);
    requests.zip(loaded.quotas.iter().map(|place| place.as_ref().and_then(|guard| guard.as_deref())))
}

pub(super) fn decide(
    account: &Account,
    limits: &EffectiveLimits,
    loaded: &Loaded<'_>,
    now: Moment,
) -> Verdict {
    let mut denial = None;
    let mut wait_s = 0;
    let mut lapsed = account.meter.standing(u64::MAX, now) != Standing::Open;
    if let Some(rule) = limits.rate() {
        let take = match &loaded.shared {
            None => account.rate.peek(rule, now.mono_ns),
            Some((shares, tokens)) => shares.peek(rule, tokens.as_deref(), now.mono_ns),
        };
        match take {
            Take::TooEarly { wait_ns } => {
                denial = Some(Denial::RateExceeded);
                wait_s = wait_ns.div_ceil(1_000_000_000);
            }
            Take::NotGranted => lapsed = true,
            Take::Taken { .. } => {}
        }
    }
    for (requests, lease) in leases(loaded, limits) {
        match lease.map(|lease| (lease.standing(requests, now), lease)) {
            Some((Standing::UsedUp, lease)) => {
                denial = denial.or(Some(Denial::QuotaExceeded));
                // Over all that refuse: a client told the least would come back to a second refusal.
                wait_s = wait_s.max(reset_s(lease, now.unix));
            }
            Some((Standing::Open, _)) => {}
            Some((Standing::Lapsed, _)) | None => lapsed = true,
        }
    }
    // A refusal needs no lease: a flood over the limit costs the ledger nothing.
    match denial {
        Some(denial) => Verdict::Refuse(Refusal { denial, retry_after_s: wait_s.max(1) }),
        None if lapsed => Verdict::Wait,
        None => Verdict::Pass,
    }
}

/// Charges rate, quotas and meter, or nothing. Says whether to ask for more.
pub(super) fn charge(
    account: &Account,
    limits: &EffectiveLimits,
    loaded: &Loaded<'_>,
    now: Moment,
) -> Option<bool> {
    let mut renew = false;
    if let Some(rule) = limits.rate() {
        let take = match &loaded.shared {
            None => account.rate.take(rule, now.mono_ns),
            Some((shares, tokens)) => shares.take(rule, tokens.as_deref(), now.mono_ns),
        };
        match take {
            Take::Taken { renew: more } => renew |= more,
            Take::TooEarly { .. } | Take::NotGranted => return None,
        }
    }
    let mut charged = 0;
    let all = leases(loaded, limits)
        .filter_map(|(requests, lease)| Some((requests, lease?)))
        .chain(std::iter::once((u64::MAX, &account.meter)));
    for (requests, lease) in all {
        match lease.spend(requests) {
            Some(more) => {
                renew |= more;
                charged += 1;
            }
            None => {
                leases(loaded, limits)
                    .take(charged)
                    .filter_map(|(_, lease)| lease)
                    .for_each(QuotaLease::refund);
                if let Some(rule) = limits.rate() {
                    match &loaded.shared {
                        None => account.rate.refund(rule),
                        Some((_, tokens)) => tokens.as_deref().into_iter().for_each(QuotaLease::refund),
                    }
                }
                return None;
            }
        }
    }
    Some(renew)
}

/// Seconds until a quota that is used up is there again: the window's end, or when what others left unused is back.
fn reset_s(lease: &QuotaLease, now: UnixMillis) -> u64 {
    let end_s = seconds_until(lease.span.end, now);
    if lease.may_reopen() { end_s.min(GIVEN_BACK_S) } else { end_s }
}

pub(super) fn seconds_until(end: UnixMillis, now: UnixMillis) -> u64 {
    end.0.saturating_sub(now.0).div_ceil(1_000)
}

#[cfg(test)]
mod tests {
    use super::super::quota::Span;
    use super::super::tests::support::{START, compiled};
    use super::*;
    use crate::domain::id::KeyId;
    use crate::domain::limit::{Limits, Period, Quota, Rate, Window};

    #[test]
    fn a_request_that_loses_the_race_for_its_last_quota_gives_back_all_it_was_charged() {
        let now = crate::domain::clock::Clock::manual(START).now();
        let limits = compiled(&Limits {
            rate: Some(Rate { requests: 1, per: Period::Second, burst: 5 }),
            quotas: Some(vec![
                Quota { requests: 5, per: Window::Minute },
                Quota { requests: 5, per: Window::Day },
            ]),
            concurrency: None,
        });
        let account = Account::new(KeyId::generate());
        let rule = limits.rate().unwrap();
        account.rate.tune(rule, now.mono_ns, 0);
        account.rate.grant(u64::MAX, 0);
        account.meter.grant(10);
        // The day's quota was open when the request was decided upon, and another request took the last of it.
        for (window, used) in [(Window::Minute, 1), (Window::Day, 5)] {
            let lease = QuotaLease::new(Span::ALWAYS, used, true);
            lease.grant(5);
            account.quota(window).store(Some(Arc::new(lease)));
        }
        assert_eq!(charge(&account, &limits, &load(&account, &limits, None), now), None);
        let used = |window| account.quota(window).load().as_ref().map(|lease| lease.used());
        assert_eq!((used(Window::Minute), used(Window::Day)), (Some(1), Some(5)));
        assert_eq!((account.meter.used(), account.rate.level(rule, now.mono_ns)), (0, (5, 0)));
    }
}
