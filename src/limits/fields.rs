//! The response fields that tell a client where it stands: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers). Never allocates beyond the buffer it is given.

use super::account::Account;
use super::decide::seconds_until;
use super::effective::EffectiveLimits;
use crate::domain::clock::Moment;

/// Appends both lines; nothing where there are no limits.
pub(super) fn write(account: &Account, limits: &EffectiveLimits, now: Moment, out: &mut Vec<u8>) {
    if limits.policy().is_empty() {
        return;
    }
    out.extend_from_slice(b"ratelimit-policy: ");
    out.extend_from_slice(limits.policy());
    out.extend_from_slice(b"\r\n");
    if limits.rate().is_none() && limits.quotas().is_empty() {
        return;
    }
    out.extend_from_slice(b"ratelimit: ");
    let mut first = true;
    if let Some(rule) = limits.rate() {
        let (left, until_full_ns) = account.rate_level(rule, now.mono_ns);
        item("rate", left, until_full_ns.div_ceil(1_000_000_000), &mut first, out);
    }
    for quota in limits.quotas() {
        let lease = account.quota(quota.per).load();
        let current = lease.as_deref().filter(|lease| lease.span.holds(now.unix));
        // Without a lease nothing was used in this window yet, as far as is known here.
        let used = current.map_or(0, |lease| lease.used());
        let reset_s = current.map_or(0, |lease| seconds_until(lease.span.end, now.unix));
        item(quota.per.as_str(), quota.requests.saturating_sub(used), reset_s, &mut first, out);
    }
    out.extend_from_slice(b"\r\n");
}

fn item(name: &str, left: u64, reset_s: u64, first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.extend_from_slice(b", ");
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\";r=");
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(left).as_bytes());
    if reset_s > 0 {
        out.extend_from_slice(b";t=");
        out.extend_from_slice(digits.format(reset_s).as_bytes());
    }
}
