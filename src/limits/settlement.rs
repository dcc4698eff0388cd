//! Settlement: counts of requests on their way to the record, about once a second.
//!
//! Promises that every count reaches the record once: what failed to be written is kept and written later. Also
//! notes each second that the process lives, and forgets old records.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

use super::account::{Account, Totals};
use super::admit::Settlement;
use super::keeper::Desk;
use super::ledger::{Ledger, LedgerError, UsageDelta};
use crate::domain::clock::UnixMillis;

/// Time between two writes.
const PACE: Duration = Duration::from_secs(1);
/// Accounts in one transaction: short, because renewals share the connection.
const BATCH_MAX: usize = 256;
/// Writes between two prunings: once a minute.
const TURNS_BETWEEN_PRUNINGS: u32 = 60;
/// Tries to write the last counts before leaving.
const LAST_TRIES: u32 = 3;

/// The accounts with counts that are not on record, and since when they gather.
struct Pending {
    accounts: Vec<Arc<Account>>,
    since: UnixMillis,
    /// Whether the last write failed: then an account may be here twice.
    repeated: bool,
}

/// Records until told to leave, then records the rest. Returns whether everything is on record.
pub(super) async fn run<L: Ledger>(
    desk: &Desk<L>,
    mut settlements: mpsc::UnboundedReceiver<Settlement>,
    mut leaving: watch::Receiver<bool>,
) -> bool {
    let mut pending = Pending { accounts: Vec::new(), since: desk.clock.now().unix, repeated: false };
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turns = 0_u32;
    loop {
        tokio::select! {
            biased;
            _ = leaving.changed() => break,
            _ = pace.tick() => {
                turns = turns.wrapping_add(1);
                let worked = turn(desk, &mut pending, turns.is_multiple_of(TURNS_BETWEEN_PRUNINGS)).await;
                desk.note(worked, "recording counts");
            }
            received = settlements.recv() => match received {
                Some(Settlement::Of(account)) => pending.accounts.push(account),
                Some(Settlement::Flush(done)) => flush(desk, &mut pending, &mut settlements, done).await,
                None => break,
            },
        }
    }
    settlements.close();
    let mut told = Vec::new();
    while let Some(settlement) = settlements.recv().await {
        match settlement {
            Settlement::Of(account) => pending.accounts.push(account),
            Settlement::Flush(done) => told.push(done),
        }
    }
    for _ in 0..LAST_TRIES {
        let written = write(desk, &mut pending).await;
        if desk.note(written, "recording the last counts").is_some() {
            return true;
        }
    }
    false
}

async fn turn<L: Ledger>(desk: &Desk<L>, pending: &mut Pending, prune: bool) -> Result<(), LedgerError> {
    desk.begun().await?;
    desk.ledger.beat(desk.life_until()).await?;
    write(desk, pending).await?;
    if prune {
        desk.ledger.prune(desk.clock.now().unix).await?;
    }
    Ok(())
}

/// Records what was counted before the wish to flush, which came behind it in the queue.
async fn flush<L: Ledger>(
    desk: &Desk<L>,
    pending: &mut Pending,
    settlements: &mut mpsc::UnboundedReceiver<Settlement>,
    done: oneshot::Sender<()>,
) {
    // Others that wait already are served by the same write.
    let mut told = vec![done];
    while let Ok(settlement) = settlements.try_recv() {
        match settlement {
            Settlement::Of(account) => pending.accounts.push(account),
            Settlement::Flush(done) => told.push(done),
        }
    }
    let written = write(desk, pending).await;
    desk.note(written, "recording counts");
    for done in told {
        // Whoever asked may have gone.
        let _ = done.send(());
    }
}

/// Writes all that is pending. What is not written stays pending.
async fn write<L: Ledger>(desk: &Desk<L>, pending: &mut Pending) -> Result<(), LedgerError> {
    desk.begun().await?;
    // Counts belong to the minute in which they began to gather, at most a second before they are written.
    let minute = UnixMillis(pending.since.0 - pending.since.0 % 60_000);
    let now = desk.clock.now().unix;
    if std::mem::replace(&mut pending.repeated, true) {
        // Twice in one batch would be counted twice.
        pending.accounts.sort_unstable_by_key(|account| account.key());
        pending.accounts.dedup_by_key(|account| account.key());
    }
    while !pending.accounts.is_empty() {
        let from = pending.accounts.len().saturating_sub(BATCH_MAX);
        let mut deltas = Vec::with_capacity(BATCH_MAX);
        let mut written: Vec<(Arc<Account>, Totals)> = Vec::with_capacity(BATCH_MAX);
        for account in pending.accounts.iter().skip(from) {
            // Before reading, paired with `count`: what is counted after this queues the account again.
            account.settlement_queued.swap(false, Ordering::AcqRel);
            let (counts, totals) = account.unrecorded();
            if !counts.is_zero() {
                deltas.push(UsageDelta { key: account.key(), counts, settled: totals.admitted() });
                written.push((Arc::clone(account), totals));
            }
        }
        if !deltas.is_empty() {
            desk.ledger.record_usage(&deltas, minute, now).await?;
        }
        for (account, totals) in written {
            account.mark_recorded(totals);
        }
        pending.accounts.truncate(from);
    }
    (pending.since, pending.repeated) = (now, false);
    Ok(())
}
