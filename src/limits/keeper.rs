//! The keeper: the background half of limits, between the accounts and the ledger.
//!
//! Owns the life of a process on the ledger: begin, renew and settle, hand back, end. Promises that nothing is lost
//! when the store fails for a while, and that serving goes on meanwhile. Never holds a request up for the store
//! longer than [`renewal::RENEW_WAIT_MAX`].

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{OnceCell, mpsc, watch};

use super::admit::{Demand, Lines, Settlement};
use super::ledger::{Boot, Ledger, LedgerError, UsageBook};
use super::{renewal, settlement};
use crate::domain::clock::{Clock, UnixMillis};

/// How far ahead of the clock a process notes that it may admit. Three times the pace of the notes, so that one may
/// be late without a gap.
pub(super) const LIFE_AHEAD: Duration = Duration::from_secs(3);

/// Longest wait for the ledger to begin before requests are served from memory.
const BEGIN_WAIT_MAX: Duration = Duration::from_secs(10);

/// Renews leases in batches, records counts, and hands back what was not spent.
#[derive(Debug)]
pub struct Keeper {
    lines: Arc<Lines>,
    demands: mpsc::UnboundedReceiver<Demand>,
    settlements: mpsc::UnboundedReceiver<Settlement>,
}

/// What both loops of the keeper work with.
#[derive(Debug)]
pub(super) struct Desk<L> {
    pub(super) ledger: Arc<L>,
    pub(super) clock: Clock,
    pub(super) lines: Arc<Lines>,
    begun: OnceCell<Boot>,
}

impl Keeper {
    pub(super) fn new(
        lines: Arc<Lines>,
        demands: mpsc::UnboundedReceiver<Demand>,
        settlements: mpsc::UnboundedReceiver<Settlement>,
    ) -> Keeper {
        Keeper { lines, demands, settlements }
    }

    pub(super) fn desk<L: Ledger>(&self, ledger: Arc<L>, clock: Clock) -> Desk<L> {
        Keeper::desk_of(&self.lines, ledger, clock)
    }

    pub(super) fn desk_of<B: UsageBook>(lines: &Arc<Lines>, ledger: Arc<B>, clock: Clock) -> Desk<B> {
        Desk { ledger, clock, lines: Arc::clone(lines), begun: OnceCell::new() }
    }

    /// Serves the limiter until `shutdown` completes, then records everything and hands all leases back. Runs on a
    /// runtime with timers; complete `shutdown` only after the last request has ended, for later ones are refused.
    pub async fn run<L: Ledger>(
        self,
        ledger: Arc<L>,
        clock: Clock,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let desk = self.desk(ledger, clock);
        let Keeper { demands, settlements, .. } = self;
        // Before the first grant, and without the haste of one: after a crash there is something to book. A failure is
        // tried again with every grant.
        if let Ok(begun) = tokio::time::timeout(BEGIN_WAIT_MAX, desk.begun()).await {
            desk.note(begun, "beginning on the ledger");
        }
        let (leave, leaving) = watch::channel(false);
        let told = async {
            shutdown.await;
            // Both loops hold a receiver until they end.
            let _ = leave.send(true);
        };
        let renewals = renewal::run(&desk, demands, leaving.clone());
        let ((), returned, settled) =
            tokio::join!(told, renewals, settlement::run(&desk, settlements, leaving));
        if returned && settled {
            let ended = desk.ledger.end().await;
            desk.note(ended, "noting that this process left cleanly");
        }
    }
}

impl<L: UsageBook> Desk<L> {
    /// How the process before this one ended. The first success is remembered; until then it is tried each time.
    pub(super) async fn begun(&self) -> Result<Boot, LedgerError> {
        let begin = || {
            let now = self.clock.now().unix;
            self.ledger.begin(now, now.plus(LIFE_AHEAD))
        };
        self.begun.get_or_try_init(begin).await.copied()
    }

    /// How the process before this one ended, if the ledger has told.
    pub(super) fn begun_if_known(&self) -> Option<Boot> {
        self.begun.get().copied()
    }

    /// Remembers whether the store works, and says so once when that changes.
    pub(super) fn note<T>(&self, result: Result<T, LedgerError>, doing: &'static str) -> Option<T> {
        // Relaxed: a flag for people and for metrics, which guards nothing.
        match result {
            Ok(value) => {
                if self.lines.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("counts reach the record again; what was counted meanwhile follows");
                }
                Some(value)
            }
            Err(error) => {
                if !self.lines.failing.swap(true, Ordering::Relaxed) {
                    match self.lines.fleet {
                        None => tracing::error!(
                            %error, doing,
                            "the ledger's store fails: limits are kept in memory and would be forgotten by a crash"
                        ),
                        // Limits are the fleet's ledger's.
                        Some(_) => tracing::error!(
                            %error, doing,
                            "counts of requests wait in this process to be recorded: a crash would lose them"
                        ),
                    }
                }
                None
            }
        }
    }

    pub(super) fn life_until(&self) -> UnixMillis {
        self.clock.now().unix.plus(LIFE_AHEAD)
    }
}
