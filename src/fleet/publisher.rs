//! The publisher: moves the outbox to the hub, in order, and vouches for what the hub holds.
//!
//! One console publishes, the others stand by. Promises that a change reaches the hub only after all before it, whatever
//! dies in between; and that contents which cannot be vouched for (a hub that was flushed, restarted, restored or failed
//! over) are written anew under a new epoch before any gateway believes them. Never decides what is true: that is SQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::hub::{Hub, HubError, HubState, Lease};
use super::pause::Pauses;
use super::truth::{Cursor, Truth, TruthError};
use crate::domain::id::GatewayId;

/// How long a publisher without news waits before it looks for changes of other consoles.
const LOOK_AROUND: Duration = Duration::from_millis(25);
/// Time between two checks that the hub's contents are still vouched for.
const CHECK_EVERY: Duration = Duration::from_millis(250);
/// Checks between two questions whether the right to publish is still held.
const CHECKS_A_LOCK: u32 = 4;
/// Pauses between tries to take the right over: the longest time that a fleet is without a publisher.
const STAND_BY: Duration = Duration::from_millis(500);
/// Pauses after a failure.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_LONGEST: Duration = Duration::from_secs(1);
/// Changes published at once.
const ENTRIES_MAX: u32 = 200;
/// Records of a table written at once.
const RECORDS_MAX: u32 = 2_000;
/// Published changes that are kept, for those who read the outbox by hand.
const CHANGES_KEPT: u64 = 10_000;

/// What others in the process see of the publisher, and how they wake it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Publishing(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    news: Notify,
    active: AtomicBool,
    published: AtomicU64,
    behind: AtomicU64,
    republications: AtomicU64,
    lease: std::sync::Mutex<Option<Lease>>,
}

impl Publishing {
    /// Says that something was committed.
    pub fn wake(&self) {
        self.0.news.notify_one();
    }

    /// Whether this console publishes.
    pub fn is_active(&self) -> bool {
        self.0.active.load(Ordering::Relaxed)
    }

    /// The last change that this console has published.
    pub fn published(&self) -> u64 {
        self.0.published.load(Ordering::Relaxed)
    }

    /// Changes that were committed and not published when this console looked last.
    pub fn behind(&self) -> u64 {
        self.0.behind.load(Ordering::Relaxed)
    }

    /// How often the whole table was written anew.
    pub fn republications(&self) -> u64 {
        self.0.republications.load(Ordering::Relaxed)
    }

    /// What this console publishes by; `None` while it stands by or writes the table anew.
    pub fn lease(&self) -> Option<Lease> {
        // A lock over two words, held for a copy.
        *self.0.lease.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn set_lease(&self, lease: Option<Lease>) {
        *self.0.lease.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = lease;
    }
}

/// Publishes.
#[derive(Debug)]
pub struct Publisher<T, H> {
    truth: T,
    hub: H,
    publishing: Publishing,
    /// What pauses are spread by.
    seed: GatewayId,
}

/// Why a span of publishing ended.
#[derive(Debug)]
enum Ended {
    /// Another console has taken over, or the right is gone.
    Lost,
    /// The hub's contents are not what was left there.
    Unvouched,
}

impl<T: Truth, H: Hub> Publisher<T, H> {
    /// A publisher. `seed` spreads its pauses.
    pub fn new(truth: T, hub: H, seed: GatewayId) -> (Publisher<T, H>, Publishing) {
        let publishing = Publishing::default();
        (Publisher { truth, hub, publishing: publishing.clone(), seed }, publishing)
    }

    /// Publishes, or stands by, until `leaving` says so.
    pub async fn run(self, mut leaving: watch::Receiver<bool>) {
        tokio::select! {
            () = self.work() => {}
            _ = leaving.wait_for(|leaving| *leaving) => {}
        }
        self.publishing.0.active.store(false, Ordering::Relaxed);
    }

    async fn work(&self) {
        let mut pauses = Pauses::new(RETRY_FIRST, STAND_BY, self.seed.as_bytes());
        loop {
            match self.truth.lock().await {
                Ok(Some(lock)) => {
                    pauses.reset();
                    if let Err(error) = self.lead(lock).await {
                        tracing::warn!(%error, "publishing was given up for now");
                    }
                    self.publishing.set_lease(None);
                    self.publishing.0.active.store(false, Ordering::Relaxed);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "the right to publish cannot be asked for"),
            }
            pauses.wait().await;
        }
    }

