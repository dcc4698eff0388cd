//! The follower: a gateway's half of the fleet. Keeps the replica in step with the feed and says how far it is.
//!
//! Owns the life of a replica: registered, loaded, followed, loaded anew after a gap or under a new epoch. Promises the
//! orders that make revocation sound: a gateway registers before it loads, acknowledges after it has applied a change
//! and begun to cut, and believes its replica only for `trust` from the start of a sync whose head it has applied.
//! Never gives up: whatever the hub does, it tries on until it is told to leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::hub::{Beat, Entry, Hub, HubError, Phase, Position, Presence, Record, Synced};
use super::identity::{Identity, Told};
use super::load::{load, refuses};
use super::pause::Pauses;
use super::progress::Progress;
use super::record::parse_hash;
use crate::domain::clock::Clock;
use crate::domain::id::KeyId;
use crate::domain::secret::SecretHash;
use crate::keytable::{KeyFacts, KeyTable, Standing};
use crate::limits::slices::FleetView;

/// Beats within one span of trust: three may be lost before trust runs out.
const BEATS_A_TRUST: u32 = 4;
/// Time between two beats of a gateway that waits to be allowed to serve.
const PACE_WAITING: Duration = Duration::from_millis(50);
/// Longest wait for the next change before the follower looks around.
const CHANGES_WAIT: Duration = Duration::from_secs(1);
/// Pauses after a failure.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_LONGEST: Duration = Duration::from_millis(500);
/// Longest that leaving waits for the hub to take note.
const LEAVE_WAIT: Duration = Duration::from_secs(1);

/// What others in the process see of the follower. Clones share it.
#[derive(Debug, Clone)]
pub struct Following {
    progress: Arc<Progress>,
    synced: watch::Receiver<Option<Synced>>,
    view: watch::Receiver<FleetView>,
    ready: watch::Receiver<bool>,
    reload: Arc<Notify>,
}

impl Following {
    /// Has the whole table loaded anew, while it serves.
    pub fn load_anew(&self) {
        self.reload.notify_one();
    }

    /// The answers to beats, the last of them; `None` before the first.
    pub fn synced(&self) -> watch::Receiver<Option<Synced>> {
        self.synced.clone()
    }

    /// The fleet as the last answer told, for the limits.
    pub fn view(&self) -> watch::Receiver<FleetView> {
        self.view.clone()
    }

    /// Whether the replica is whole and may be used.
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.clone()
    }

    /// The point up to which the replica contains the feed.
    pub fn applied(&self) -> Option<Position> {
        self.progress.applied()
    }

    /// How often the whole table was loaded.
    pub fn loads(&self) -> u64 {
        self.progress.loads.load(Ordering::Relaxed)
    }

    /// Milliseconds that the last sync took.
    pub fn last_sync_ms(&self) -> u64 {
        self.progress.last_sync_ms.load(Ordering::Relaxed)
    }
}

/// Follows the feed.
pub struct Follower<H> {
    hub: H,
    keys: Arc<KeyTable>,
    clock: Clock,
    identity: Identity,
    told: Box<dyn Fn() -> Told + Send + Sync>,
    progress: Arc<Progress>,
    synced: watch::Sender<Option<Synced>>,
    view: watch::Sender<FleetView>,
    ready: watch::Sender<bool>,
    beats: AtomicU64,
    /// Told when the table has to be loaded anew.
    reload: Arc<Notify>,
}

impl<H: Hub> Follower<H> {
    /// A follower that fills `keys`, which has to be a replica. `told` is asked with each beat.
    pub fn new(
        hub: H,
        keys: Arc<KeyTable>,
        clock: Clock,
        identity: Identity,
        told: impl Fn() -> Told + Send + Sync + 'static,
    ) -> (Follower<H>, Following) {
        let progress = Arc::new(Progress::default());
        let (synced, synced_seen) = watch::channel(None);
        let (view, view_seen) = watch::channel(FleetView::default());
        let (ready, ready_seen) = watch::channel(false);
        let reload = Arc::new(Notify::new());
        let following = Following {
            progress: Arc::clone(&progress),
            synced: synced_seen,
            view: view_seen,
            ready: ready_seen,
            reload: Arc::clone(&reload),
        };
        let follower = Follower {
            hub,
            keys,
            clock,
            identity,
            told: Box::new(told),
            progress,
            synced,
            view,
            ready,
            beats: AtomicU64::new(0),
            reload,
        };
        (follower, following)
    }

