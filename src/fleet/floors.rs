//! Counters of limits after Redis lost data: from what SQL has counted and what gateways said that they hold.
//!
//! Works while this console publishes. Promises that the ledger of an epoch grants nothing before every gateway that may
//! hold grants of an earlier one has said so or cannot go on, and that what SQL has counted is read only after that:
//! whatever a gateway took for recorded then is in it. So no limit is given out twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::desk::Desk;
use super::hub::{Hub, HubError, Lease};
use super::revocation::may_open_ledger;
use crate::domain::clock::{Clock, UnixMillis};
use crate::domain::id::KeyId;
use crate::limits::EffectiveLimits;
use crate::limits::slices::{Floor, SliceBooks, SliceError};
use crate::store::{Database, StoreError};

/// Time between two looks while nothing is wanted.
const PACE: Duration = Duration::from_millis(50);
/// Keys whose counters are read at once.
const KEYS_MAX: usize = 100;
/// Windows end at the latest so long after they began: a month and a day.
const LONGEST_WINDOW_MS: u64 = 32 * 86_400_000;
const MINUTE_MS: u64 = 60_000;

/// What others in the process see. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Resumption(Arc<AtomicU64>);

impl Resumption {
    /// Accounts whose counters went on from SQL after Redis had lost them.
    pub fn accounts(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Opens the ledger of each epoch and tells it what SQL has counted.
#[derive(Debug)]
pub struct Floors<H, B> {
    hub: H,
    books: B,
    database: Database,
    desk: Desk,
    clock: Clock,
    resumption: Resumption,
}

#[derive(Debug, thiserror::Error)]
enum FloorError {
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] SliceError),
}

/// How far the ledger of an epoch is.
#[derive(Debug)]
struct Stage {
    lease: Lease,
    opened: bool,
    /// Behind which key the walk over all keys with counts goes on; `None` where it is done.
    walk: Option<Option<KeyId>>,
}

impl<H: Hub, B: SliceBooks> Floors<H, B> {
    /// Floors from `database`, while `desk`'s console publishes.
    pub fn new(hub: H, books: B, database: Database, desk: Desk, clock: Clock) -> (Floors<H, B>, Resumption) {
        let resumption = Resumption::default();
        (Floors { hub, books, database, desk, clock, resumption: resumption.clone() }, resumption)
    }

    /// Works until `leaving` says so.
    pub async fn run(self, mut leaving: watch::Receiver<bool>) {
        let mut stage: Option<Stage> = None;
        let mut failing = false;
        loop {
            match self.turn(&mut stage).await {
                Ok(true) => continue,
                Ok(false) => failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "counters of limits cannot be resumed yet");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(PACE) => {}
                _ = leaving.wait_for(|leaving| *leaving) => return,
            }
        }
    }

    /// One step. Says whether there is more to do at once.
    async fn turn(&self, stage: &mut Option<Stage>) -> Result<bool, FloorError> {
        let Some(lease) = self.desk.publishing().lease() else {
            *stage = None;
            return Ok(false);
        };
        if stage.as_ref().is_none_or(|stage| stage.lease != lease) {
            *stage = Some(Stage { lease, opened: false, walk: Some(None) });
        }
        let Some(stage) = stage else { return Ok(false) };
        if !stage.opened {
            let Some(snapshot) = self.desk.look().await else { return Ok(false) };
            if !may_open_ledger(&snapshot, lease.epoch, self.desk.overlap(), self.clock.mono_ns()) {
                return Ok(false);
            }
            self.hub.open_ledger(lease).await?;
            stage.opened = true;
            tracing::info!(epoch = lease.epoch, "the ledger of limits is open");
        }
        let wanted = self.books.wanted(KEYS_MAX).await?;
        if !wanted.is_empty() {
            self.deliver(lease, &wanted).await?;
            return Ok(true);
        }
        let Some(after) = stage.walk else { return Ok(false) };
        let since = UnixMillis(self.clock.now().unix.0.saturating_sub(LONGEST_WINDOW_MS));
        let keys = self.database.keys_counted_since(since, after, KEYS_MAX).await?;
        match keys.last() {
            Some(last) => {
                self.deliver(lease, &keys).await?;
                stage.walk = Some(Some(*last));
            }
            None => {
                self.books.complete_floors(lease.epoch).await?;
                stage.walk = None;
            }
        }
        Ok(true)
    }

    async fn deliver(&self, lease: Lease, keys: &[KeyId]) -> Result<(), FloorError> {
        let mut floors = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(floor) = self.floor(*key).await? {
                floors.push(floor);
            }
        }
        let resumed = self.books.put_floors(lease.epoch, &floors).await?;
        self.resumption.0.fetch_add(resumed, Ordering::Relaxed);
        Ok(())
    }

    /// What SQL has counted of a key; `None` where it is deleted.
    async fn floor(&self, key: KeyId) -> Result<Option<Floor>, StoreError> {
        let Some(facts) = self.database.key_facts(key).await? else { return Ok(None) };
        let Some(organization) = self.database.organization_facts(facts.organization).await? else {
            return Ok(None);
        };
        let outer = organization.limits.or(&self.desk.defaults());
        let limits = EffectiveLimits::compile(&facts.limits.or(&outer), organization.zone);
        let now = self.clock.now().unix;
        let mut quotas = Vec::new();
        for (window, span) in limits.windows(now) {
            // Counts belong to whole minutes: one that the window cuts through is counted whole.
            let from = UnixMillis(span.start.0 - span.start.0 % MINUTE_MS);
            quotas.push((window, span, self.database.admitted_since(key, from).await?));
        }
        let mut recent = 0;
        if let Some(fills_ms) = limits.fills_ms() {
            let from = now.0.saturating_sub(fills_ms);
            recent = self.database.admitted_since(key, UnixMillis(from - from % MINUTE_MS)).await?;
        }
        Ok(Some(Floor { key, quotas, recent }))
    }
}
