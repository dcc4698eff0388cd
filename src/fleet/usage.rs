//! Counts of requests on their way from a gateway to SQL.
//!
//! A gateway numbers its batches, sends them through the hub in order, and keeps each until SQL has it; whoever records
//! a batch stores its number in the same transaction. Promises that every batch counts once, whatever is lost in between,
//! as long as the gateway lives. Bounded: where batches do not get through, counts wait in the accounts.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use super::hub::{HubError, Synced, UsageWay};
use super::pause::Pauses;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, GatewayId, KeyId};
use crate::limits::{Boot, LedgerError, PathCount, Totals, UsageBook, UsageDelta};

/// Batches that are kept until SQL has them.
const KEPT_MAX: usize = 64;
/// Pauses after a failure.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_secs(2);
/// Longest that leaving waits for the last batches to be taken.
const LEAVE_WAIT: Duration = Duration::from_secs(3);

/// Key, route, agent with its slug, and how many requests took that way.
type Way = (KeyId, String, Option<(AgentId, String)>, u64);

/// What a batch holds: counts of one minute, or the ways that requests of one minute took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The minute.
    pub at_minute: UnixMillis,
    /// When its keys were used last.
    pub used_at: UnixMillis,
    /// For each key: allowed, failed, and denied by rate, quota, concurrency and for other reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<(KeyId, [u64; 6])>,
    /// The ways that requests took.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Way>,
}

impl Batch {
    fn of_counts(deltas: &[UsageDelta], at_minute: UnixMillis, used_at: UnixMillis) -> Batch {
        let counts = deltas.iter().map(|delta| (delta.key, delta.counts.to_array())).collect();
        Batch { at_minute, used_at, counts, paths: Vec::new() }
    }

    fn of_paths(paths: &[(KeyId, Vec<PathCount>)], at_minute: UnixMillis) -> Batch {
        let of = |(key, paths): &(KeyId, Vec<PathCount>)| {
            let key = *key;
            let line = move |path: &PathCount| {
                let agent = path.agent.as_ref().map(|(id, slug)| (*id, slug.to_string()));
                (key, path.route.to_string(), agent, path.requests)
            };
            paths.iter().map(line).collect::<Vec<_>>()
        };
        Batch {
            at_minute,
            used_at: at_minute,
            counts: Vec::new(),
            paths: paths.iter().flat_map(of).collect(),
        }
    }

    /// As [`UsageBook::record_usage`] takes them.
    pub fn deltas(&self) -> Vec<UsageDelta> {
        let delta = |(key, counts): &(KeyId, [u64; 6])| UsageDelta {
            key: *key,
            counts: Totals::from_array(*counts),
            settled: 0,
        };
        self.counts.iter().map(delta).collect()
    }

    /// As [`UsageBook::record_paths`] takes them: each key once.
    pub fn path_counts(&self) -> Vec<(KeyId, Vec<PathCount>)> {
        let mut by_key: Vec<(KeyId, Vec<PathCount>)> = Vec::new();
        let mut places: HashMap<KeyId, usize> = HashMap::new();
        for (key, route, agent, requests) in &self.paths {
            let agent = agent.as_ref().map(|(id, slug)| (*id, Arc::from(slug.as_str())));
            let path = PathCount { route: Arc::from(route.as_str()), agent, requests: *requests };
            let place = *places.entry(*key).or_insert(by_key.len());
            match by_key.get_mut(place) {
                Some((_, paths)) => paths.push(path),
                None => by_key.push((*key, vec![path])),
            }
        }
        by_key
    }

    fn admitted(&self) -> impl Iterator<Item = (KeyId, u64)> {
        self.counts.iter().map(|(key, [allowed, failed, ..])| (*key, allowed + failed))
    }
}

/// A batch with its number, ready to be sent.
#[derive(Debug, Clone)]
struct Kept {
    number: u64,
    payload: Arc<[u8]>,
    admitted: Vec<(KeyId, u64)>,
}

/// The book of a gateway: takes counts from the limits and hands them to the sender. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct FleetBook(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
    waiting: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    last_number: u64,
    /// Not in SQL yet, oldest first, without gaps.
    kept: VecDeque<Kept>,
    /// The last one that the hub took, as far as is known.
    sent: u64,
    /// What SQL is known to have.
    recorded: u64,
    /// What of each key is in `kept`.
    admitted: HashMap<KeyId, u64>,
    /// Once SQL has the batch of a number, it has everything that was counted before an instant. Oldest first.
    marks: VecDeque<(u64, UnixMillis)>,
    /// SQL has everything that was counted here before.
    counted: UnixMillis,
}

impl State {
    fn settle_marks(&mut self) {
        while let Some((_, at)) = self.marks.pop_front_if(|(number, _)| *number <= self.recorded) {
            self.counted = at;
        }
    }
}