    /// Follows until `leaving` says so, then takes the gateway off the register. Call that after its last request.
    pub async fn run(self, mut leaving: watch::Receiver<bool>) {
        tokio::select! {
            () = self.beat_on() => {}
            () = self.follow() => {}
            () = self.watch_over() => {}
            // Its sender going means the same: nobody is left to serve.
            _ = leaving.wait_for(|leaving| *leaving) => {}
        }
        // Whoever awaits an acknowledgement need not wait for one who has left; without an answer they wait it out.
        let left = tokio::time::timeout(LEAVE_WAIT, self.hub.leave(self.identity.gateway)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::warn!(
                "Redis was not told that this gateway leaves: revocations may wait for it a little"
            );
        }
    }

    /// Beats at a steady pace.
    async fn beat_on(&self) {
        let pace = self.identity.trust / BEATS_A_TRUST;
        let mut failing = false;
        loop {
            let waits_to_serve = !failing && !*self.ready.borrow();
            tokio::time::sleep(if waits_to_serve { PACE_WAITING.min(pace) } else { pace }).await;
            match self.beat().await {
                Ok(_) if failing => {
                    failing = false;
                    tracing::info!("in touch with Redis again");
                }
                Ok(_) => {}
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "out of touch with the feed of changes");
                }
                Err(_) => {}
            }
        }
    }

    /// One beat: registers, acknowledges what is applied, and learns where the feed is.
    async fn beat(&self) -> Result<Synced, HubError> {
        // Before anything is asked: what is true of the feed is true of it after this instant.
        let start_ns = self.clock.mono_ns();
        let Told { generation, declared, outstanding, counted } = (self.told)();
        let beat = self.progress.tell(|phase, epoch, applied| Beat {
            gateway: self.identity.gateway,
            number: self.beats.fetch_add(1, Ordering::Relaxed) + 1,
            presence: Presence {
                name: self.identity.name.clone(),
                version: self.identity.version.clone(),
                address: self.identity.address.clone(),
                generation,
                goes_on_ms: self.identity.goes_on_ms(),
                phase,
                epoch,
                applied,
                declared,
                outstanding,
                counted,
            },
        });
        let said = beat.presence.phase;
        let synced = self.hub.sync(&beat).await?;
        if !self.progress.see(synced.head.epoch) {
            // An old primary that was cut off goes on to vouch for what it has: that was true once.
            return Err(HubError::Unvouched);
        }
        let took_ms = self.clock.mono_ns().saturating_sub(start_ns) / 1_000_000;
        self.progress.last_sync_ms.store(took_ms, Ordering::Relaxed);
        self.synced.send_replace(Some(synced));
        let Synced { head: Position { epoch, .. }, gateways, silent, ledger_open, .. } = synced;
        let asked_at_ns = start_ns;
        self.view.send_modify(|view| {
            *view = FleetView { epoch, gateways, silent, ledger_open, asked_at_ns, lapses: view.lapses };
        });
        // A gateway that said it was loading is not waited for by whoever revokes: only a sync in which it said that
        // it follows counts.
        // Nor does one of a gateway that SQL does not know: nobody could wait for it.
        if said == Phase::Following && synced.remembered && self.progress.expect(start_ns, synced.head) {
            self.reload.notify_one();
        }
        self.believe();
        Ok(synced)
    }

    /// Extends trust by the syncs whose head is applied by now.
    fn believe(&self) {
        if let Some(start_ns) = self.progress.confirmed() {
            let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
            let fresh_until_ns = start_ns.saturating_add(nanos(self.identity.trust));
            let serves_until_ns = fresh_until_ns.saturating_add(nanos(self.identity.serve_for));
            self.keys.trust().extend(fresh_until_ns, serves_until_ns);
            self.ready.send_if_modified(|ready| !std::mem::replace(ready, true));
        }
    }

    /// Loads and follows, again and again.
    async fn follow(&self) {
        let mut pauses = Pauses::new(RETRY_FIRST, RETRY_LONGEST, self.identity.gateway.as_bytes());
        loop {
            match self.load().await {
                Ok(head) => {
                    pauses.reset();
                    self.keep_up(head, &mut pauses).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "the table cannot be loaded yet");
                    pauses.wait().await;
                }
            }
        }
    }

    /// Loads the whole table and gives the point that it is at least at.
    async fn load(&self) -> Result<Position, HubError> {
        self.progress.begin_load();
        // Registered by this beat, if not before: from here on whoever revokes knows of this gateway.
        let head = self.beat().await?.head;
        let begun_ns = self.clock.mono_ns();
        load(&self.hub, &self.keys, head, self.clock.now().unix).await?;
        self.progress.loads.fetch_add(1, Ordering::Relaxed);
        self.progress.end_load(head);
        let took_ms = self.clock.mono_ns().saturating_sub(begun_ns) / 1_000_000;
        tracing::info!(
            keys = self.keys.len(),
            epoch = head.epoch,
            seq = head.seq,
            took_ms,
            "the table is loaded"
        );
        self.beat().await?;
        Ok(head)
    }

    /// Follows the feed until the table has to be loaded anew.
    async fn keep_up(&self, mut at: Position, pauses: &mut Pauses) {
        loop {
            let changes = tokio::select! {
                biased;
                () = self.reload.notified() => return,
                changes = self.hub.changes(at, CHANGES_WAIT) => changes,
            };
            match changes {
                Ok(entries) if entries.is_empty() => {}
                Ok(entries) => match self.apply(at, entries).await {
                    Some(reached) => {
                        pauses.reset();
                        at = reached;
                        self.progress.set_applied(at);
                        self.believe();
                        // The acknowledgement. Where it fails, the next beat is one.
                        if let Err(error) = self.beat().await {
                            tracing::debug!(%error, "an acknowledgement was not taken");
                        }
                    }
                    None => return,
                },
                Err(error) => {
                    tracing::debug!(%error, "the feed does not answer");
                    pauses.wait().await;
                }
            }
        }
    }

    /// Applies changes that follow `at`, and has workers cut what was revoked. Gives how far the replica then is; `None`
    /// where the table has to be loaded anew.
    async fn apply(&self, at: Position, entries: Vec<Entry>) -> Option<Position> {
        let now = self.clock.now().unix;
        let mut reached = at;
        let mut revoked: Vec<(KeyId, SecretHash)> = Vec::new();
        let mut refused = Vec::new();
        for entry in entries {
            if entry.seq != reached.seq + 1 {
                tracing::info!(
                    after = reached.seq,
                    found = entry.seq,
                    "changes are missing from the feed: loading anew"
                );
                return None;
            }
            for record in entry.records {
                match record {
                    Record::Organization(record) => self.keys.put_organization(record.try_into().ok()?),
                    Record::OrganizationGone(id) => self.keys.remove_organization(id),
                    Record::Key(record) => {
                        let facts = KeyFacts::try_from(record).ok()?;
                        if refuses(&facts, now) {
                            refused.push(facts.id);
                        }
                        self.keys.put_key(facts).ok()?;
                    }
                    Record::KeyGone { id, hash } => revoked.push((id, parse_hash(&hash)?)),
                }
            }
            reached.seq = entry.seq;
        }
        // Only what every worker has begun to cut is acknowledged. A worker that does not answer keeps this gateway from
        // acknowledging, and so from being believed.
        if !revoked.is_empty() {
            while self.keys.revoke(&revoked).await.workers_awaited > 0 {}
        }
        if !refused.is_empty() {
            while self.keys.cut(&refused).await.workers_awaited > 0 {}
        }
        Some(reached)
    }

    /// Cuts everything when the replica may no longer be used.
    async fn watch_over(&self) {
        let trust = self.keys.trust();
        let mut ready = self.ready.subscribe();
        loop {
            // An error would mean that the sender is gone, and it is `self`.
            if ready.wait_for(|ready| *ready).await.is_err() {
                return;
            }
            while trust.standing(&self.clock) != Standing::Over {
                let left_ns = trust.serves_until_ns().saturating_sub(self.clock.mono_ns());
                tokio::time::sleep(Duration::from_nanos(left_ns)).await;
            }
            self.ready.send_replace(false);
            let report = self.keys.cut_all().await;
            tracing::error!(
                cut_connections = report.cut_connections,
                "out of touch with Redis for longer than this gateway may go on: requests with keys are refused"
            );
        }
    }
}
