//! Which routes and agents a key's admitted requests took: counted by each worker, gathered by the keeper.
//!
//! Promises that a request's route and the key's own counter are read as one: what is written of the two in one batch
//! agrees, to the request. A worker counts under a lock that it shares with the keeper alone, which takes it about
//! once a second for a few microseconds. Never holds more than its bounds: what is over them is told as unattributed.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ledger::PathCount;
use crate::domain::id::{AgentId, KeyId};

/// Paths that one worker counts between two gatherings.
const TABLE_MAX: usize = 65_536;
/// From here on the keeper is asked to gather before its time.
const TABLE_FULL: usize = TABLE_MAX / 2;
/// Paths that wait to be written. More are counted as unattributed, which takes a store that fails for long.
const GATHERED_MAX: usize = 1 << 20;
/// Paths of one key that are looked through one by one.
const FEW: usize = 32;
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
    unattributed: AtomicU64,
}

impl PathTallies {
    pub(super) fn add(&self) -> PathTally {
        let tally = PathTally::default();
        lock(&self.all).push(tally.clone());
        tally
    }

    /// How many requests are counted of their key and not of their route.
    pub(super) fn unattributed(&self) -> u64 {
        self.unattributed.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the keeper has taken from the workers and not yet written.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    keys: HashMap<KeyId, OfKey>,
    /// Counts in `keys`.
    held: usize,
    /// One for each worker, exchanged for its table so that neither is ever built anew.
    spares: Vec<Table>,
}

/// The paths of one key. One may be in it several times, until it has twice as many as when that was last mended.
#[derive(Debug, Default)]
struct OfKey {
    paths: Vec<PathCount>,
    merged: usize,
}

impl OfKey {
    /// Adds a count. Gives how many more there are than before, or fewer.
    fn add(&mut self, path: PathCount) -> isize {
        if self.paths.len() < FEW
            && let Some(known) = self.paths.iter_mut().find(|known| is_same(known, &path))
        {
            known.requests += path.requests;
            return 0;
        }
        let before = self.paths.len();
        if before == 0 {
            // Most keys take one path, and there may be many keys.
            self.paths.reserve_exact(1);
        }
        self.paths.push(path);
        if self.paths.len() > 2 * self.merged.max(FEW) {
            self.merge();
        }
        self.paths.len().cast_signed() - before.cast_signed()
    }

    fn merge(&mut self) {
        self.paths.sort_unstable_by(|one, other| place(one).cmp(&place(other)));
        self.paths.dedup_by(|later, kept| {
            let same = is_same(later, kept);
            kept.requests += if same { later.requests } else { 0 };
            same
        });
        self.merged = self.paths.len();
    }
}

/// By agent first: cheaper to compare than labels.
fn place(path: &PathCount) -> (Option<AgentId>, &str) {
    (path.agent.as_ref().map(|(agent, _)| *agent), &path.route)
}

fn is_same(one: &PathCount, other: &PathCount) -> bool {
    place(one) == place(other)
}

impl Gathered {
    /// Whether to write soon, before there is no room.
    pub(super) fn is_filling(&self) -> bool {
        self.held >= GATHERED_MAX / 2
    }

    /// Takes what workers have counted, and does `read` at an instant at which none of them counts. Keep it short.
    pub(super) fn gather<T>(&mut self, tallies: &PathTallies, read: impl FnOnce() -> T) -> T {
        let workers = lock(&tallies.all).clone();
        let mut spares = std::mem::take(&mut self.spares);
        spares.resize_with(workers.len(), Table::default);
        let mut tables: Vec<_> = workers.iter().map(PathTally::lock).collect();
        let seen = read();
        for (table, spare) in tables.iter_mut().zip(&mut spares) {
            std::mem::swap(&mut **table, spare);
        }
        drop(tables);
        let unattributed = spares.iter_mut().map(|spare| self.empty(spare)).sum();
        self.spares = spares;
        if unattributed > 0 {
            tallies.unattributed.fetch_add(unattributed, Ordering::Relaxed);
        }
        seen
    }

    /// Moves counts out of a worker's table. Gives how many requests had no room, here or there.
    fn empty(&mut self, table: &mut Table) -> u64 {
        let mut unattributed = std::mem::take(&mut table.unattributed);
        // A table that was filled begins anew, so that the next time it fills it asks again.
        let keeps = table.counts.len() < TABLE_FULL;
        table.counts.retain(|place, count| {
            let requests = std::mem::take(&mut count.requests);
            if requests == 0 {
                count.idle = count.idle.saturating_add(1);
                return keeps && count.idle <= IDLE_MAX;
            }
            count.idle = 0;
            if self.held < GATHERED_MAX {
                let agent = place.agent.map(|agent| (agent, Arc::clone(&count.slug)));
                self.add(place.key, PathCount { route: Arc::clone(&count.label), agent, requests });
            } else {
                unattributed += requests;
            }
            keeps
        });
        unattributed
    }

