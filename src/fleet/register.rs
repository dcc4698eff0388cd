//! The register as a console sees it: which gateways there are, how far each is, and when it last gave a sign.
//!
//! Promises that a snapshot says when its reading began, so that whoever waits knows what it contains; and that signs
//! are timed on this process's own monotonic clock, from when they were seen here. Remembers in SQL every gateway that
//! it sees, so that one which Redis forgets is still waited for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::hub::{Hub, Position, Registered, Registry};
use super::revocation::{goes_on, nanos};
use super::truth::{KnownGateway, Truth, TruthError};
use crate::domain::clock::Clock;
use crate::domain::id::GatewayId;

/// Time between two readings.
const PACE: Duration = Duration::from_millis(250);
/// Time between two readings while somebody waits for acknowledgements.
const PACE_AWAITED: Duration = Duration::from_millis(1);
/// How much longer than it may go on a gateway is kept on the register: people want to see that it is silent.
const BURY_AFTER: Duration = Duration::from_secs(10);
/// Time between two notes in SQL of gateways that are known there.
const REMEMBER_EVERY: Duration = Duration::from_secs(5);

/// A gateway, and when it last gave a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What it says of itself.
    pub registered: Registered,
    /// When its last beat was first seen here, in nanoseconds on the monotonic clock.
    pub sign_ns: u64,
}

/// The register at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// When the reading began, in nanoseconds on the monotonic clock; 0 before the first.
    pub begun_ns: u64,
    /// Where the feed was; `None` where the hub holds nothing that is vouched for, or SQL is at another epoch.
    pub head: Option<Position>,
    /// When this epoch was first seen here.
    pub epoch_seen_ns: u64,
    /// All that are registered.
    pub gateways: Vec<Sighting>,
    /// Remembered in SQL and not registered.
    pub missing: Vec<KnownGateway>,
}

/// Reads the register. Clones share it.
#[derive(Debug)]
pub struct Register<T, H> {
    truth: T,
    hub: H,
    clock: Clock,
    overlap: Duration,
    shared: Arc<Shared>,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiters: AtomicU32,
    awaited: Notify,
    stranded: AtomicU64,
}