impl FleetBook {
    /// Batches that SQL does not have yet.
    pub fn waiting(&self) -> u64 {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// SQL has everything that this gateway counted before then, by its own wall clock; 1970 before the first.
    pub fn counted(&self) -> UnixMillis {
        self.lock().counted
    }

    // A lock over numbers and a queue that belong together; held for a few steps, a few times a second.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, batch: &Batch) -> Result<(), LedgerError> {
        let payload = serde_json::to_vec(batch).map_err(|error| LedgerError(error.to_string()))?;
        let mut state = self.lock();
        if state.kept.len() >= KEPT_MAX {
            return Err(LedgerError(String::from("counts wait: no console records them")));
        }
        state.last_number += 1;
        let admitted: Vec<_> = batch.admitted().collect();
        for (key, requests) in &admitted {
            *state.admitted.entry(*key).or_default() += requests;
        }
        let number = state.last_number;
        state.kept.push_back(Kept { number, payload: payload.into(), admitted });
        self.0.waiting.store(u64::try_from(state.kept.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        drop(state);
        self.0.news.notify_one();
        Ok(())
    }

    /// Lets go of what SQL has.
    fn recorded(&self, number: u64) {
        let mut state = self.lock();
        state.recorded = state.recorded.max(number);
        state.settle_marks();
        while let Some(kept) = state.kept.pop_front_if(|kept| kept.number <= number) {
            for (key, requests) in kept.admitted {
                if let Some(left) = state.admitted.get_mut(&key) {
                    *left = left.saturating_sub(requests);
                    if *left == 0 {
                        state.admitted.remove(&key);
                    }
                }
            }
        }
        self.0.waiting.store(u64::try_from(state.kept.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The batch to send next, and the number of the last one that SQL is known to have.
    fn next(&self) -> Option<(Kept, u64)> {
        let state = self.lock();
        let next = state.kept.iter().find(|kept| kept.number > state.sent)?;
        Some((next.clone(), state.recorded))
    }

    /// The hub has everything up to `number`, and nothing behind it.
    fn sent(&self, number: u64) {
        self.lock().sent = number;
    }
}

impl UsageBook for FleetBook {
    async fn begin(&self, _: UnixMillis, _: UnixMillis) -> Result<Boot, LedgerError> {
        // What a gateway that died had counted last is gone with it; what it was granted stays granted.
        Ok(Boot::default())
    }

    async fn record_usage(
        &self,
        deltas: &[UsageDelta],
        at_minute: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), LedgerError> {
        self.keep(&Batch::of_counts(deltas, at_minute, now))
    }

    async fn record_paths(
        &self,
        paths: &[(KeyId, Vec<PathCount>)],
        at_minute: UnixMillis,
    ) -> Result<(), LedgerError> {
        self.keep(&Batch::of_paths(paths, at_minute))
    }

    async fn beat(&self, _: UnixMillis) -> Result<(), LedgerError> {
        // Signs of life are the follower's.
        Ok(())
    }

    async fn prune(&self, _: UnixMillis) -> Result<(), LedgerError> {
        // Consoles prune what they record.
        Ok(())
    }

    fn counted_until(&self, at: UnixMillis) {
        let mut state = self.lock();
        let number = state.last_number;
        match state.marks.back_mut() {
            // The same batch has to get there: the later instant says more.
            Some((last, until)) if *last == number => *until = at,
            Some(_) | None => state.marks.push_back((number, at)),
        }
        state.settle_marks();
    }

    fn unrecorded(&self, key: KeyId) -> u64 {
        self.lock().admitted.get(&key).copied().unwrap_or(0)
    }
}

/// Sends a book's batches through the hub.
#[derive(Debug)]
pub struct UsageSender<W> {
    way: W,
    book: FleetBook,
    gateway: GatewayId,
    synced: watch::Receiver<Option<Synced>>,
}

impl<W: UsageWay> UsageSender<W> {
    /// A sender for the gateway of that id; `synced` says what SQL has.
    pub fn new(
        way: W,
        book: FleetBook,
        gateway: GatewayId,
        synced: watch::Receiver<Option<Synced>>,
    ) -> UsageSender<W> {
        UsageSender { way, book, gateway, synced }
    }

    /// Sends until `leaving` says so and the hub has taken everything, or does not in time. Nothing may be counted after
    /// that is said.
    pub async fn run(mut self, mut leaving: watch::Receiver<bool>) {
        tokio::select! {
            () = self.send_on() => {}
            _ = leaving.wait_for(|leaving| *leaving) => {}
        }
        let rest = async {
            let mut pauses = self.pauses();
            while self.book.next().is_some() {
                self.send(&mut pauses).await;
            }
        };
        if tokio::time::timeout(LEAVE_WAIT, rest).await.is_err() {
            tracing::error!(
                batches = self.book.waiting(),
                "Redis did not take the last counts of requests: usage lacks them"
            );
        }
    }

    fn pauses(&self) -> Pauses {
        Pauses::new(RETRY_FIRST, RETRY_LONGEST, self.gateway.as_bytes())
    }

    async fn send_on(&mut self) {
        let mut pauses = self.pauses();
        let mut epoch = None;
        loop {
            let synced = *self.synced.borrow_and_update();
            if let Some(synced) = synced {
                self.book.recorded(synced.usage_recorded);
                if epoch.replace(synced.head.epoch).is_some_and(|epoch| epoch != synced.head.epoch) {
                    // What the hub had taken may be lost with the last epoch: it passes over what it has.
                    self.book.sent(synced.usage_recorded);
                }
            }
            if self.book.next().is_some() {
                self.send(&mut pauses).await;
                continue;
            }
            tokio::select! {
                () = self.book.0.news.notified() => {}
                changed = self.synced.changed() => if changed.is_err() {
                    // The follower is gone: nothing is recorded any more that could be known of.
                    std::future::pending::<()>().await;
                },
            }
        }
    }

    async fn send(&self, pauses: &mut Pauses) {
        let Some((kept, recorded)) = self.book.next() else { return };
        match self.way.push_usage(self.gateway, kept.number, recorded, &kept.payload).await {
            Ok(()) => {
                pauses.reset();
                self.book.sent(kept.number);
            }
            // It has less than was thought, or more.
            Err(HubError::OutOfOrder { at }) => {
                self.book.sent(at);
                pauses.wait().await;
            }
            Err(error) => {
                tracing::debug!(%error, "counts of requests wait to be sent");
                pauses.wait().await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
