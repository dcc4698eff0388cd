//! How much to ask for: by recent use and by what is left.
//!
//! A slice lasts for some time of recent use, so that calls to the ledger per request go to 0 as load grows. It is
//! never more than a share of what is left, so that no gateway keeps from the others what they need, and shrinks to
//! one near the limit. Reads no clock.

use crate::limits::effective::RateRule;

/// A slice before use is known.
const UNKNOWN: u64 = 8;
/// Seconds of recent use in a slice of a quota: what is stranded where a gateway dies.
const QUOTA_S: u64 = 60;
/// Seconds of recent use in a slice of a rate. More is asked for when half of it is left, and that has to last until a
/// gateway that is cut off may let its share flow in.
const RATE_S: u64 = 5;
/// Use is measured over at least so long.
const MEASURED_NS: u64 = 200_000_000;
/// Most time units of a full bucket: half of what the ledger counts exactly.
const FULL_MAX: u64 = 1 << 52;
/// Longest that a request is refused on the ground of one answer while the bucket fills.
const PAUSE_NS: u64 = 100_000_000;

/// How fast an account is used here.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Requests in 1,000 seconds; 0 where it is not known.
    per_1000_s: u64,
    used: u64,
    at_ns: u64,
    /// When use was last noticed.
    pub(super) used_at_ns: u64,
}

impl Pace {
    pub(super) fn begin(used: u64, now_ns: u64) -> Pace {
        Pace { per_1000_s: 0, used, at_ns: now_ns, used_at_ns: now_ns }
    }

    /// Takes in that `used` requests were admitted until now, since the process began.
    pub(super) fn note(&mut self, used: u64, now_ns: u64) {
        let passed_ns = now_ns.saturating_sub(self.at_ns);
        if used != self.used {
            self.used_at_ns = now_ns;
        }
        if passed_ns < MEASURED_NS {
            return;
        }
        let more = u128::from(used.saturating_sub(self.used)) * 1_000_000_000_000 / u128::from(passed_ns);
        let more = u64::try_from(more).unwrap_or(u64::MAX / 2).min(u64::MAX / 4);
        // Rising use counts at once, falling use by halves.
        self.per_1000_s = more.max((self.per_1000_s + more) / 2);
        (self.used, self.at_ns) = (used, now_ns);
    }

    fn in_seconds(&self, seconds: u64) -> u64 {
        if self.per_1000_s == 0 {
            return UNKNOWN;
        }
        u64::try_from(u128::from(self.per_1000_s) * u128::from(seconds) / 1_000).unwrap_or(u64::MAX).max(1)
    }

    /// Requests to have in hand of a quota of which `left` are not granted, in a fleet of `gateways`.
    pub(super) fn of_quota(&self, left: u64, gateways: u64) -> u64 {
        self.in_seconds(QUOTA_S).min(left / (4 * gateways.max(1))).max(1)
    }

    /// Tokens to have in hand. A quarter of the bucket stays for whoever needs it first.
    pub(super) fn of_rate(&self, burst: u64, gateways: u64) -> u64 {
        self.in_seconds(RATE_S).min(burst / 4 * 3 / gateways.max(1)).max(1)
    }
}

/// Places to have beside those that are taken.
pub(super) fn spare_places(taken: u32, limit: u32, gateways: u32) -> u32 {
    (taken / 4).min(limit / gateways.max(1).saturating_mul(4)).max(1)
}

/// A rate in the ledger's measure: time units of a token, time units in a microsecond, tokens.
pub(super) fn units(rule: RateRule) -> (u64, u64, u64) {
    let fine = rule.interval_ns.checked_mul(rule.burst).is_some_and(|full| full <= FULL_MAX);
    let (interval, per_us) =
        if fine { (rule.interval_ns, 1_000) } else { (rule.interval_ns.div_ceil(1_000), 1) };
    (interval, per_us, rule.burst.min(FULL_MAX / interval).max(1))
}

/// How long an empty answer about a rate is believed, in nanoseconds: at least until a token is there, and where that
/// is soon until there are some, but never so long that the bucket could run over.
pub(super) fn empty_for_ns(wait_us: u64, rule: RateRule) -> u64 {
    wait_us.saturating_mul(1_000).max(PAUSE_NS.min(rule.full_ns / 2))
}
