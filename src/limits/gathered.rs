//! What the keeper has taken from the workers' tables of paths, on its way to the record.
//!
//! Promises that the paths of a request are written with its key's counters or after them, never before, and for the
//! same minute: on record, routes never add up to more than the key. Where a store fails for long, what is over the
//! bound is told as unattributed.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::ledger::PathCount;
use super::paths::{PathTallies, PathTally, Table};
use crate::domain::id::{AgentId, KeyId};

/// Paths that wait to be written.
const HELD_MAX: usize = 1 << 20;
/// Paths of one key that are looked through one by one.
const FEW: usize = 32;

/// Paths that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Of requests that their keys' counters on record do not contain yet.
    fresh: Counted,
    /// Of requests that they contain.
    settled: Counted,
    /// One for each worker, exchanged for its table so that neither is ever built anew.
    spares: Vec<Table>,
}

impl Gathered {
    /// Whether to write soon, before there is no room.
    pub(super) fn is_filling(&self) -> bool {
        self.fresh.held + self.settled.held >= HELD_MAX / 2
    }

    /// Takes what workers have counted, and does `read` at an instant at which none of them counts. Keep it short.
    pub(super) fn gather<T>(&mut self, tallies: &PathTallies, read: impl FnOnce() -> T) -> T {
        let workers = tallies.hold();
        self.spares.resize_with(workers.len(), Table::default);
        let mut tables: Vec<_> = workers.iter().map(PathTally::lock).collect();
        let seen = read();
        for (table, spare) in tables.iter_mut().zip(&mut self.spares) {
            std::mem::swap(&mut **table, spare);
        }
        drop(tables);
        drop(workers);
        let Gathered { fresh, settled, spares } = self;
        let mut unattributed = 0;
        for spare in spares {
            unattributed += spare.empty(|key, path| {
                let has_room = fresh.held + settled.held < HELD_MAX;
                if has_room {
                    fresh.add(key, path);
                }
                has_room
            });
        }
        if unattributed > 0 {
            tallies.unattributed.fetch_add(unattributed, Ordering::Relaxed);
        }
        seen
    }

    /// Takes out what there is of a key whose counters were read when this was last gathered.
    pub(super) fn take(&mut self, key: KeyId) -> Vec<PathCount> {
        self.fresh.take(key)
    }

    /// Takes back what was taken and could not be written.
    pub(super) fn give_back(&mut self, key: KeyId, paths: Vec<PathCount>) {
        paths.into_iter().for_each(|path| self.fresh.add(key, path));
    }

    /// Keeps what was taken, now that the key's counters are on record.
    pub(super) fn settle(&mut self, key: KeyId, paths: Vec<PathCount>) {
        paths.into_iter().for_each(|path| self.settled.add(key, path));
    }

    /// Whether there are paths to write.
    pub(super) fn has_settled(&self) -> bool {
        !self.settled.keys.is_empty()
    }

    /// Takes out what is settled, of up to `keys_max` keys.
    pub(super) fn take_settled(&mut self, keys_max: usize) -> Vec<(KeyId, Vec<PathCount>)> {
        let keys: Vec<KeyId> = self.settled.keys.keys().take(keys_max).copied().collect();
        keys.into_iter().map(|key| (key, self.settled.take(key))).collect()
    }
}

/// Paths by key.
#[derive(Debug, Default)]
struct Counted {
    keys: HashMap<KeyId, OfKey>,
    held: usize,
}

impl Counted {
    fn add(&mut self, key: KeyId, path: PathCount) {
        let of_key = self.keys.entry(key).or_default();
        let before = of_key.paths.len();
        of_key.add(path);
        self.held = (self.held + of_key.paths.len()).saturating_sub(before);
    }

    /// Takes out what there is of one key: each path once.
    fn take(&mut self, key: KeyId) -> Vec<PathCount> {
        let Some(mut of_key) = self.keys.remove(&key) else { return Vec::new() };
        self.held = self.held.saturating_sub(of_key.paths.len());
        of_key.merge();
        of_key.paths
    }
}

/// The paths of one key. One may be in it several times, until it has twice as many as when that was last mended.
#[derive(Debug, Default)]
struct OfKey {
    paths: Vec<PathCount>,
    merged: usize,
}

impl OfKey {
    fn add(&mut self, path: PathCount) {
        if self.paths.len() < FEW
            && let Some(known) = self.paths.iter_mut().find(|known| is_same(known, &path))
        {
            known.requests += path.requests;
            return;
        }
        if self.paths.is_empty() {
            // Most keys take one path, and there may be many keys.
            self.paths.reserve_exact(1);
        }
        self.paths.push(path);
        if self.paths.len() > 2 * self.merged.max(FEW) {
            self.merge();
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::paths::{Path, TABLE_MAX};
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
        assert_eq!(tallies.unattributed.load(Ordering::Relaxed), 3);
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
        assert_eq!(tally.lock().len(), 1);
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
            assert!(gathered.fresh.held <= 1_000, "{} held", gathered.fresh.held);
        }
        let taken = gathered.take(key);
        assert_eq!((taken.len(), gathered.fresh.held), (400, 0));
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
