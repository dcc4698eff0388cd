//! What the usage page of a fleet shows of a key: its limits and their use, read from the fleet's ledger.
//!
//! As far as gateways have told: what they used since they asked last is not in it yet.

use super::record::AccountRecord;
use super::size;
use crate::domain::clock::UnixMillis;
use crate::limits::calendar::window_at;
use crate::limits::effective::EffectiveLimits;
use crate::limits::snapshot::{LimitKind, LimitUse};

impl AccountRecord {
    /// Each limit in force with its use, at `now_us` of the ledger's clock. What is stranded with gateways that died is
    /// neither used nor left; see [`AccountRecord::stranded`].
    pub fn uses(&self, limits: &EffectiveLimits, now_us: u64) -> Vec<LimitUse> {
        let now = UnixMillis(now_us / 1_000);
        let mut lines = Vec::new();
        if let (Some(rule), Some(rate)) = (limits.rate(), limits.limits().rate) {
            let (remaining, full_in_us) = self.bucket(size::units(rule), now_us);
            lines.push(LimitUse {
                kind: LimitKind::Rate,
                per: Some(rate.per.as_str()),
                requests: Some(rate.requests),
                limit: rule.burst,
                used: rule.burst.saturating_sub(remaining),
                remaining,
                resets_at: Some(UnixMillis(now.0.saturating_add(full_in_us.div_ceil(1_000)))),
            });
        }
        if let Some(limit) = limits.limits().concurrency {
            let (limit, used) = (u64::from(limit), u64::from(self.places_out()));
            let remaining = limit.saturating_sub(used);
            let kind = LimitKind::Concurrency;
            lines.push(LimitUse { kind, per: None, requests: None, limit, used, remaining, resets_at: None });
        }
        for quota in limits.quotas() {
            let window = self.windows.get(quota.per.index()).copied().flatten();
            let window = window.filter(|window| window.span.holds(now));
            let end =
                window.map_or_else(|| window_at(quota.per, limits.zone(), now).end, |window| window.span.end);
            let (total, stranded) = window.map_or((0, 0), |window| (window.total, window.stranded));
            let held = window.map_or(0, |window| self.held(quota.per.index(), window.span.start.0));
            let used = total.saturating_sub(held + stranded);
            lines.push(LimitUse {
                kind: LimitKind::Quota,
                per: Some(quota.per.as_str()),
                requests: None,
                limit: quota.requests,
                used,
                remaining: quota.requests.saturating_sub(used + stranded),
                resets_at: Some(end),
            });
        }
        lines
    }

    /// Requests that were granted to gateways which died, and not used as far as they said: in no window that goes on at
    /// `now` will they come back.
    pub fn stranded(&self, now: UnixMillis) -> u64 {
        let windows = self.windows.iter().flatten().filter(|window| window.span.holds(now));
        windows.map(|window| window.stranded).sum()
    }

    /// Granted in that window to gateways that live, and not used.
    fn held(&self, window: usize, start: u64) -> u64 {
        let of_all = self.gateways.values().filter_map(|gateway| gateway.windows.get(window));
        of_all.filter(|(began, _, _)| *began == start).map(|(_, own, used)| own - used).sum()
    }

    /// Tokens left in the bucket and in hands, and microseconds until all are there.
    fn bucket(&self, (interval, per_us, burst): (u64, u64, u64), now_us: u64) -> (u64, u64) {
        let Some(rate) = self.rate else { return (burst, 0) };
        let gained = now_us.saturating_sub(rate.at_us).min(rate.full() / rate.per_us + 1) * rate.per_us;
        let out = self.tokens_out().min(rate.burst) * rate.interval;
        let level = u64::try_from(rate.level.max(0)).unwrap_or(0).saturating_add(gained).saturating_add(out);
        let left = (level.min(rate.full()) / rate.interval).min(burst);
        (left, (burst - left) * interval / per_us)
    }
}
