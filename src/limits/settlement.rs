//! Settlement: counts of requests on their way to the record, about once a second, less often where many keys are in
//! use at once.
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
use super::gathered::Gathered;
use super::keeper::Desk;
use super::ledger::{LedgerError, PathCount, UsageBook, UsageDelta};
use super::paths::PathTallies;
use crate::domain::clock::UnixMillis;

/// Time between two writes, where few keys are in use.
const PACE: Duration = Duration::from_secs(1);
/// Keys that are written at that pace; more wait longer in proportion, so that a million busy keys do not keep the
/// store busy. Whoever asks for usage has everything written first.
const ACCOUNTS_A_SECOND: u64 = 1_000;
/// Longest that counts gather.
const GATHER_MAX: Duration = Duration::from_secs(15);
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
    /// The ways that their requests took. Written when their minute is over or somebody asks, not with each write: a
    /// row for each path costs as much as a key's own, and a crash may forget ways where it may not forget use.
    paths: Gathered,
}

/// What one transaction writes.
struct Batch {
    deltas: Vec<UsageDelta>,
    /// For each delta its account, what that will have counted on record, and the ways that its requests took.
    written: Vec<(Arc<Account>, Totals, Vec<PathCount>)>,
}

impl Pending {
    fn new(since: UnixMillis) -> Pending {
        Pending { accounts: Vec::new(), since, repeated: false, paths: Gathered::default() }
    }

    /// What is to be written of the accounts behind the first `from`.
    fn batch(&mut self, from: usize, tallies: &PathTallies) -> Batch {
        let accounts = self.accounts.get(from..).unwrap_or_default();
        for account in accounts {
            // Before reading, paired with `count`: what is counted after this queues the account again.
            account.settlement_queued.swap(false, Ordering::AcqRel);
        }
        let mut read = Vec::with_capacity(accounts.len());
        self.paths.gather(tallies, || read.extend(accounts.iter().map(|account| account.unrecorded())));
        let mut batch =
            Batch { deltas: Vec::with_capacity(read.len()), written: Vec::with_capacity(read.len()) };
        for (account, (counts, totals)) in accounts.iter().zip(read) {
            if !counts.is_zero() {
                let (key, settled) = (account.key(), totals.admitted());
                batch.deltas.push(UsageDelta { key, counts, settled });
                batch.written.push((Arc::clone(account), totals, self.paths.take(key)));
            }
        }
        batch
    }

    /// Whether to write now. Always where a minute has begun: counts belong to the one that they came in.
    fn is_due(&self, now: UnixMillis) -> bool {
        self.are_paths_due(now) || self.are_counts_due(now)
    }

    fn are_paths_due(&self, now: UnixMillis) -> bool {
        now.0 / 60_000 != self.since.0 / 60_000 || self.paths.is_filling()
    }

    fn are_counts_due(&self, now: UnixMillis) -> bool {
        let gathered_ms = now.0.saturating_sub(self.since.0);
        let accounts = u64::try_from(self.accounts.len()).unwrap_or(u64::MAX);
        let wait_ms = accounts.saturating_mul(1_000) / ACCOUNTS_A_SECOND;
        let gather_max_ms = u64::try_from(GATHER_MAX.as_millis()).unwrap_or(u64::MAX);
        gathered_ms >= wait_ms.min(gather_max_ms)
    }
}

/// Records until told to leave, then records the rest. Returns whether everything is on record.
pub(super) async fn run<B: UsageBook>(
    desk: &Desk<B>,
    mut settlements: mpsc::UnboundedReceiver<Settlement>,
    mut leaving: watch::Receiver<bool>,
) -> bool {
    let mut pending = Pending::new(desk.clock.now().unix);
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
                Some(Settlement::Gather) => pending.paths.gather(&desk.lines.paths, || ()),
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
            Settlement::Gather => {}
            Settlement::Flush(done) => told.push(done),
        }
    }
    for _ in 0..LAST_TRIES {
        let written = write(desk, &mut pending, true).await;
        if desk.note(written, "recording the last counts").is_some() {
            return true;
        }
    }
    false
}

async fn turn<B: UsageBook>(desk: &Desk<B>, pending: &mut Pending, prune: bool) -> Result<(), LedgerError> {
    // Whatever the store does: workers' tables are small.
    pending.paths.gather(&desk.lines.paths, || ());
    desk.begun().await?;
    desk.ledger.beat(desk.life_until()).await?;
    if pending.is_due(desk.clock.now().unix) {
        write(desk, pending, false).await?;
    }
    if prune {
        desk.ledger.prune(desk.clock.now().unix).await?;
    }
    Ok(())
}

