//! The limits in force for a key, compiled once so that the hot path only compares numbers.
//!
//! Owns the arithmetic that turns a written limit into intervals and bounds, and the text of `RateLimit-Policy`.
//! Promises that a compiled rate never admits faster than the written one. Never holds anything that changes.

use jiff::tz::TimeZone;

use super::calendar::window_at;
use super::quota::Span;
use crate::domain::clock::UnixMillis;
use crate::domain::limit::{Limits, Quota, Rate, Window};

/// Longest time a full bucket may take to refill, about 127 years: keeps every sum of times within 64 bits.
const FULL_NS_MAX: u64 = 4_000_000_000_000_000_000;
/// A bucket that takes longer than this to refill is worth a durable record of every step; a faster one has
/// forgiven what it forgot by the time a process has restarted.
const FAST_NS_MAX: u64 = 10_000_000_000;

/// A rate as the cell wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateRule {
    /// Nanoseconds that one request costs, rounded up.
    pub(crate) interval_ns: u64,
    /// Nanoseconds from an empty bucket to a full one.
    pub(crate) full_ns: u64,
    /// Requests in a full bucket.
    pub(crate) burst: u64,
}

impl RateRule {
    pub(crate) fn compile(rate: Rate) -> RateRule {
        let per_ns = rate.per.duration().as_secs().saturating_mul(1_000_000_000);
        let interval_ns = per_ns.div_ceil(rate.requests.max(1)).max(1);
        let burst = rate.burst.max(1);
        RateRule { interval_ns, full_ns: interval_ns.saturating_mul(burst).min(FULL_NS_MAX), burst }
    }

    /// Whether its bucket refills so slowly that grants are recorded before they are spent.
    pub(crate) fn is_slow(self) -> bool {
        self.full_ns > FAST_NS_MAX
    }

    /// Tells one tuning of a cell from another: the interval, and whether grants are recorded. Never 0.
    pub(crate) fn signature(self) -> u64 {
        self.interval_ns | if self.is_slow() { 1 << 63 } else { 0 }
    }

    /// The interval that a signature was made from, 0 for none.
    pub(crate) fn interval_of(signature: u64) -> u64 {
        signature & !(1 << 63)
    }
}

/// The limits of a key after its own, its organization's and the configuration's were laid over each other. Shared
/// by all keys of an organization that have none of their own.
#[derive(Debug)]
pub struct EffectiveLimits {
    limits: Limits,
    zone: TimeZone,
    rate: Option<RateRule>,
    quotas: Box<[Quota]>,
    policy: Box<[u8]>,
}

impl EffectiveLimits {
    /// Compiles `limits`, whose windows follow the calendar of `zone`.
    pub fn compile(limits: &Limits, zone: TimeZone) -> EffectiveLimits {
        let mut quotas = limits.quotas.clone().unwrap_or_default();
        quotas.sort_by_key(|quota| quota.per);
        quotas.dedup_by_key(|quota| quota.per);
        let rate = limits.rate.map(RateRule::compile);
        let policy = policy(rate, &quotas, limits.concurrency);
        EffectiveLimits {
            limits: limits.clone(),
            zone,
            rate,
            quotas: quotas.into(),
            policy: policy.into_bytes().into(),
        }
    }

    /// As written.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The organization's time zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The value of `RateLimit-Policy`; empty where there are no limits.
    pub fn policy(&self) -> &[u8] {
        &self.policy
    }

    /// Each window that is limited, with its span at `now`.
    pub(crate) fn windows(&self, now: UnixMillis) -> impl Iterator<Item = (Window, Span)> {
        self.quotas.iter().map(move |quota| (quota.per, window_at(quota.per, &self.zone, now)))
    }

    /// Milliseconds in which the rate's bucket fills; `None` without a rate.
    pub(crate) fn fills_ms(&self) -> Option<u64> {
        self.rate.map(|rate| rate.full_ns.div_ceil(1_000_000))
    }

    pub(crate) fn rate(&self) -> Option<RateRule> {
        self.rate
    }

    /// Requests in flight at most.
    pub(crate) fn concurrency(&self) -> u32 {
        self.limits.concurrency.unwrap_or(u32::MAX)
    }

    /// At most one for each window, the shortest window first.
    pub(crate) fn quotas(&self) -> &[Quota] {
        &self.quotas
    }
}

/// `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers, section 3: `q` the quota, `w` the window in seconds
/// (left out where it depends on the date), `qu` the unit where it is not requests.
fn policy(rate: Option<RateRule>, quotas: &[Quota], concurrency: Option<u32>) -> String {
    let mut items = Vec::new();
    if let Some(rate) = rate {
        items.push(format!("\"rate\";q={};w={}", rate.burst, rate.full_ns.div_ceil(1_000_000_000)));
    }
    for quota in quotas {
        let name = quota.per.as_str();
        items.push(match quota.per.nominal_seconds() {
            Some(seconds) => format!("\"{name}\";q={};w={seconds}", quota.requests),
            None => format!("\"{name}\";q={}", quota.requests),
        });
    }
    if let Some(concurrency) = concurrency {
        items.push(format!("\"concurrency\";q={concurrency};qu=\"concurrent-requests\""));
    }
    items.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limit::Period;

    #[test]
    fn the_policy_field_names_every_limit_with_its_unit() {
        let limits = Limits {
            rate: Some(Rate { requests: 100, per: Period::Second, burst: 200 }),
            concurrency: Some(100),
            quotas: Some(vec![
                Quota { requests: 2_000_000, per: Window::Month },
                Quota { requests: 100_000, per: Window::Day },
            ]),
        };
        let effective = EffectiveLimits::compile(&limits, TimeZone::UTC);
        assert_eq!(
            std::str::from_utf8(effective.policy()).unwrap(),
            "\"rate\";q=200;w=2, \"day\";q=100000;w=86400, \"month\";q=2000000, \
             \"concurrency\";q=100;qu=\"concurrent-requests\""
        );
        assert!(EffectiveLimits::compile(&Limits::default(), TimeZone::UTC).policy().is_empty());
    }

    #[test]
    fn a_compiled_rate_is_never_faster_than_the_written_one() {
        let third = RateRule::compile(Rate { requests: 3, per: Period::Second, burst: 3 });
        assert_eq!(third.interval_ns, 333_333_334);
        assert!(!third.is_slow());
        let hourly = RateRule::compile(Rate { requests: 100, per: Period::Hour, burst: 100 });
        assert!(hourly.is_slow());
        assert_eq!(RateRule::interval_of(hourly.signature()), hourly.interval_ns);
        let huge = RateRule::compile(Rate { requests: 1, per: Period::Day, burst: (1 << 40) - 1 });
        assert_eq!(huge.full_ns, FULL_NS_MAX);
    }
}
