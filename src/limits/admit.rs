//! Admission: the hot path's question whether a request may pass now.
//!
//! Owns the order concurrency, rate, quotas, and that all or none are charged. Promises no lock, no wait and no
//! allocation for an admitted request. Never asks a store: what is not at hand is the keeper's to fetch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::Guard;
use tokio::sync::{mpsc, oneshot};

use super::account::{Account, Outcome};
use super::effective::EffectiveLimits;
use super::keeper::Keeper;
use super::paths::{Path, PathTallies, PathTally};
use super::quota::{QuotaLease, Standing};
use super::rate::Take;
use crate::domain::clock::{Moment, UnixMillis};
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

/// The leases that one decision reads and charges: loaded once, so that both see the same window.
type Loaded = [Option<Guard<Option<Arc<QuotaLease>>>>; 5];

enum Verdict {
    Pass,
    Refuse(Refusal),
    Wait,
}

impl Limiter {
    /// A limiter and the keeper that it needs. Until the keeper runs, every first request of a key waits.
    pub fn new() -> (Limiter, Keeper) {
        let (demands, demanded) = mpsc::unbounded_channel();
        let (settlements, settled) = mpsc::unbounded_channel();
        let lines = Arc::new(Lines {
            demands,
            settlements,
            failing: AtomicBool::new(false),
            unsecured: AtomicU64::new(0),
            paths: PathTallies::default(),
        });
        (Limiter(Arc::clone(&lines)), Keeper::new(lines, demanded, settled))
    }

    /// Decides on one request at `now`.
    pub fn admit(&self, account: &Arc<Account>, limits: &Arc<EffectiveLimits>, now: Moment) -> Admission {
        if !account.enter(limits.concurrency()) {
            // Whoever is in flight may end at any moment.
            return Admission::Denied(Refusal { denial: Denial::ConcurrencyExceeded, retry_after_s: 1 });
        }
        // Gives the place back on every way out but admission.
        let permit = Permit(Arc::clone(account));
        loop {
            let loaded = load(account, limits);
            match decide(account, limits, &loaded, now) {
                Verdict::Refuse(refusal) => return Admission::Denied(refusal),
                Verdict::Wait if self.0.demands.is_closed() => {
                    return Admission::Denied(Refusal { denial: Denial::Draining, retry_after_s: 1 });
                }
                Verdict::Wait => {
                    let (lines, limits) = (Arc::clone(&self.0), Arc::clone(limits));
                    return Admission::NeedsLease(LeaseWait { lines, account: Arc::clone(account), limits });
                }
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

fn load(account: &Account, limits: &EffectiveLimits) -> Loaded {
    let mut loaded = [const { None }; 5];
    for (place, quota) in loaded.iter_mut().zip(limits.quotas()) {
        *place = Some(account.quota(quota.per).load());
    }
    loaded
}

fn leases<'a>(
    loaded: &'a Loaded,
    limits: &'a EffectiveLimits,
) -> impl Iterator<Item = (u64, Option<&'a QuotaLease>)> {
    let requests = limits.quotas().iter().map(|quota| quota.requests);
    requests.zip(loaded.iter().map(|place| place.as_ref().and_then(|guard| guard.as_deref())))
}

fn decide(account: &Account, limits: &EffectiveLimits, loaded: &Loaded, now: Moment) -> Verdict {
    let mut denial = None;
    let mut wait_s = 0;
    let mut lapsed = account.meter.standing(u64::MAX, now.unix) != Standing::Open;
    if let Some(rule) = limits.rate() {
        match account.rate.peek(rule, now.mono_ns) {
            Take::TooEarly { wait_ns } => {
                denial = Some(Denial::RateExceeded);
                wait_s = wait_ns.div_ceil(1_000_000_000);
            }
            Take::NotGranted => lapsed = true,
            Take::Taken { .. } => {}
        }
    }
    for (requests, lease) in leases(loaded, limits) {
        match lease.map(|lease| (lease.standing(requests, now.unix), lease)) {
            Some((Standing::UsedUp, lease)) => {
                denial = denial.or(Some(Denial::QuotaExceeded));
                // Over all that refuse: a client told the least would come back to a second refusal.
                wait_s = wait_s.max(seconds_until(lease.span.end, now.unix));
            }
            Some((Standing::Open, _)) => {}
            Some((Standing::Lapsed, _)) | None => lapsed = true,
        }
    }
    // A refusal needs no lease: a flood over the limit costs the ledger nothing.
    match denial {
        Some(denial) => Verdict::Refuse(Refusal { denial, retry_after_s: wait_s.max(1) }),
        None if lapsed => Verdict::Wait,
        None => Verdict::Pass,
    }
}

/// Charges rate, quotas and meter, or nothing. Says whether to ask for more.
fn charge(account: &Account, limits: &EffectiveLimits, loaded: &Loaded, now: Moment) -> Option<bool> {
    let mut renew = false;
    if let Some(rule) = limits.rate() {
        match account.rate.take(rule, now.mono_ns) {
            Take::Taken { renew: more } => renew |= more,
            Take::TooEarly { .. } | Take::NotGranted => return None,
        }
    }
    let mut charged = 0;
    let all = leases(loaded, limits)
        .filter_map(|(requests, lease)| Some((requests, lease?)))
        .chain(std::iter::once((u64::MAX, &account.meter)));
    for (requests, lease) in all {
        match lease.spend(requests) {
            Some(more) => {
                renew |= more;
                charged += 1;
            }
            None => {
                leases(loaded, limits)
                    .take(charged)
                    .filter_map(|(_, lease)| lease)
                    .for_each(QuotaLease::refund);
                if let Some(rule) = limits.rate() {
                    account.rate.refund(rule);
                }
                return None;
            }
        }
    }
    Some(renew)
}

pub(super) fn seconds_until(end: UnixMillis, now: UnixMillis) -> u64 {
    end.0.saturating_sub(now.0).div_ceil(1_000)
}

#[cfg(test)]
mod tests {
    use super::super::quota::Span;
    use super::super::tests::support::{START, compiled};
    use super::*;
    use crate::domain::id::KeyId;
    use crate::domain::limit::{Limits, Period, Quota, Rate, Window};

    #[test]
    fn a_request_that_loses_the_race_for_its_last_quota_gives_back_all_it_was_charged() {
        let now = crate::domain::clock::Clock::manual(START).now();
        let limits = compiled(&Limits {
            rate: Some(Rate { requests: 1, per: Period::Second, burst: 5 }),
            quotas: Some(vec![
                Quota { requests: 5, per: Window::Minute },
                Quota { requests: 5, per: Window::Day },
            ]),
            concurrency: None,
        });
        let account = Account::new(KeyId::generate());
        let rule = limits.rate().unwrap();
        account.rate.tune(rule, now.mono_ns, 0);
        account.rate.grant(u64::MAX, 0);
        account.meter.grant(10);
        // The day's quota was open when the request was decided upon, and another request took the last of it.
        for (window, used) in [(Window::Minute, 1), (Window::Day, 5)] {
            let lease = QuotaLease::new(Span::ALWAYS, used, true);
            lease.grant(5);
            account.quota(window).store(Some(Arc::new(lease)));
        }
        assert_eq!(charge(&account, &limits, &load(&account, &limits), now), None);
        let used = |window| account.quota(window).load().as_ref().map(|lease| lease.used());
        assert_eq!((used(Window::Minute), used(Window::Day)), (Some(1), Some(5)));
        assert_eq!((account.meter.used(), account.rate.level(rule, now.mono_ns)), (0, (5, 0)));
    }
}