    /// Publishes while the right lasts.
    async fn lead(&self, mut lock: T::Lock) -> Result<(), TruthError> {
        let term = self.truth.next_term().await?;
        self.publishing.0.active.store(true, Ordering::Relaxed);
        tracing::info!(term, "this console publishes changes to the fleet");
        let mut pauses = Pauses::new(RETRY_FIRST, RETRY_LONGEST, self.seed.as_bytes());
        let mut failing = false;
        while self.truth.holds(&mut lock).await {
            match self.vouch(term).await {
                Ok((lease, seq)) => {
                    failing = false;
                    pauses.reset();
                    self.publishing.set_lease(Some(lease));
                    let ended = self.publish(lease, seq, &mut lock).await?;
                    self.publishing.set_lease(None);
                    match ended {
                        Ended::Lost => return Ok(()),
                        Ended::Unvouched => tracing::warn!("Redis does not hold what was left there"),
                    }
                }
                Err(Failure::Hub(HubError::Superseded)) => return Ok(()),
                Err(Failure::Hub(error)) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "changes cannot be published");
                    }
                    pauses.wait().await;
                }
                Err(Failure::Truth(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sees to it that the hub holds the table of a current epoch, and gives the sequence that its feed is at.
    async fn vouch(&self, term: u64) -> Result<(Lease, u64), Failure> {
        let epoch = self.truth.epoch().await?;
        let last = self.truth.last_change().await?;
        match self.hub.state().await? {
            Some(state) if is_ours(&state, epoch, last) => Ok((Lease { term, epoch }, state.head.seq)),
            Some(state) if state.term > term => Err(Failure::Hub(HubError::Superseded)),
            _ => self.write_anew(term).await,
        }
    }

    /// Writes the whole table under a new epoch.
    async fn write_anew(&self, term: u64) -> Result<(Lease, u64), Failure> {
        let epoch = self.truth.next_epoch().await?;
        let lease = Lease { term, epoch };
        self.hub.begin(lease).await?;
        // Before the first record is read: changes from here on are told by the feed.
        let seq = self.truth.last_change().await?;
        let mut cursor = Some(Cursor::Organizations(None));
        let mut count = 0;
        while let Some(at) = cursor {
            let (records, next) = self.truth.records(at, RECORDS_MAX).await?;
            if !records.is_empty() {
                count += records.len();
                self.hub.fill(lease, &records).await?;
            }
            cursor = next;
        }
        self.hub.open(lease, seq).await?;
        self.publishing.0.republications.fetch_add(1, Ordering::Relaxed);
        tracing::info!(epoch, seq, records = count, "the whole table was written to Redis");
        Ok((lease, seq))
    }

    /// Moves changes behind `seq` as they come.
    async fn publish(&self, lease: Lease, mut seq: u64, lock: &mut T::Lock) -> Result<Ended, TruthError> {
        let mut pauses = Pauses::new(RETRY_FIRST, RETRY_LONGEST, self.seed.as_bytes());
        let (mut checks, mut failing) = (0_u32, false);
        let mut checked = tokio::time::Instant::now();
        loop {
            self.publishing.0.published.store(seq, Ordering::Relaxed);
            let entries = match self.truth.entries_after(seq, ENTRIES_MAX).await {
                Err(TruthError::TooOld(_)) => return Ok(Ended::Unvouched),
                entries => entries?,
            };
            let behind = entries.last().map_or(0, |last| last.seq.saturating_sub(seq));
            self.publishing.0.behind.store(behind, Ordering::Relaxed);
            if entries.is_empty() {
                // Times out when nobody in this process has news: others may.
                let _ = tokio::time::timeout(LOOK_AROUND, self.publishing.0.news.notified()).await;
            }
            if checked.elapsed() >= CHECK_EVERY {
                checked = tokio::time::Instant::now();
                checks = checks.wrapping_add(1);
                if let Some(ended) = self.check(lease, seq, lock, checks).await? {
                    return Ok(ended);
                }
            }
            if entries.is_empty() {
                continue;
            }
            match self.hub.publish(lease, &entries).await {
                Ok(reached) if reached >= seq => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("changes are published again");
                    }
                    pauses.reset();
                    seq = reached;
                }
                Ok(_) | Err(HubError::Unvouched) => return Ok(Ended::Unvouched),
                // It may have been carried out: then the feed is ahead of what was known here. Behind it cannot be.
                Err(HubError::OutOfOrder { at }) if at > seq => seq = at,
                Err(HubError::OutOfOrder { .. }) => return Ok(Ended::Unvouched),
                Err(HubError::Superseded) => return Ok(Ended::Lost),
                Err(error @ (HubError::Unreachable(_) | HubError::Refused(_) | HubError::Foreign(_))) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "changes wait to be published");
                    }
                    pauses.wait().await;
                    if !self.truth.holds(lock).await {
                        return Ok(Ended::Lost);
                    }
                }
            }
        }
    }

    /// Whether there is a reason to end publishing. Each time the hub's contents are looked at, each fourth time the right to
    /// publish, and old changes are forgotten.
    async fn check(
        &self,
        lease: Lease,
        seq: u64,
        lock: &mut T::Lock,
        checks: u32,
    ) -> Result<Option<Ended>, TruthError> {
        if checks.is_multiple_of(CHECKS_A_LOCK) {
            if !self.truth.holds(lock).await {
                return Ok(Some(Ended::Lost));
            }
            self.truth.forget_changes(seq.saturating_sub(CHANGES_KEPT)).await?;
        }
        let is_ours = self.is_still_ours(lease, seq).await;
        Ok((!is_ours).then_some(Ended::Unvouched))
    }

    /// Whether the hub still holds what was left there; where it does not answer, nobody can believe it either.
    async fn is_still_ours(&self, lease: Lease, seq: u64) -> bool {
        match self.hub.state().await {
            Ok(Some(state)) => is_ours(&state, lease.epoch, u64::MAX) && state.head.seq >= seq,
            Ok(None) | Err(HubError::Unvouched) => false,
            Err(_) => true,
        }
    }
}

/// Whether the hub holds the table of `epoch`, vouched for, at a sequence that SQL knows.
fn is_ours(state: &HubState, epoch: u64, last: u64) -> bool {
    state.vouched && state.head.epoch == epoch && epoch > 0 && state.head.seq <= last
}

#[derive(Debug)]
enum Failure {
    Truth(TruthError),
    Hub(HubError),
}

impl From<TruthError> for Failure {
    fn from(error: TruthError) -> Failure {
        Failure::Truth(error)
    }
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Failure {
        Failure::Hub(error)
    }
}
