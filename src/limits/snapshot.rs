//! What the usage page shows of a key: each limit, how much of it is used, and when it is whole again.

use super::account::Account;
use super::calendar::window_at;
use super::effective::EffectiveLimits;
use crate::domain::clock::{Moment, UnixMillis};

/// What kind of limit a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// Requests per time; the limit is the burst.
    Rate,
    /// Requests in flight.
    Concurrency,
    /// Requests per calendar window.
    Quota,
}

impl LimitKind {
    /// As the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            LimitKind::Rate => "rate",
            LimitKind::Concurrency => "concurrency",
            LimitKind::Quota => "quota",
        }
    }
}

/// One limit and its use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitUse {
    /// What kind of limit.
    pub kind: LimitKind,
    /// The period of a rate or the window of a quota, as the API says it.
    pub per: Option<&'static str>,
    /// Requests per [`LimitUse::per`] of a rate.
    pub requests: Option<u64>,
    /// The most that may be used; a rate's burst.
    pub limit: u64,
    /// Used now.
    pub used: u64,
    /// Left now.
    pub remaining: u64,
    /// When all of it is there again without further requests; `None` for concurrency.
    pub resets_at: Option<UnixMillis>,
}

impl Account {
    /// Each limit in force with its use at `now`. Call [`super::Limiter::recall`] before, so that use by earlier
    /// processes is contained.
    pub fn snapshot(&self, limits: &EffectiveLimits, now: Moment) -> Vec<LimitUse> {
        let mut lines = Vec::new();
        if let (Some(rule), Some(rate)) = (limits.rate(), limits.limits().rate) {
            let (remaining, until_full_ns) = self.rate_level(rule, now.mono_ns);
            lines.push(LimitUse {
                kind: LimitKind::Rate,
                per: Some(rate.per.as_str()),
                requests: Some(rate.requests),
                limit: rule.burst,
                used: rule.burst - remaining,
                remaining,
                resets_at: Some(UnixMillis(now.unix.0.saturating_add(until_full_ns.div_ceil(1_000_000)))),
            });
        }
        if let Some(limit) = limits.limits().concurrency {
            let (limit, used) = (u64::from(limit), u64::from(self.in_flight()));
            let remaining = limit.saturating_sub(used);
            let kind = LimitKind::Concurrency;
            lines.push(LimitUse { kind, per: None, requests: None, limit, used, remaining, resets_at: None });
        }
        for quota in limits.quotas() {
            let lease = self.quota(quota.per).load();
            let current = lease.as_deref().filter(|lease| lease.span.holds(now.unix));
            let used = current.map_or(0, |lease| lease.used());
            let end = current
                .map_or_else(|| window_at(quota.per, limits.zone(), now.unix).end, |lease| lease.span.end);
            lines.push(LimitUse {
                kind: LimitKind::Quota,
                per: Some(quota.per.as_str()),
                requests: None,
                limit: quota.requests,
                used,
                remaining: quota.requests.saturating_sub(used),
                resets_at: Some(end),
            });
        }
        lines
    }
}
