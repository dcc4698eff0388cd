//! The plan of one renewal: what to ask for an account, and how the answer is published to it.
//!
//! Owns the size of a block: about a second of recent use, small for quiet keys and near a limit. Promises that
//! whatever is published was asked for by the same plan. Never waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::account::Account;
use super::calendar::window_at;
use super::effective::RateRule;
use super::ledger::{Asks, Boot, Held, MeterGrant, QuotaAsk, QuotaGrant, RateAsk, RateGrant};
use super::quota::{QuotaLease, Standing};
use super::renewal::Job;
use crate::domain::clock::{Moment, UnixMillis};
use crate::domain::limit::{Quota, Window};

/// Requests that a quiet key is granted at once: a crash makes its counters show at most so many too much.
const BLOCK_MIN: u64 = 16;
/// Requests granted at once to the busiest key.
const BLOCK_MAX: u64 = 1 << 20;
/// A block that lasted less than this is doubled; one that lasted four times as long is halved. Half a second keeps
/// what a crash costs small where much is granted at once.
const BLOCK_SHORT_NS: u64 = 500_000_000;
/// Up to this size, blocks are to last longer: many keys that are each used a little must not keep the ledger busy.
const BLOCK_SMALL: u64 = 512;
const SMALL_BLOCK_SHORT_NS: u64 = 5_000_000_000;

/// What was asked for one account, in the order of asking.
pub(super) struct Plan {
    account: Arc<Account>,
    meter: Option<u64>,
    rate: Option<(RateRule, u64)>,
    quotas: Vec<(Window, Option<Arc<QuotaLease>>)>,
}

impl Plan {
    /// Adds to `asks` what `job`'s account needs.
    pub(super) fn of(job: &Job, now: Moment, asks: &mut Asks) -> Plan {
        let account = &job.account;
        let meter = &account.meter;
        let renew_meter = job.spend && meter.wants_more(u64::MAX);
        // Every admitted request passes the meter, so its pace is the key's.
        let block = if job.spend { block(account, renew_meter, now).max(job.waiting) } else { 0 };
        let mut plan = Plan { account: Arc::clone(account), meter: None, rate: None, quotas: Vec::new() };
        if renew_meter {
            let granted = meter.used().saturating_add(block).max(meter.granted());
            asks.meters.push(MeterGrant { key: account.key(), granted });
            plan.meter = Some(granted);
        }
        if let Some(rule) = job.limits.rate() {
            plan.ask_rate(rule, block, now, asks);
        }
        for quota in job.limits.quotas() {
            let span = || window_at(quota.per, job.limits.zone(), now.unix);
            plan.ask_quota(*quota, block, now, span, asks);
        }
        plan
    }

    fn ask_rate(&mut self, rule: RateRule, block: u64, now: Moment, asks: &mut Asks) {
        let cell = &self.account.rate;
        let tuned = cell.tuned_to() == rule.signature();
        let recall = cell.tuned_to() == 0;
        if tuned && !(rule.is_slow() && block > 0 && cell.wants_more(rule, now.mono_ns)) {
            return;
        }
        // Fast rates are recorded on leaving only. An eighth of the burst is the most a crash may cost, and two at
        // least: a grant of one counts from now, and the request that waits for it comes a moment later.
        let want = if rule.is_slow() { block.min((rule.burst / 8).max(2)) } else { 0 };
        let ceiling = if tuned { cell.ceiling_ns() } else { 0 };
        asks.rates.push(RateAsk {
            key: self.account.key(),
            interval_ns: rule.interval_ns,
            recall,
            ceiling_unix_ns: if ceiling == 0 { 0 } else { mono_to_unix_ns(ceiling, now) },
            want,
            full_at_unix_ns: if recall {
                0
            } else {
                mono_to_unix_ns(cell.full_at_in(rule, now.mono_ns), now)
            },
            full_ns: rule.full_ns,
        });
        self.rate = Some((rule, want.saturating_mul(rule.interval_ns)));
    }

    fn ask_quota(
        &mut self,
        quota: Quota,
        block: u64,
        now: Moment,
        span: impl Fn() -> super::quota::Span,
        asks: &mut Asks,
    ) {
        let lease = self.account.quota(quota.per).load_full().filter(|lease| lease.span.holds(now.unix));
        let (held, granted) = match &lease {
            Some(lease) if lease.is_anchored() => (Held::Total(lease.granted()), lease.granted()),
            Some(lease) => (Held::Unknown { unsecured: lease.granted() }, lease.granted()),
            None => (Held::Unknown { unsecured: 0 }, 0),
        };
        let wants = block > 0
            && lease.as_ref().is_none_or(|lease| {
                lease.wants_more(quota.requests) || lease.standing(quota.requests, now) == Standing::Lapsed
            });
        let known = matches!(held, Held::Total(_));
        if known && !wants {
            return;
        }
        let left = quota.requests.saturating_sub(granted);
        // Near the limit blocks shrink, so that a crash costs little of what is left.
        let ahead = granted - lease.as_ref().map_or(0, |lease| lease.used().min(granted));
        let want =
            if wants { block.min((left / 2).max(BLOCK_MIN)).saturating_sub(ahead).min(left) } else { 0 };
        asks.quotas.push(QuotaAsk {
            key: self.account.key(),
            window: quota.per,
            span: lease.as_ref().map_or_else(span, |lease| lease.span),
            limit: quota.requests,
            held,
            want,
        });
        self.quotas.push((quota.per, lease));
    }

