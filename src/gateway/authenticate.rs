//! Phases 5 and 6: whose key it is, and whether its client's address has failed too often.
//!
//! Promises that a request leaves here either with a live entry of the key table or with a 401 that says nothing of
//! why; with a 503 where the table is not to be believed, so that no good key is called a bad one. A credential that is not of the form of a key costs no hash and no lookup. Never locks out a key.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_limits::rate::Rate;

use super::credential::Credential;
use crate::domain::clock::{Clock, UnixMillis};
use crate::domain::denial::Denial;
use crate::domain::secret::{SecretFormat, SecretHash};
use crate::keytable::{KeyEntry, KeyTable, Standing};

/// Looks the credential up at `now`.
pub(crate) fn authenticate(
    credential: Credential<'_>,
    format: &SecretFormat,
    keys: &KeyTable,
    clock: &Clock,
    now: UnixMillis,
) -> Result<Arc<KeyEntry>, Denial> {
    if !format.is_well_formed(credential.0) {
        return Err(Denial::MalformedKey);
    }
    let hash = SecretHash::of(credential.0);
    // After everything that takes time, and by the clock itself: a process that was stopped since the request came
    // must not admit by what was true then.
    let standing = keys.trust().standing(clock);
    if standing == Standing::Over {
        return Err(Denial::Untrusted);
    }
    let Some(entry) = keys.lookup(&hash) else {
        // A replica that is behind cannot know whether the key was made a moment ago.
        return Err(if standing == Standing::Fresh { Denial::UnknownKey } else { Denial::Untrusted });
    };
    if entry.is_expired(now) {
        return Err(Denial::ExpiredKey);
    }
    if entry.disabled {
        return Err(Denial::DisabledKey);
    }
    Ok(entry)
}

/// The time that failures are counted over.
const GUARD_INTERVAL: Duration = Duration::from_secs(60);
/// Four rows of 65,536 counters, twice for this interval and the last, 4 MiB: whatever the number of addresses, a count
/// is at most too high.
const GUARD_ROWS: usize = 4;
const GUARD_COUNTERS: usize = 65_536;

/// Counts failed authentications by client address, in constant memory.
pub struct Guard {
    failures: Rate,
    failures_max: isize,
}

impl Guard {
    /// Allows `failures_per_minute`.
    pub fn new(failures_per_minute: u32) -> Guard {
        Guard {
            failures: Rate::new_with_estimator_config(GUARD_INTERVAL, GUARD_ROWS, GUARD_COUNTERS),
            failures_max: isize::try_from(failures_per_minute).unwrap_or(isize::MAX),
        }
    }

    /// Counts one failure, and says whether there were too many.
    pub(crate) fn has_failed_too_often(&self, client: IpAddr) -> bool {
        self.failures.observe(&network_of(client), 1) > self.failures_max
    }

    /// Seconds after which an address that stays silent is heard again.
    pub(crate) const RETRY_AFTER_S: u64 = GUARD_INTERVAL.as_secs();
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("failures_max", &self.failures_max).finish_non_exhaustive()
    }
}

/// An IPv4 address, or the /64 that one customer gets of IPv6.
fn network_of(client: IpAddr) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        // The lower half is the customer's to choose; the upper is told apart from every IPv4 address by its bits.
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX) | (1 << 63),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_keeps_failing_is_told_and_others_are_not() {
        let guard = Guard::new(3);
        let failing: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::ffff:1".parse().unwrap();
        let other: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        assert!((0..3).all(|_| !guard.has_failed_too_often(failing)));
        assert!(guard.has_failed_too_often(neighbour), "the same /64");
        assert!(!guard.has_failed_too_often(other));
    }
}
