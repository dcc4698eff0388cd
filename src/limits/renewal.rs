//! Renewal: demands in, asks to the ledger, grants out to the accounts.
//!
//! Promises that grants are published only after the ledger has them, or counted as unsecured where it fails. One
//! loop publishes all of them, so accounts have a single writer for what is granted.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::account::Account;
use super::admit::Demand;
use super::effective::EffectiveLimits;
use super::keeper::Desk;
use super::ledger::{Asks, Boot, Grants, Ledger, LedgerError};
use super::plan::{Plan, to_unix_ns};
use super::returning;
use crate::domain::clock::UnixMillis;
use crate::domain::id::KeyId;

/// Longest wait for the ledger before grants are made in memory: a locked store is not an outage.
pub(super) const RENEW_WAIT_MAX: Duration = Duration::from_millis(250);
/// Demands taken into one transaction.
const BATCH_MAX: usize = 512;

/// Everything that one batch does for one account.
pub(super) struct Job {
    pub(super) account: Arc<Account>,
    pub(super) limits: Arc<EffectiveLimits>,
    /// How many requests wait.
    pub(super) waiting: u64,
    /// Whether to grant, rather than only to recall.
    pub(super) spend: bool,
    told: Vec<oneshot::Sender<()>>,
}

/// Renews until told to leave, then hands everything back. Returns whether all of it is on record.
pub(super) async fn run<L: Ledger>(
    desk: &Desk<L>,
    mut demands: mpsc::UnboundedReceiver<Demand>,
    mut leaving: watch::Receiver<bool>,
) -> bool {
    let mut listed: Vec<Weak<Account>> = Vec::new();
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        tokio::select! {
            biased;
            // It changes once; an error means that the keeper itself is gone.
            _ = leaving.changed() => break,
            taken = demands.recv_many(&mut batch, BATCH_MAX) => if taken == 0 { break },
        }
        let jobs = gathered(&mut batch);
        list(&jobs, &mut listed);
        renew(desk, &jobs).await;
        for told in jobs.into_iter().flat_map(|job| job.told) {
            // A request may have gone meanwhile.
            let _ = told.send(());
        }
    }
    // From here on `admit` refuses instead of waiting; who waits now is woken by its demand being dropped.
    demands.close();
    while demands.try_recv().is_ok() {}
    returning::hand_back(desk, &listed).await
}

/// One job for each account, however many requests wait for it.
fn gathered(batch: &mut Vec<Demand>) -> Vec<Job> {
    let mut places: HashMap<KeyId, usize> = HashMap::with_capacity(batch.len());
    let mut jobs: Vec<Job> = Vec::with_capacity(batch.len());
    for Demand { account, limits, done, spend } in batch.drain(..) {
        let place = *places.entry(account.key()).or_insert(jobs.len());
        if let Some(job) = jobs.get_mut(place) {
            // The latest limits: whoever asked with older ones asks again.
            job.limits = limits;
            job.spend |= spend;
            job.waiting += u64::from(done.is_some());
            job.told.extend(done);
        } else {
            let waiting = u64::from(done.is_some());
            jobs.push(Job { account, limits, waiting, spend, told: done.into_iter().collect() });
        }
    }
    jobs
}

fn list(jobs: &[Job], listed: &mut Vec<Weak<Account>>) {
    if listed.len() == listed.capacity() {
        // Deleted keys' accounts go before the list grows.
        listed.retain(|account| account.strong_count() > 0);
        listed.reserve(listed.len().max(64));
    }
    for job in jobs {
        if !job.account.listed.swap(true, Ordering::Relaxed) {
            listed.push(Arc::downgrade(&job.account));
        }
    }
}

async fn renew<L: Ledger>(desk: &Desk<L>, jobs: &[Job]) {
    let now = desk.clock.now();
    let mut asks = Asks::default();
    let mut plans = Vec::with_capacity(jobs.len());
    for job in jobs {
        // Before the account is read: a request that uses up more from here on queues the account again.
        job.account.renewal_queued.store(false, Ordering::Relaxed);
        plans.push(Plan::of(job, now, &mut asks));
    }
    if asks == Asks::default() {
        return;
    }
    let asked = async {
        let boot = desk.begun().await?;
        let grants = desk.ledger.renew(&asks, to_unix_ns(now.unix)).await?;
        Ok::<_, LedgerError>((boot, grants))
    };
    let answer = match tokio::time::timeout(RENEW_WAIT_MAX, asked).await {
        Ok(Ok((_, grants)))
            if grants.quotas.len() != asks.quotas.len() || grants.rates.len() != asks.rates.len() =>
        {
            Err(LedgerError(String::from("the ledger answered another number of grants than asked")))
        }
        Ok(answer) => answer,
        Err(_) => Err(LedgerError(String::from("the ledger did not answer in time"))),
    };
    let (secured, boot, grants) = match desk.note(answer, "recording grants") {
        Some((boot, grants)) => (true, boot, grants),
        None => {
            let unsecured = asks.quotas.len() + asks.rates.len() + asks.meters.len();
            desk.lines.unsecured.fetch_add(u64::try_from(unsecured).unwrap_or(u64::MAX), Ordering::Relaxed);
            // Not knowing how the last process ended, assume the worse, up to now.
            let boot = desk.begun_if_known().unwrap_or(Boot { died_before: Some(UnixMillis(u64::MAX)) });
            (false, boot, in_memory(&asks, now.unix))
        }
    };
    let (mut quotas, mut rates) = (grants.quotas.into_iter(), grants.rates.into_iter());
    for plan in plans {
        plan.publish(now, secured, boot, &mut quotas, &mut rates);
    }
}

/// The grants that an empty record would give.
fn in_memory(asks: &Asks, now: UnixMillis) -> Grants {
    Grants {
        quotas: asks.quotas.iter().map(|ask| ask.grant(None, now)).collect(),
        rates: asks.rates.iter().map(|ask| ask.grant(None, to_unix_ns(now))).collect(),
    }
}
