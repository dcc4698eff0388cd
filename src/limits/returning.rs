//! Leaving: every lease is ended and what it did not spend goes back to the ledger.
//!
//! Promises that what is handed back cannot be spent any more: ending a lease and reading its use are one step.

use std::sync::Weak;

use super::account::Account;
use super::keeper::Desk;
use super::ledger::{Ledger, MeterGrant, Returns};
use super::plan::mono_to_unix_ns;
use crate::domain::clock::Moment;
use crate::domain::limit::Window;

/// Accounts handed back in one transaction.
const BATCH_MAX: usize = 512;

/// Hands back all of `accounts`. Returns whether the ledger has all of it.
pub(super) async fn hand_back<L: Ledger>(desk: &Desk<L>, accounts: &[Weak<Account>]) -> bool {
    if accounts.is_empty() {
        // Nothing was admitted, but a life may only end that has begun.
        let begun = desk.begun().await;
        return desk.note(begun, "beginning on the ledger").is_some();
    }
    let mut complete = true;
    for batch in accounts.chunks(BATCH_MAX) {
        let now = desk.clock.now();
        let mut returns = Returns::default();
        for account in batch.iter().filter_map(Weak::upgrade) {
            retire(&account, now, &mut returns);
        }
        let returned = match desk.begun().await {
            Ok(_) => desk.ledger.return_leases(&returns).await,
            Err(error) => Err(error),
        };
        complete &= desk.note(returned, "handing leases back").is_some();
    }
    complete
}

fn retire(account: &Account, now: Moment, returns: &mut Returns) {
    let key = account.key();
    // The meter first: without it nothing is admitted, so the others stand still at once.
    if let Some(admitted) = account.meter.retire() {
        returns.meters.push(MeterGrant { key, granted: admitted });
    }
    for window in Window::ALL {
        if let Some(lease) = account.quota(window).load_full()
            && let Some(used) = lease.retire()
            // A lease that does not contain the record must not overwrite it.
            && lease.is_anchored()
        {
            returns.quotas.push((key, window, lease.span, used));
        }
    }
    if let Some((full_at_ns, interval_ns)) = account.rate.retire() {
        returns.rates.push((key, mono_to_unix_ns(full_at_ns, now), interval_ns));
    }
}
