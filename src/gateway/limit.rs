//! Admission: the last phase before the upstream. Waits for the ledger only where a key has no lease to spend from.

use std::pin::pin;
use std::time::Duration;

use super::http1::watch::Watch;
use super::respond::Refusal;
use super::worker::Worker;
use crate::domain::clock::Moment;
use crate::domain::denial::Denial;
use crate::keytable::KeyEntry;
use crate::limits::{Admission, Permit};

/// Longest wait for a lease: the local ledger answers in a fraction of a millisecond.
const LEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// Leases waited for by one request: each can have been spent by others before this request's turn.
const LEASE_WAITS_MAX: usize = 64;

/// Charges the request to the key's limits; gives the permit and the moment it was charged at.
pub(crate) async fn admit(
    worker: &Worker,
    watch: &Watch,
    entry: &KeyEntry,
    started: Moment,
) -> Result<(Permit, Moment), Refusal> {
    let mut now = started;
    for _ in 0..LEASE_WAITS_MAX {
        let wait = match worker.limiter.admit(entry.account(), &entry.limits, now) {
            Admission::Admitted(permit) => return Ok((permit, now)),
            Admission::Denied(refusal) => {
                let retry_after_s = Some(refusal.retry_after_s);
                return Err(Refusal { denial: refusal.denial, retry_after_s, allow: None });
            }
            Admission::NeedsLease(wait) => wait,
        };
        watch.set_deadline(LEASE_TIMEOUT);
        let mut ready = pin!(wait.ready());
        if watch.wait(|cx| ready.as_mut().poll(cx)).await.is_err() {
            return Err(Denial::Unavailable.into());
        }
        now = worker.clock.now();
    }
    Err(Denial::Unavailable.into())
}