    fn add(&mut self, key: KeyId, path: PathCount) {
        let more = self.keys.entry(key).or_default().add(path);
        self.held = self.held.saturating_add_signed(more);
    }

    /// Takes out what there is of one key: each path once.
    pub(super) fn take(&mut self, key: KeyId) -> Vec<PathCount> {
        let Some(mut of_key) = self.keys.remove(&key) else { return Vec::new() };
        self.held = self.held.saturating_sub(of_key.paths.len());
        of_key.merge();
        of_key.paths
    }

    /// Takes back what could not be written.
    pub(super) fn give_back(&mut self, key: KeyId, paths: Vec<PathCount>) {
        paths.into_iter().for_each(|path| self.add(key, path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(label: &Arc<str>, route: usize) -> Path<'_> {
        Path { route, label, agent: None }
    }

    #[test]
    fn what_one_table_cannot_hold_is_told_as_unattributed() {
        let (tallies, key) = (PathTallies::default(), KeyId::generate());
        let (tally, label) = (tallies.add(), Arc::from("route"));
        let asked = (0..TABLE_MAX + 3).filter(|route| tally.lock().add(key, &path(&label, *route))).count();
        assert_eq!(asked, 1, "the keeper is asked once");
        let mut gathered = Gathered::default();
        gathered.gather(&tallies, || ());
        assert_eq!(tallies.unattributed(), 3);
        let taken = gathered.take(key);
        assert_eq!(taken.iter().map(|count| count.requests).sum::<u64>(), TABLE_MAX as u64);
    }

    #[test]
    fn a_path_in_use_keeps_its_place_and_one_unused_gives_it_up() {
        let (tallies, key) = (PathTallies::default(), KeyId::generate());
        let (tally, label) = (tallies.add(), Arc::from("route"));
        let mut gathered = Gathered::default();
        tally.lock().add(key, &path(&label, 1));
        for _ in 0..100 {
            tally.lock().add(key, &path(&label, 2));
            gathered.gather(&tallies, || ());
        }
        assert_eq!(tally.lock().counts.len(), 1);
        let taken: Vec<u64> = gathered.take(key).iter().map(|count| count.requests).collect();
        assert_eq!(taken, [101], "one label, whichever place it has");
        assert!(gathered.take(key).is_empty());
    }

    #[test]
    fn a_key_that_takes_many_paths_has_each_of_them_once_whatever_order_they_come_in() {
        let (tallies, key) = (PathTallies::default(), KeyId::generate());
        let tally = tallies.add();
        let labels: Vec<Arc<str>> = (0..20).map(|route| Arc::from(format!("/{route}"))).collect();
        let agents: Vec<AgentId> = (0..20).map(|_| AgentId::generate()).collect();
        let mut gathered = Gathered::default();
        for turn in 0..50 {
            for (route, label) in labels.iter().enumerate() {
                for agent in agents.iter().skip(turn % 3).step_by(3) {
                    tally.lock().add(key, &Path { route, label, agent: Some((*agent, "a")) });
                }
            }
            gathered.gather(&tallies, || ());
            assert!(gathered.held <= 1_000, "{} held", gathered.held);
        }
        let taken = gathered.take(key);
        assert_eq!((taken.len(), gathered.held), (400, 0));
        // Of three turns, an agent of the first two remainders comes 17 times.
        assert!(taken.iter().all(|count| matches!(count.requests, 16 | 17)), "{taken:?}");
    }

    #[test]
    fn what_could_not_be_written_waits_and_is_added_to() {
        let (tallies, [key, other]) = (PathTallies::default(), [KeyId::generate(), KeyId::generate()]);
        let (tally, label) = (tallies.add(), Arc::from("route"));
        let agent = AgentId::generate();
        let with_agent = Path { agent: Some((agent, "echo")), ..path(&label, 1) };
        let mut gathered = Gathered::default();
        for _ in 0..2 {
            tally.lock().add(key, &with_agent);
            tally.lock().add(other, &path(&label, 1));
            gathered.gather(&tallies, || ());
            let taken = gathered.take(key);
            gathered.give_back(key, taken);
        }
        let slug = Arc::from("echo");
        let expected = PathCount { route: Arc::clone(&label), agent: Some((agent, slug)), requests: 2 };
        assert_eq!(gathered.take(key), [expected]);
        assert_eq!(gathered.take(other), [PathCount { route: label, agent: None, requests: 2 }]);
    }
}
