//! Which routes and agents a key's admitted requests took: counted by each worker, gathered by the keeper.
//!
//! Promises that a request's route and the key's own counter are read as one: what is written of the two in one batch
//! agrees, to the request. A worker counts under a lock that it shares with the keeper alone, which takes it about
//! once a second for a few microseconds. Never holds more than its bounds: what is over them is told as unattributed.

use std::collections::{BTreeMap, HashMap};
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

/// By key, label and agent: the agent's slug, and how many requests.
type Counts = BTreeMap<(KeyId, Arc<str>, Option<AgentId>), (Arc<str>, u64)>;

/// What the keeper has taken from the workers and not yet written.
#[derive(Debug)]
pub(super) struct Gathered {
    counts: Counts,
    /// One for each worker, exchanged for its table so that neither is ever built anew.
    spares: Vec<Table>,
    no_label: Arc<str>,
}

impl Gathered {
    pub(super) fn new() -> Gathered {
        Gathered { counts: BTreeMap::new(), spares: Vec::new(), no_label: Arc::from("") }
    }

    /// Whether to write soon, before there is no room.
    pub(super) fn is_filling(&self) -> bool {
        self.counts.len() >= GATHERED_MAX / 2
    }

    /// Takes what workers have counted, and does `read` at an instant at which none of them counts. Keep it short.
    pub(super) fn gather<T>(&mut self, tallies: &PathTallies, read: impl FnOnce() -> T) -> T {
        let workers = lock(&tallies.all).clone();
        if self.spares.len() < workers.len() {
            self.spares.resize_with(workers.len(), Table::default);
        }
        let mut tables: Vec<_> = workers.iter().map(PathTally::lock).collect();
        let seen = read();
        for (table, spare) in tables.iter_mut().zip(&mut self.spares) {
            std::mem::swap(&mut **table, spare);
        }
        drop(tables);
        let mut unattributed = 0;
        for spare in &mut self.spares {
            unattributed += empty(spare, &mut self.counts);
        }
        if unattributed > 0 {
            tallies.unattributed.fetch_add(unattributed, Ordering::Relaxed);
        }
        seen
    }

    /// Takes out what there is of one key.
    pub(super) fn take(&mut self, key: KeyId) -> Vec<PathCount> {
        let from = (key, Arc::clone(&self.no_label), None);
        let of_key = self.counts.range(from..).take_while(|((of, ..), _)| *of == key);
        let places: Vec<_> = of_key.map(|(place, _)| place.clone()).collect();
        let count = |place: (KeyId, Arc<str>, Option<AgentId>)| {
            let (slug, requests) = self.counts.remove(&place)?;
            let (_, route, agent) = place;
            Some(PathCount { route, agent: agent.map(|agent| (agent, slug)), requests })
        };
        places.into_iter().filter_map(count).collect()
    }

    /// Takes back what could not be written.
    pub(super) fn give_back(&mut self, key: KeyId, paths: Vec<PathCount>) {
        for PathCount { route, agent, requests } in paths {
            let (agent, slug) = match agent {
                Some((agent, slug)) => (Some(agent), slug),
                None => (None, Arc::clone(&self.no_label)),
            };
            self.counts.entry((key, route, agent)).or_insert((slug, 0)).1 += requests;
        }
    }
}

/// Moves counts out of a worker's table. Gives how many requests had no room, here or there.
fn empty(table: &mut Table, into: &mut Counts) -> u64 {
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
        let gathered = (place.key, Arc::clone(&count.label), place.agent);
        let has_room = into.len() < GATHERED_MAX;
        match into.get_mut(&gathered) {
            Some((_, sum)) => *sum += requests,
            None if has_room => drop(into.insert(gathered, (Arc::clone(&count.slug), requests))),
            None => unattributed += requests,
        }
        keeps
    });
    unattributed
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
        let mut gathered = Gathered::new();
        gathered.gather(&tallies, || ());
        assert_eq!(tallies.unattributed(), 3);
        let taken = gathered.take(key);
        assert_eq!(taken.iter().map(|count| count.requests).sum::<u64>(), TABLE_MAX as u64);
    }

    #[test]
    fn a_path_in_use_keeps_its_place_and_one_unused_gives_it_up() {
        let (tallies, key) = (PathTallies::default(), KeyId::generate());
        let (tally, label) = (tallies.add(), Arc::from("route"));
        let mut gathered = Gathered::new();
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
    fn what_could_not_be_written_waits_and_is_added_to() {
        let (tallies, [key, other]) = (PathTallies::default(), [KeyId::generate(), KeyId::generate()]);
        let (tally, label) = (tallies.add(), Arc::from("route"));
        let agent = AgentId::generate();
        let with_agent = Path { agent: Some((agent, "echo")), ..path(&label, 1) };
        let mut gathered = Gathered::new();
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
