//! The desk: what a console's operations have of the fleet.
//!
//! Owns the handles on publishing, waiting and looking. Promises that a change which was committed is on its way when it
//! is told here. Never changes a record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::drain::Draining;
use super::durations::Durations;
use super::hub::Phase;
use super::publisher::Publishing;
use super::redis::RedisLedger;
use super::register::Snapshot;
use super::revocation::{Confirmation, Revoker};
use crate::domain::clock::{Moment, UnixMillis};
use crate::domain::id::KeyId;
use crate::domain::limit::Limits;
use crate::limits::slices::{AccountRecord, SliceBooks};
use crate::limits::{EffectiveLimits, LimitUse};

/// Longest that a change which only adds or renames waits for gateways to apply it: what was created should work when
/// its answer arrives, and need not.
const APPLY_WAIT: Duration = Duration::from_millis(300);

/// Longest that whoever looks at the register waits for it.
const LOOK_WAIT: Duration = Duration::from_millis(700);

/// A console's half of the fleet, for its operations. Clones share it.
#[derive(Debug, Clone)]
pub struct Desk {
    revoker: Revoker,
    publishing: Publishing,
    draining: Draining,
    ledger: RedisLedger,
    defaults: Arc<ArcSwap<Limits>>,
    waits: Arc<Waits>,
}

/// What waits for the fleet came to.
#[derive(Debug, Default)]
struct Waits {
    took: Durations,
    pending: AtomicU64,
}

impl Desk {
    /// A desk. `defaults` are the configuration's limits for keys.
    pub fn new(
        revoker: Revoker,
        publishing: Publishing,
        draining: Draining,
        ledger: RedisLedger,
        defaults: Limits,
    ) -> Desk {
        let defaults = Arc::new(ArcSwap::from_pointee(defaults));
        Desk { revoker, publishing, draining, ledger, defaults, waits: Arc::default() }
    }

    /// What the configuration gives keys whose organization says nothing else.
    pub fn defaults(&self) -> Arc<Limits> {
        self.defaults.load_full()
    }

    /// Replaces the configuration's limits for keys. Gateways have their own configuration.
    pub fn set_defaults(&self, defaults: Limits) {
        self.defaults.store(Arc::new(defaults));
    }

    /// Waits a moment for the fleet to apply change `seq`, which takes nothing from anybody.
    pub async fn announce(&self, seq: u64) {
        self.revoker.settle_within(seq, APPLY_WAIT).await;
    }

    /// Waits until the whole fleet has applied change `seq`, and says how far that came.
    pub async fn settle(&self, seq: u64) -> Confirmation {
        let begun = tokio::time::Instant::now();
        let settled = self.revoker.settle(seq).await;
        self.waits.took.add(begun.elapsed());
        if !settled.complete {
            self.waits.pending.fetch_add(1, Ordering::Relaxed);
        }
        settled
    }

    /// How many waits ended before every gateway had confirmed or was out.
    pub fn pending(&self) -> u64 {
        self.waits.pending.load(Ordering::Relaxed)
    }

    /// How long waits took: counts under each of [`REVOCATION_BOUNDS_NS`](super::REVOCATION_BOUNDS_NS) and above them, and
    /// their sum in nanoseconds.
    pub fn took(&self) -> (Vec<u64>, u64) {
        self.waits.took.read()
    }

    /// Waits until the counts that gateways have handed over are on record.
    pub async fn settle_counts(&self) {
        self.draining.settle().await;
    }

    /// Each limit in force for a key with its use over the whole fleet, as far as gateways have told the ledger; `None`
    /// where the ledger does not answer.
    pub async fn uses(&self, key: KeyId, limits: &EffectiveLimits, now: Moment) -> Option<Vec<LimitUse>> {
        match self.ledger.account(key).await {
            Ok(Some((account, now_us))) => Some(account.uses(limits, now_us)),
            Ok(None) => Some(AccountRecord::default().uses(limits, now.unix.0.saturating_mul(1_000))),
            Err(error) => {
                tracing::warn!(%error, "the use of limits cannot be read");
                None
            }
        }
    }

    /// SQL has everything that gateways counted before then; `None` where there is none that counts.
    pub fn counted(&self) -> Option<UnixMillis> {
        let snapshot = self.revoker.last();
        let presences = snapshot.gateways.iter().map(|sight| &sight.registered.presence);
        presences.filter(|presence| presence.phase != Phase::Loading).map(|presence| presence.counted).min()
    }

    /// The register as it is now; `None` where Redis does not answer in a moment.
    pub async fn look(&self) -> Option<Arc<Snapshot>> {
        self.revoker.look(LOOK_WAIT).await
    }

    /// How long gateways believe their replica.
    pub fn trust(&self) -> Duration {
        self.revoker.trust()
    }

    /// How long a primary that was cut off may go on to take writes.
    pub(super) fn overlap(&self) -> Duration {
        self.revoker.overlap()
    }

    /// The publisher, as far as this console is one.
    pub fn publishing(&self) -> &Publishing {
        &self.publishing
    }
}
