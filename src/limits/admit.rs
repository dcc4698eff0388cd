//! Admission: the hot path's question whether a request may pass now.
//!
//! Owns the order concurrency, rate, quotas, and that all or none are charged. Promises no lock, no wait and no
//! allocation for an admitted request. Never asks a store: what is not at hand is the keeper's to fetch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::account::{Account, Outcome};
use super::decide::{Verdict, charge, decide, load};
use super::effective::EffectiveLimits;
use super::keeper::Keeper;
use super::paths::{Path, PathTallies, PathTally};
use super::slices::{Entry, FleetKeeper, FleetLines, FleetStanding};
use crate::domain::clock::Moment;
use crate::domain::denial::Denial;

/// Decides on requests. Cheap to clone; every clone speaks to the same keeper.
#[derive(Debug, Clone)]
pub struct Limiter(Arc<Lines>);

/// What limiter and keeper share.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) demands: mpsc::UnboundedSender<Demand>,
    pub(super) settlements: mpsc::UnboundedSender<Settlement>,
    pub(super) failing: AtomicBool,
    pub(super) unsecured: AtomicU64,
    pub(super) paths: PathTallies,
    /// Set where limits are shared with other gateways.
    pub(super) fleet: Option<FleetLines>,
}

type Demanded = mpsc::UnboundedReceiver<Demand>;
type Settled = mpsc::UnboundedReceiver<Settlement>;

impl Lines {
    fn open(fleet: Option<FleetLines>) -> (Arc<Lines>, Demanded, Settled) {
        let (demands, demanded) = mpsc::unbounded_channel();
        let (settlements, settled) = mpsc::unbounded_channel();
        let lines = Arc::new(Lines {
            demands,
            settlements,
            failing: AtomicBool::new(false),
            unsecured: AtomicU64::new(0),
            paths: PathTallies::default(),
            fleet,
        });
        (lines, demanded, settled)
    }
}

/// A wish for leases. Bounded by what is in flight (one for each waiting request) and by one for each account.
#[derive(Debug)]
pub(super) struct Demand {
    pub(super) account: Arc<Account>,
    pub(super) limits: Arc<EffectiveLimits>,
    /// Told when the leases are there; absent for a renewal that nobody waits for.
    pub(super) done: Option<oneshot::Sender<()>>,
    /// Whether to grant something to spend, rather than only to recall what was used.
    pub(super) spend: bool,
}

/// A message to the recorder of counts.
#[derive(Debug)]
pub(super) enum Settlement {
    /// This account has counts that are not on record.
    Of(Arc<Account>),
    /// Paths fill a worker's table.
    Gather,
    /// Record everything now, then tell.
    Flush(oneshot::Sender<()>),
}

/// The answer to a request.
#[derive(Debug)]
#[must_use]
pub enum Admission {
    /// It passes; it was charged, and holds its place until the permit is dropped.
    Admitted(Permit),
    /// It is refused; nothing was charged.
    Denied(Refusal),
    /// It may pass as soon as the keeper has recorded more; nothing was charged.
    NeedsLease(LeaseWait),
}

/// Why a request is refused, and from when on it would not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The first limit, in the order concurrency, rate, quotas, that refused.
    pub denial: Denial,
    /// A lone client that waits this many seconds is admitted.
    pub retry_after_s: u64,
}

/// A place among the key's requests in flight; dropping it gives the place back.
#[derive(Debug)]
#[must_use]
pub struct Permit(Arc<Account>);