    /// Publishes the answers to the account. They come in the order of the asks.
    pub(super) fn publish(
        self,
        now: Moment,
        secured: bool,
        boot: Boot,
        quotas: &mut impl Iterator<Item = QuotaGrant>,
        rates: &mut impl Iterator<Item = RateGrant>,
    ) {
        if let Some((rule, block_ns)) = self.rate
            && let Some(grant) = rates.next()
        {
            self.publish_rate(rule, block_ns, grant, boot, now);
        }
        for ((window, lease), grant) in self.quotas.iter().zip(quotas) {
            match lease {
                Some(lease) => {
                    if secured && !lease.is_anchored() {
                        lease.anchor(grant.earlier);
                    }
                    lease.grant(grant.granted);
                }
                None => {
                    let lease = QuotaLease::new(grant.span, grant.earlier, secured);
                    lease.grant(grant.granted);
                    self.account.quota(*window).store(Some(Arc::new(lease)));
                }
            }
        }
        // Last: the meter is in every request's way, so nothing is spent before all is published.
        if let Some(granted) = self.meter {
            self.account.meter.grant(granted);
        }
    }

    fn publish_rate(&self, rule: RateRule, block_ns: u64, grant: RateGrant, boot: Boot, now: Moment) {
        let cell = &self.account.rate;
        if cell.tuned_to() != rule.signature() {
            let mut floor_ns = 0;
            if cell.tuned_to() == 0 {
                floor_ns = unix_ns_to_mono(grant.earlier_unix_ns, now);
                if let Some(died_before) = boot.died_before.filter(|_| !rule.is_slow()) {
                    // Nobody knows what the process that died admitted at last: its buckets count as empty then.
                    let died = unix_ns_to_mono(to_unix_ns(died_before.min(now.unix)), now);
                    floor_ns = floor_ns.max(died.saturating_add(rule.full_ns));
                }
            }
            cell.tune(rule, now.mono_ns, floor_ns);
        }
        if rule.is_slow() {
            cell.grant(unix_ns_to_mono(grant.ceiling_unix_ns, now), block_ns);
        } else {
            cell.grant(u64::MAX, 0);
        }
    }
}

/// The block of an account; `next` adapts it to how long the last one lasted.
fn block(account: &Account, next: bool, now: Moment) -> u64 {
    // The keeper alone reads and writes both.
    let last = account.block.load(Ordering::Relaxed);
    if !next {
        return last.max(BLOCK_MIN);
    }
    let lasted_ns = now.mono_ns.saturating_sub(account.granted_at_ns.swap(now.mono_ns, Ordering::Relaxed));
    let short_ns = if last < BLOCK_SMALL { SMALL_BLOCK_SHORT_NS } else { BLOCK_SHORT_NS };
    let next = if last == 0 {
        BLOCK_MIN
    } else if lasted_ns < short_ns {
        last.saturating_mul(2)
    } else if lasted_ns > 4 * short_ns {
        last / 2
    } else {
        last
    };
    let next = next.clamp(BLOCK_MIN, BLOCK_MAX);
    account.block.store(next, Ordering::Relaxed);
    next
}

/// Wall-clock milliseconds as nanoseconds.
pub(super) fn to_unix_ns(at: UnixMillis) -> u64 {
    at.0.saturating_mul(1_000_000).min(i64::MAX as u64)
}

/// A monotonic instant as wall-clock nanoseconds, by both clocks' reading `now`.
pub(super) fn mono_to_unix_ns(at_ns: u64, now: Moment) -> u64 {
    let unix = to_unix_ns(now.unix);
    let moved = if at_ns >= now.mono_ns {
        unix.saturating_add(at_ns - now.mono_ns)
    } else {
        unix.saturating_sub(now.mono_ns - at_ns)
    };
    moved.min(i64::MAX as u64)
}

/// A wall-clock instant in nanoseconds as a monotonic one, by both clocks' reading `now`.
fn unix_ns_to_mono(at_ns: u64, now: Moment) -> u64 {
    let unix = to_unix_ns(now.unix);
    if at_ns >= unix {
        now.mono_ns.saturating_add(at_ns - unix)
    } else {
        now.mono_ns.saturating_sub(unix - at_ns)
    }
}
