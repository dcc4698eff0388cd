//! Which routes and agents a key's admitted requests took, as each worker counts them.
//!
//! A worker counts under a lock that it shares with the keeper alone, which takes it about once a second for a few
//! microseconds. Promises that a path in regular use costs no allocation. Never holds more than its bound: what is
//! over it is told as unattributed.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ledger::PathCount;
use crate::domain::id::{AgentId, KeyId};

/// Paths that one worker counts between two gatherings.
pub(super) const TABLE_MAX: usize = 65_536;
/// From here on the keeper is asked to gather before its time.
const TABLE_FULL: usize = TABLE_MAX / 2;
/// Gatherings that a path unused stays in its worker's table, so that one in regular use allocates nothing.
const IDLE_MAX: u8 = 8;

/// The way that an admitted request took.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    /// The route's place among the process's labels.
    pub route: usize,
    /// The label at that place.
    pub label: &'a Arc<str>,
    /// The agent and its slug, where the route has one.
    pub agent: Option<(AgentId, &'a str)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Place {
    key: KeyId,
    route: usize,
    agent: Option<AgentId>,
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Ids are our own and their second half is random: nobody can choose places that collide.
        let key = second_half(self.key.as_bytes());
        let agent = self.agent.as_ref().map_or(0, |agent| second_half(agent.as_bytes()));
        let mixed = (key ^ agent.rotate_left(32)).wrapping_add(self.route as u64);
        state.write_u64(mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
}

fn second_half(id: &[u8; 16]) -> u64 {
    id.last_chunk().map_or(0, |half| u64::from_le_bytes(*half))
}

/// Passes on what [`Place`] has mixed; the table takes both ends of it.
#[derive(Debug, Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[derive(Debug)]
struct Count {
    label: Arc<str>,
    slug: Arc<str>,
    requests: u64,
    idle: u8,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    counts: HashMap<Place, Count, BuildHasherDefault<Mixed>>,
    unattributed: u64,
}

impl Table {
    /// Counts one. Says whether the table has just become so full that it should be emptied.
    pub(super) fn add(&mut self, key: KeyId, path: &Path<'_>) -> bool {
        let place = Place { key, route: path.route, agent: path.agent.map(|(agent, _)| agent) };
        if let Some(count) = self.counts.get_mut(&place) {
            count.requests += 1;
            return false;
        }
        if self.counts.len() >= TABLE_MAX {
            self.unattributed += 1;
            return false;
        }
        let slug = path.agent.map_or("", |(_, slug)| slug);
        let count = Count { label: Arc::clone(path.label), slug: Arc::from(slug), requests: 1, idle: 0 };
        self.counts.insert(place, count);
        self.counts.len() == TABLE_FULL
    }

    /// Empties itself into `into`, which says whether it had room. Gives how many requests had none, here or there.
    pub(super) fn empty(&mut self, mut into: impl FnMut(KeyId, PathCount) -> bool) -> u64 {
        let mut unattributed = std::mem::take(&mut self.unattributed);
        // A table that was filled begins anew, so that the next time it fills it asks again.
        let keeps = self.counts.len() < TABLE_FULL;
        self.counts.retain(|place, count| {
            let requests = std::mem::take(&mut count.requests);
            if requests == 0 {
                count.idle = count.idle.saturating_add(1);
                return keeps && count.idle <= IDLE_MAX;
            }
            count.idle = 0;
            let agent = place.agent.map(|agent| (agent, Arc::clone(&count.slug)));
            if !into(place.key, PathCount { route: Arc::clone(&count.label), agent, requests }) {
                unattributed += requests;
            }
            keeps
        });
        unattributed
    }
}

#[cfg(test)]
impl Table {
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }
}

/// One worker's counts. Clones count into the same table; make one for each thread.
#[derive(Debug, Clone, Default)]
pub struct PathTally(Arc<Mutex<Table>>);

impl PathTally {
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        lock(&self.0)
    }
}

/// All workers' counts, for the keeper.
#[derive(Debug, Default)]
pub(super) struct PathTallies {
    // A lock, because it is taken at the start of a worker and by the keeper only.
    all: Mutex<Vec<PathTally>>,
    /// Requests that are counted of their key and not of their route.
    pub(super) unattributed: AtomicU64,
}

impl PathTallies {
    pub(super) fn add(&self) -> PathTally {
        let tally = PathTally::default();
        lock(&self.all).push(tally.clone());
        tally
    }

    /// All of them. No other is added while this is held: what it counted would be missed.
    pub(super) fn hold(&self) -> MutexGuard<'_, Vec<PathTally>> {
        lock(&self.all)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