/// Looks at the register. Clones look at the same.
#[derive(Debug, Clone)]
pub struct Lookout {
    shared: Arc<Shared>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// While it lives, the register is read as fast as it answers.
#[derive(Debug)]
pub(super) struct Hurry(Arc<Shared>);

impl Drop for Hurry {
    fn drop(&mut self) {
        self.0.waiters.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lookout {
    /// The snapshots, the latest of them.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Requests that were granted to gateways which died, and that nobody can spend any more.
    pub fn stranded(&self) -> u64 {
        self.shared.stranded.load(Ordering::Relaxed)
    }

    pub(super) fn hurry(&self) -> Hurry {
        self.shared.waiters.fetch_add(1, Ordering::AcqRel);
        self.shared.awaited.notify_one();
        Hurry(Arc::clone(&self.shared))
    }
}

/// What one reading leaves for the next.
#[derive(Debug, Default)]
struct Memory {
    signs: HashMap<GatewayId, (u64, u64)>,
    epoch: Option<(u64, u64)>,
    remembered_ns: u64,
    /// The epoch that the last reading found vouched for.
    last_epoch: Option<u64>,
}

impl<T: Truth, H: Hub> Register<T, H> {
    /// A reader of the register, and the lookout on what it reads. `overlap` is how long a primary that was cut off may go
    /// on to take writes.
    pub fn new(truth: T, hub: H, clock: Clock, overlap: Duration) -> (Register<T, H>, Lookout) {
        let shared = Arc::new(Shared::default());
        let (snapshots, seen) = watch::channel(Arc::new(Snapshot::default()));
        let lookout = Lookout { shared: Arc::clone(&shared), snapshots: seen };
        (Register { truth, hub, clock, overlap, shared, snapshots }, lookout)
    }

    /// Reads until `leaving` says so.
    pub async fn run(self, mut leaving: watch::Receiver<bool>) {
        tokio::select! {
            () = self.read_on() => {}
            _ = leaving.wait_for(|leaving| *leaving) => {}
        }
    }

    async fn read_on(&self) {
        let mut memory = Memory::default();
        loop {
            if let Some(snapshot) = self.read(&mut memory).await {
                self.snapshots.send_replace(Arc::new(snapshot));
            }
            if self.shared.waiters.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(PACE_AWAITED).await;
            } else {
                let _ = tokio::time::timeout(PACE, self.shared.awaited.notified()).await;
            }
        }
    }

    /// One reading; `None` where the hub or SQL does not answer.
    async fn read(&self, memory: &mut Memory) -> Option<Snapshot> {
        let begun_ns = self.clock.mono_ns();
        let Registry { head, gateways } = self.hub.registry().await.ok()?;
        let read_ns = self.clock.mono_ns();
        if let Some(head) = head
            && memory.epoch.is_none_or(|(epoch, _)| epoch != head.epoch)
        {
            memory.epoch = Some((head.epoch, read_ns));
        }
        let mut signs = HashMap::with_capacity(gateways.len());
        let mut sightings = Vec::with_capacity(gateways.len());
        for registered in gateways {
            let sign_ns = match memory.signs.get(&registered.gateway) {
                Some((beat, sign_ns)) if *beat == registered.beat => *sign_ns,
                // The reading ended after the sign was given: never too early.
                Some(_) | None => read_ns,
            };
            signs.insert(registered.gateway, (registered.beat, sign_ns));
            sightings.push(Sighting { registered, sign_ns });
        }
        let epoch = head.map(|head| head.epoch);
        if epoch.is_some() && epoch == memory.last_epoch {
            // Gone from a register that lost nothing meanwhile: they took themselves off it.
            let left: Vec<GatewayId> =
                memory.signs.keys().filter(|gateway| !signs.contains_key(gateway)).copied().collect();
            self.forget(&left).await;
        }
        memory.last_epoch = epoch;
        memory.signs = signs;
        self.bury(&mut sightings, read_ns).await;
        if let Some(epoch) = epoch {
            self.remember(memory, &sightings, epoch, read_ns).await;
        }
        // After the register was read: another console may have begun an epoch whose gateways this register does not know.
        let known = async { Ok::<_, TruthError>((self.truth.epoch().await?, self.truth.known().await?)) };
        let (sql_epoch, known) = known.await.ok()?;
        let is_missing =
            |known: &KnownGateway| sightings.iter().all(|sight| sight.registered.gateway != known.gateway);
        let missing = known.into_iter().filter(is_missing).collect();
        let epoch_seen_ns = memory.epoch.map_or(read_ns, |(_, seen_ns)| seen_ns);
        let head = head.filter(|head| head.epoch == sql_epoch);
        Some(Snapshot { begun_ns, head, epoch_seen_ns, gateways: sightings, missing })
    }

    async fn forget(&self, left: &[GatewayId]) {
        if left.is_empty() {
            return;
        }
        if let Err(error) = self.truth.forget(left).await {
            // Then they are waited for after the next loss of the register, which is slow and not wrong.
            tracing::warn!(%error, "gateways that left cannot be forgotten");
        }
    }

    /// Takes those off the register whose life is surely over: nobody need wait for them, and the share of limits that
    /// was kept for them is free.
    async fn bury(&self, sightings: &mut Vec<Sighting>, now_ns: u64) {
        let mut over = Vec::new();
        for sight in sightings.iter() {
            let presence = &sight.registered.presence;
            let lives_ns = nanos(goes_on(presence.goes_on_ms) + self.overlap + BURY_AFTER);
            if now_ns.saturating_sub(sight.sign_ns) <= lives_ns {
                continue;
            }
            let (gateway, beat) = (sight.registered.gateway, sight.registered.beat);
            if matches!(self.hub.expel(gateway, beat).await, Ok(true)) {
                tracing::warn!(
                    name = presence.name,
                    stranded_requests = presence.outstanding,
                    "a gateway has given no sign for longer than it may go on: it is taken off the register"
                );
                self.shared.stranded.fetch_add(presence.outstanding, Ordering::Relaxed);
                over.push(gateway);
            }
        }
        sightings.retain(|sight| !over.contains(&sight.registered.gateway));
        self.forget(&over).await;
    }

    /// Writes down who is there, and tells those who wait to be.
    async fn remember(&self, memory: &mut Memory, sightings: &[Sighting], epoch: u64, now_ns: u64) {
        let all = sightings.iter().map(|sight| &sight.registered);
        let new: Vec<GatewayId> = all.clone().filter(|one| !one.remembered).map(|one| one.gateway).collect();
        let due = now_ns.saturating_sub(memory.remembered_ns) >= nanos(REMEMBER_EVERY);
        if new.is_empty() && !due {
            return;
        }
        match self.truth.remember(&all.cloned().collect::<Vec<_>>(), epoch).await {
            Ok(true) => memory.remembered_ns = now_ns,
            // The next reading is of another epoch.
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "gateways cannot be written down");
                return;
            }
        }
        if !new.is_empty()
            && let Err(error) = self.hub.mark(&new).await
        {
            tracing::debug!(%error, "gateways were not told that they are known");
        }
    }
}