impl Permit {
    /// The account that was charged.
    pub fn account(&self) -> &Arc<Account> {
        &self.0
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A wait for the keeper, about 100 µs. Nothing is held meanwhile.
#[derive(Debug)]
#[must_use]
pub struct LeaseWait {
    lines: Arc<Lines>,
    account: Arc<Account>,
    limits: Arc<EffectiveLimits>,
}

impl LeaseWait {
    /// Returns when the keeper has seen to it; ask again then. Returns at once where the keeper has left.
    pub async fn ready(self) {
        let LeaseWait { lines, account, limits } = self;
        recall(&lines, account, limits, true).await;
    }
}

pub(super) async fn recall(lines: &Lines, account: Arc<Account>, limits: Arc<EffectiveLimits>, spend: bool) {
    let (done, told) = oneshot::channel();
    if lines.demands.send(Demand { account, limits, done: Some(done), spend }).is_ok() {
        // An error means that the keeper left: `admit` will say so.
        let _ = told.await;
    }
}

impl Limiter {
    /// A limiter and the keeper that it needs. Until the keeper runs, every first request of a key waits.
    pub fn new() -> (Limiter, Keeper) {
        let (lines, demanded, settled) = Lines::open(None);
        (Limiter(Arc::clone(&lines)), Keeper::new(lines, demanded, settled))
    }

    /// A limiter whose limits are shared with other gateways, and the keeper that it needs.
    pub fn fleet() -> (Limiter, FleetKeeper) {
        let (lines, demanded, settled) = Lines::open(Some(FleetLines::default()));
        (Limiter(Arc::clone(&lines)), FleetKeeper::new(lines, demanded, settled))
    }

    /// Decides on one request at `now`.
    pub fn admit(&self, account: &Arc<Account>, limits: &Arc<EffectiveLimits>, now: Moment) -> Admission {
        let shares = self.0.fleet.as_ref().map(|_| account.shares());
        let entered = match (shares, limits.limits().concurrency) {
            (Some(shares), Some(limit)) => shares.enter(account, limit, now.mono_ns),
            (Some(_), None) | (None, _) => {
                account.enter(limits.concurrency()).then_some(()).ok_or(Entry::Full)
            }
        };
        match entered {
            Ok(()) => {}
            // Whoever is in flight may end at any moment.
            Err(Entry::Full) => {
                let refusal = Refusal { denial: Denial::ConcurrencyExceeded, retry_after_s: 1 };
                return Admission::Denied(refusal);
            }
            Err(Entry::NotGranted) => return self.wait(account, limits, now),
        }
        // Gives the place back on every way out but admission.
        let permit = Permit(Arc::clone(account));
        loop {
            let loaded = load(account, limits, shares);
            match decide(account, limits, &loaded, now) {
                Verdict::Refuse(refusal) => return Admission::Denied(refusal),
                Verdict::Wait => return self.wait(account, limits, now),
                Verdict::Pass => {}
            }
            // Between the decision and the charge others may have taken the last one: then decide anew. Each turn
            // means that another request passed, so the number of turns is bounded by the limits themselves.
            if let Some(renew) = charge(account, limits, &loaded, now) {
                if renew {
                    self.renew_in_background(account, limits);
                }
                return Admission::Admitted(permit);
            }
        }
    }

    /// What a request is told that has to wait for the keeper.
    fn wait(&self, account: &Arc<Account>, limits: &Arc<EffectiveLimits>, now: Moment) -> Admission {
        if self.0.demands.is_closed() {
            return Admission::Denied(Refusal { denial: Denial::Draining, retry_after_s: 1 });
        }
        if let Some(fleet) = &self.0.fleet
            && account.shares().lacks(now.mono_ns)
        {
            // Nobody can say whether the limit is reached, so the answer is neither yes nor 429.
            fleet.undecided.fetch_add(1, Ordering::Relaxed);
            return Admission::Denied(Refusal { denial: Denial::Unavailable, retry_after_s: 1 });
        }
        let (lines, limits) = (Arc::clone(&self.0), Arc::clone(limits));
        Admission::NeedsLease(LeaseWait { lines, account: Arc::clone(account), limits })
    }

    /// How this gateway of a fleet stands with the ledger; `None` in a process alone.
    pub fn fleet_standing(&self) -> Option<FleetStanding> {
        self.0.fleet.as_ref().map(FleetLines::standing)
    }

    /// Counts how a request of this key ended. Counts reach the record about a second later.
    pub fn count(&self, account: &Arc<Account>, outcome: Outcome) {
        account.tally(outcome);
        self.queue(account);
    }

    /// Counts how a request of this key ended and, where it was admitted, the way it took, as one. `tally` is the calling
    /// thread's own. The way reaches the record after the count, within a minute.
    pub fn count_path(&self, tally: &PathTally, account: &Arc<Account>, outcome: Outcome, path: &Path<'_>) {
        match outcome {
            Outcome::Allowed | Outcome::Failed(_) => {
                // Held over both, so that the keeper sees both or neither.
                let mut table = tally.lock();
                account.tally(outcome);
                if table.add(account.key(), path) {
                    // Fails only once the recorder has left.
                    let _ = self.0.settlements.send(Settlement::Gather);
                }
            }
            Outcome::Denied(_) => account.tally(outcome),
        }
        self.queue(account);
    }

    /// A table of paths for one more worker.
    pub fn path_tally(&self) -> PathTally {
        self.0.paths.add()
    }

    fn queue(&self, account: &Arc<Account>) {
        // Release, paired with the recorder's Acquire: whoever takes the flag down sees the count.
        if !account.settlement_queued.swap(true, Ordering::AcqRel) {
            // Fails only once the recorder has left, which it does after the last request.
            let _ = self.0.settlements.send(Settlement::Of(Arc::clone(account)));
        }
    }

    /// Appends `ratelimit-policy` and `ratelimit` lines for a response; nothing where the key has no limits.
    pub fn write_fields(&self, account: &Account, limits: &EffectiveLimits, now: Moment, out: &mut Vec<u8>) {
        super::fields::write(account, limits, now, out);
    }

    /// Returns when everything that was counted before the call is on record, or the keeper has left.
    pub async fn flush(&self) {
        let (done, told) = oneshot::channel();
        if self.0.settlements.send(Settlement::Flush(done)).is_ok() {
            let _ = told.await;
        }
    }

    /// Returns when the account holds what is on record, so that [`Account::snapshot`] shows what earlier processes
    /// have admitted too.
    pub async fn recall(&self, account: &Arc<Account>, limits: &Arc<EffectiveLimits>) {
        recall(&self.0, Arc::clone(account), Arc::clone(limits), false).await;
    }

    /// Whether the ledger's store fails at present, so that grants live in memory only.
    pub fn ledger_failing(&self) -> bool {
        self.0.failing.load(Ordering::Relaxed)
    }

    /// How many grants were made without a record since this process began.
    pub fn unsecured_grants(&self) -> u64 {
        self.0.unsecured.load(Ordering::Relaxed)
    }

    /// How many admitted requests were counted of their key and, for want of room, not of their route and agent.
    pub fn unattributed_requests(&self) -> u64 {
        self.0.paths.unattributed.load(Ordering::Relaxed)
    }

    fn renew_in_background(&self, account: &Arc<Account>, limits: &Arc<EffectiveLimits>) {
        if !account.renewal_queued.swap(true, Ordering::Relaxed) {
            let (account, limits) = (Arc::clone(account), Arc::clone(limits));
            // Fails only once the keeper has left; then the next wait is answered with a refusal.
            let _ = self.0.demands.send(Demand { account, limits, done: None, spend: true });
        }
    }
}
