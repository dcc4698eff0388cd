//! Cutting what a key has running: told to every worker, and waited for.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use crate::domain::id::KeyId;

/// Longest wait for the workers to cut.
pub(super) const CUT_WAIT_MAX: Duration = Duration::from_secs(2);
/// Cuts that one worker may be behind; whoever cuts waits for a place, within [`CUT_WAIT_MAX`].
const CUTS_QUEUED_MAX: usize = 64;

/// Whose running responses and sockets end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CutScope {
    /// Those of some keys.
    Keys(Arc<[KeyId]>),
    /// Those of every key.
    All,
}

impl CutScope {
    /// Whether what runs with `key` is to be cut.
    pub fn covers(&self, key: KeyId) -> bool {
        match self {
            CutScope::Keys(keys) => keys.contains(&key),
            CutScope::All => true,
        }
    }
}

/// The order to one worker to end running responses and sockets.
#[derive(Debug)]
pub struct Cut {
    /// Whose.
    pub scope: CutScope,
    done: oneshot::Sender<u64>,
}

impl Cut {
    /// Answers that `connections` were cut, and that none of the keys' has been left running.
    pub fn done(self, connections: u64) {
        // Whoever asked may have stopped waiting.
        let _ = self.done.send(connections);
    }
}

/// What cutting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CutReport {
    /// Gateways told: this process.
    pub gateways: u32,
    /// Connections cut.
    pub cut_connections: u64,
    /// Workers that did not answer in time. The keys are refused on them all the same.
    pub workers_awaited: u32,
}

/// The workers to tell.
#[derive(Debug, Default)]
pub(super) struct Subscribers(ArcSwap<Vec<mpsc::Sender<Cut>>>);

impl Subscribers {
    pub(super) fn subscribe(&self) -> mpsc::Receiver<Cut> {
        let (sender, receiver) = mpsc::channel(CUTS_QUEUED_MAX);
        self.0.rcu(|known| {
            let mut known: Vec<_> = known.iter().filter(|sender| !sender.is_closed()).cloned().collect();
            known.push(sender.clone());
            known
        });
        receiver
    }

    /// Tells every worker and waits until each has cut, has left, or the time is over.
    pub(super) async fn cut(&self, scope: CutScope, wait_max: Duration) -> CutReport {
        let mut report = CutReport { gateways: 1, ..CutReport::default() };
        let workers = self.0.load_full();
        let deadline = tokio::time::Instant::now() + wait_max;
        let mut answers = Vec::with_capacity(workers.len());
        for worker in workers.iter() {
            let (done, answer) = oneshot::channel();
            let told = worker.send(Cut { scope: scope.clone(), done });
            match tokio::time::timeout_at(deadline, told).await {
                Ok(Ok(())) => answers.push(answer),
                // A worker that left has nothing running.
                Ok(Err(_)) => {}
                Err(_) => report.workers_awaited += 1,
            }
        }
        for answer in answers {
            match tokio::time::timeout_at(deadline, answer).await {
                Ok(Ok(connections)) => report.cut_connections += connections,
                Ok(Err(_)) => {}
                Err(_) => report.workers_awaited += 1,
            }
        }
        report
    }
}
