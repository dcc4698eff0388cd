//! The drain: counts of requests from the hub into SQL, each batch once.
//!
//! The console that publishes drains; another one that drains at the same time does no harm. Promises that a batch is let
//! go of only after SQL has it with its number, and that whoever asks for counts waits for a whole pass.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::hub::{HubError, UsageBatch, UsageWay};
use super::publisher::Publishing;
use super::usage::Batch;
use crate::domain::id::GatewayId;
use crate::store::{Database, StoreError};

/// Time between two passes that found nothing.
const PACE: Duration = Duration::from_millis(200);
/// Time between two prunings of what is too old to be shown.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Batches of one pass.
const BATCHES_MAX: usize = 128;
/// Longest that whoever asks for counts waits for them.
const ASKED_WAIT: Duration = Duration::from_millis(500);

/// What others in the process see of the drain. Clones share it.
#[derive(Debug, Clone)]
pub struct Draining {
    shared: Arc<Shared>,
    passes: watch::Receiver<u64>,
}

#[derive(Debug, Default)]
struct Shared {
    asked: Notify,
    recorded: AtomicU64,
}

impl Draining {
    /// Waits for a pass that begins from now on, at most for a moment: where nobody drains, counts are those of before.
    pub async fn settle(&self) {
        let mut passes = self.passes.clone();
        // The pass that runs now may have looked already.
        let awaited = *passes.borrow_and_update() + 2;
        let waited = tokio::time::timeout(ASKED_WAIT, async {
            self.shared.asked.notify_one();
            while *passes.borrow_and_update() < awaited {
                if passes.changed().await.is_err() {
                    return;
                }
                self.shared.asked.notify_one();
            }
        });
        if waited.await.is_err() {
            tracing::debug!("counts are shown as they were recorded last");
        }
    }

    /// How many batches this console has recorded.
    pub fn recorded(&self) -> u64 {
        self.shared.recorded.load(Ordering::Relaxed)
    }
}

/// Drains.
#[derive(Debug)]
pub struct Drain<W> {
    way: W,
    database: Database,
    publishing: Publishing,
    shared: Arc<Shared>,
    passes: watch::Sender<u64>,
}

#[derive(Debug, thiserror::Error)]
enum DrainError {
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<W: UsageWay> Drain<W> {
    /// A drain into `database`, which works while `publishing` is this console's.
    pub fn new(way: W, database: Database, publishing: Publishing) -> (Drain<W>, Draining) {
        let shared = Arc::new(Shared::default());
        let (passes, seen) = watch::channel(0);
        let draining = Draining { shared: Arc::clone(&shared), passes: seen };
        (Drain { way, database, publishing, shared, passes }, draining)
    }

    /// Drains until `leaving` says so.
    pub async fn run(self, mut leaving: watch::Receiver<bool>) {
        let mut failing = false;
        let mut pruning = tokio::time::interval(PRUNE_EVERY);
        loop {
            let drained = if self.publishing.is_active() { self.pass().await } else { Ok(0) };
            self.passes.send_modify(|passes| *passes += 1);
            match drained {
                Ok(BATCHES_MAX..) => continue,
                Ok(_) => failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "counts of requests wait to be recorded");
                    }
                }
            }
            tokio::select! {
                _ = tokio::time::timeout(PACE, self.shared.asked.notified()) => {}
                _ = pruning.tick(), if self.publishing.is_active() => {
                    if let Err(error) = self.database.prune(self.database.clock().now().unix).await {
                        tracing::warn!(%error, "old counts cannot be forgotten");
                    }
                }
                () = told(&mut leaving) => return,
            }
        }
    }

    /// Records what lies in the hub, and gives how many batches that were.
    async fn pass(&self) -> Result<usize, DrainError> {
        let batches = self.way.take_usage(BATCHES_MAX).await?;
        if batches.is_empty() {
            return Ok(0);
        }
        let mut ids = Vec::with_capacity(batches.len());
        let mut recorded: HashMap<GatewayId, u64> = HashMap::new();
        let mut failed = None;
        for batch in batches {
            if let Err(error) = self.record(&batch).await {
                // Those before it are let go of all the same.
                failed = Some(error);
                break;
            }
            let number = recorded.entry(batch.gateway).or_default();
            *number = batch.number.max(*number);
            ids.push(batch.id);
        }
        let recorded: Vec<_> = recorded.into_iter().collect();
        self.way.drop_usage(&ids, &recorded).await?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(ids.len()),
        }
    }

    async fn record(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        let (gateway, number) = (batch.gateway, batch.number);
        let contents: Batch = match serde_json::from_slice(&batch.payload) {
            Ok(contents) => contents,
            Err(error) => {
                // Kept, it would hold up all behind it for ever.
                tracing::error!(%gateway, number, %error, "a batch of counts is not understood and is passed over");
                return Ok(());
            }
        };
        let (deltas, paths) = (contents.deltas(), contents.path_counts());
        let (at_minute, used_at) = (contents.at_minute, contents.used_at);
        if self.database.record_batch(gateway, number, &deltas, &paths, at_minute, used_at).await? {
            self.shared.recorded.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Completes when `leaving` says so, without holding on to what it says.
async fn told(leaving: &mut watch::Receiver<bool>) {
    // Its sender going means the same: nobody is left to serve.
    let _ = leaving.wait_for(|leaving| *leaving).await;
}