/// Records what was counted before the wish to flush, which came behind it in the queue.
async fn flush<B: UsageBook>(
    desk: &Desk<B>,
    pending: &mut Pending,
    settlements: &mut mpsc::UnboundedReceiver<Settlement>,
    done: oneshot::Sender<()>,
) {
    // Others that wait already are served by the same write.
    let mut told = vec![done];
    while let Ok(settlement) = settlements.try_recv() {
        match settlement {
            Settlement::Of(account) => pending.accounts.push(account),
            // The write does.
            Settlement::Gather => {}
            Settlement::Flush(done) => told.push(done),
        }
    }
    let written = write(desk, pending, true).await;
    desk.note(written, "recording counts");
    for done in told {
        // Whoever asked may have gone.
        let _ = done.send(());
    }
}

/// Writes all counts that are pending, and paths where they are due or `everything` is wanted. What is not written stays
/// pending.
async fn write<B: UsageBook>(
    desk: &Desk<B>,
    pending: &mut Pending,
    everything: bool,
) -> Result<(), LedgerError> {
    desk.begun().await?;
    // Counts belong to the minute in which they began to gather; it ended a turn ago at most.
    let minute = UnixMillis(pending.since.0 - pending.since.0 % 60_000);
    let now = desk.clock.now().unix;
    // By the same clock reading as the minute's end: paths belong to the minute of the counts that contain them.
    let with_paths = everything || pending.are_paths_due(now);
    if std::mem::replace(&mut pending.repeated, true) {
        // Twice in one batch would be counted twice.
        pending.accounts.sort_unstable_by_key(|account| account.key());
        pending.accounts.dedup_by_key(|account| account.key());
    }
    while !pending.accounts.is_empty() {
        let from = pending.accounts.len().saturating_sub(BATCH_MAX);
        let Batch { deltas, written } = pending.batch(from, &desk.lines.paths);
        if !deltas.is_empty()
            && let Err(error) = desk.ledger.record_usage(&deltas, minute, now).await
        {
            for (account, _, paths) in written {
                pending.paths.give_back(account.key(), paths);
            }
            return Err(error);
        }
        for (account, totals, paths) in written {
            account.mark_recorded(totals);
            pending.paths.settle(account.key(), paths);
        }
        pending.accounts.truncate(from);
    }
    while with_paths && pending.paths.has_settled() {
        let settled = pending.paths.take_settled(BATCH_MAX);
        if let Err(error) = desk.ledger.record_paths(&settled, minute).await {
            for (key, paths) in settled {
                pending.paths.settle(key, paths);
            }
            return Err(error);
        }
    }
    (pending.since, pending.repeated) = (now, false);
    desk.ledger.counted_until(now);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::support::{MemoryLedger, START};
    use super::super::{Limiter, Outcome, Path};
    use super::*;
    use crate::domain::clock::Clock;
    use crate::domain::id::KeyId;

    #[test]
    fn counts_of_many_keys_gather_longer_and_never_beyond_their_minute() {
        let since = UnixMillis(START.0 - START.0 % 60_000);
        let after = |millis: u64| UnixMillis(since.0 + millis);
        let pending = |accounts: u64| Pending {
            accounts: (0..accounts).map(|_| Arc::new(Account::new(KeyId::generate()))).collect(),
            ..Pending::new(since)
        };
        assert!(pending(1_000).is_due(after(1_000)));
        assert!(!pending(5_000).is_due(after(4_000)) && pending(5_000).is_due(after(5_000)));
        assert!(!pending(50_000).is_due(after(14_000)) && pending(50_000).is_due(after(15_000)));
        assert!(pending(50_000).is_due(after(60_000)));
        assert!(!pending(50_000).is_due(after(1_000)));
    }

    #[tokio::test]
    async fn paths_are_written_once_a_minute_and_for_the_minute_of_the_counts_that_contain_them() {
        let (ledger, clock) = (Arc::new(MemoryLedger::default()), Clock::manual(START));
        let (limiter, keeper) = Limiter::new();
        let desk = keeper.desk(Arc::clone(&ledger), clock.clone());
        let (tally, account) = (limiter.path_tally(), Arc::new(Account::new(KeyId::generate())));
        let path = Path { route: 1, label: &Arc::from("runs"), agent: None };
        let mut pending = Pending::new(START);
        let mut writes = 0;
        for second in 1..=600 {
            let (_, before) = ledger.recorded_with_paths(account.key());
            limiter.count_path(&tally, &account, Outcome::Allowed, &path);
            pending.accounts.push(Arc::clone(&account));
            clock.advance(Duration::from_millis(1_037));
            turn(&desk, &mut pending, false).await.unwrap();
            // The ledger itself fails a minute in which paths are more than counts.
            let (admitted, with_path) = ledger.recorded_with_paths(account.key());
            assert_eq!(admitted, second);
            writes += u32::from(with_path > before);
        }
        assert!((9..=12).contains(&writes), "{writes} writes in ten minutes");
        write(&desk, &mut pending, true).await.unwrap();
        assert_eq!(ledger.recorded_with_paths(account.key()), (600, 600));
    }
}
