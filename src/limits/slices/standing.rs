//! What limits of a fleet's gateway are told of the fleet, and what they tell of themselves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::id::GatewayId;

/// A gateway whose signs of life have not reached the hub for so long lets its share of a rate flow in by itself: the
/// hub counts it as silent by then, and everybody else has been told.
pub(super) const FLOWS_AFTER_NS: u64 = 2_000_000_000;

/// Who a gateway is on the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Seat {
    /// This life of the gateway.
    pub gateway: GatewayId,
    /// Longest that it may go on admitting after its last sync began: trust and `serve_for`.
    pub goes_on: Duration,
}

/// The fleet, as the last sync told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FleetView {
    /// The lineage; 0 before the first sync.
    pub epoch: u64,
    /// Gateways that are registered, this one included.
    pub gateways: u32,
    /// Those of them that are silent.
    pub silent: u32,
    /// Whether the ledger may grant.
    pub ledger_open: bool,
    /// When that sync began, on the monotonic clock.
    pub asked_at_ns: u64,
    /// How often this gateway's trust ran out since the process began: whoever grants may have gone on without it.
    pub lapses: u64,
}

impl Seat {
    /// So long after its last ask the ledger takes places and tokens back, in milliseconds: long enough that a gateway
    /// which asked for a quiet account some time before an outage goes on for as long as it may.
    pub(super) fn lapse_ms(&self) -> u64 {
        let goes_on_ms = u64::try_from(self.goes_on.as_millis()).unwrap_or(u64::MAX / 8);
        goes_on_ms.saturating_add(goes_on_ms / 2).saturating_add(30_000)
    }

    /// So long after an ask began its places and tokens are good, in nanoseconds. A tenth less than the ledger waits:
    /// clocks run apart.
    pub(super) fn valid_ns(&self) -> u64 {
        self.lapse_ms().saturating_mul(900_000)
    }

    /// So long after an ask the next one is due even where nothing is used, in nanoseconds.
    pub(super) fn keeps_ns(&self) -> u64 {
        self.lapse_ms().saturating_mul(125_000)
    }
}

/// Numbers of a fleet's gateway, written by the keeper and read by whoever asks.
#[derive(Debug, Default)]
pub(crate) struct FleetLines {
    pub(crate) outstanding: AtomicU64,
    pub(crate) lanes_away: AtomicU64,
    pub(crate) exchanges: AtomicU64,
    pub(crate) undecided: AtomicU64,
    pub(crate) declared: AtomicU64,
    pub(crate) lapses_seen: AtomicU64,
}

/// How a gateway of a fleet stands with the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetStanding {
    /// Requests of quotas that are granted and not used: what its death would strand at most.
    pub outstanding: u64,
    /// Whether any part of the ledger does not answer, so that this gateway serves from its share.
    pub away: bool,
    /// Calls to the ledger since this process began.
    pub exchanges: u64,
    /// Requests refused because nobody could say whether their limit was reached.
    pub undecided: u64,
    /// The last epoch in which this gateway has told the ledger of everything that it holds. Until it is the hub's, the
    /// gateway must not be acknowledged as following that epoch.
    pub declared_epoch: u64,
    /// The last of [`FleetView::lapses`] after which everything unspent was let go of. Until it is the latest, trust must
    /// not be extended.
    pub lapses_seen: u64,
}

impl FleetLines {
    pub(crate) const fn new() -> FleetLines {
        FleetLines {
            outstanding: AtomicU64::new(0),
            lanes_away: AtomicU64::new(0),
            exchanges: AtomicU64::new(0),
            undecided: AtomicU64::new(0),
            declared: AtomicU64::new(0),
            lapses_seen: AtomicU64::new(0),
        }
    }

    pub(crate) fn standing(&self) -> FleetStanding {
        // Relaxed: numbers for people and for metrics. What is declared was answered by the ledger before.
        FleetStanding {
            outstanding: self.outstanding.load(Ordering::Relaxed),
            away: self.lanes_away.load(Ordering::Relaxed) > 0,
            exchanges: self.exchanges.load(Ordering::Relaxed),
            undecided: self.undecided.load(Ordering::Relaxed),
            declared_epoch: self.declared.load(Ordering::Acquire),
            lapses_seen: self.lapses_seen.load(Ordering::Acquire),
        }
    }
}
