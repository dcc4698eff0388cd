//! How far a follower is, and which syncs that confirms.
//!
//! Promises that a beat never says more than was applied, and that a later beat never says less than an earlier one of
//! the same load. Holds a lock for a few instructions, never across a wait.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::hub::{Phase, Position};

/// Syncs whose head is not applied yet. More of them tell nothing more.
const EXPECTED_MAX: usize = 16;
/// Beats in a row that find the follower behind and not moving, until it loads anew: changes it waits for are not coming.
const STUCK_BEATS: u32 = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Progress {
    state: Mutex<State>,
    pub(super) loads: AtomicU64,
    pub(super) last_sync_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    phase: Option<Phase>,
    applied: Option<Position>,
    /// The latest epoch that was seen: an old primary that was cut off may go on to vouch for an earlier one.
    epoch: u64,
    /// Syncs that are not confirmed: when each began, and the head that it found.
    expected: VecDeque<(u64, Position)>,
    /// Where the follower was when it was found behind, and how many beats ago.
    stuck: Option<(Position, u32)>,
}

impl Progress {
    // A lock rather than atomics: phase, epoch and sequence belong together. Taken by two tasks a few times a second.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn applied(&self) -> Option<Position> {
        self.lock().applied
    }

    /// Makes a beat of what is true now: phase, latest epoch and what is applied. Beats are numbered in the order of what
    /// they say, because they are made one after the other.
    pub(super) fn tell<T>(&self, make: impl FnOnce(Phase, u64, Option<Position>) -> T) -> T {
        let state = self.lock();
        make(state.phase.unwrap_or(Phase::Loading), state.epoch, state.applied)
    }

    /// Notes that the feed was seen in `epoch`. Says whether that is not behind what was seen before.
    pub(super) fn see(&self, epoch: u64) -> bool {
        let mut state = self.lock();
        let is_current = epoch >= state.epoch;
        state.epoch = state.epoch.max(epoch);
        is_current
    }

    /// A load begins: nothing is confirmed until it has ended.
    pub(super) fn begin_load(&self) {
        let mut state = self.lock();
        state.phase = Some(match state.phase {
            None | Some(Phase::Loading) => Phase::Loading,
            Some(Phase::Following | Phase::Reloading) => Phase::Reloading,
        });
        state.expected.clear();
        state.stuck = None;
    }

    /// The table is whole, at `at` or later.
    pub(super) fn end_load(&self, at: Position) {
        let mut state = self.lock();
        state.phase = Some(Phase::Following);
        state.applied = Some(at);
    }

    /// Everything up to `at` is applied, and what it revoked is being cut.
    pub(super) fn set_applied(&self, at: Position) {
        self.lock().applied = Some(at);
    }

    /// Notes a sync that began at `start_ns` and found the feed at `head`. Says whether the table has to be loaded anew.
    pub(super) fn expect(&self, start_ns: u64, head: Position) -> bool {
        let mut state = self.lock();
        if state.phase != Some(Phase::Following) {
            return false;
        }
        let Some(applied) = state.applied else { return false };
        // Another epoch, or a feed that went back: what was applied says nothing about this one.
        if head.epoch != applied.epoch || head.seq < applied.seq {
            return true;
        }
        if state.expected.len() == EXPECTED_MAX {
            state.expected.pop_front();
        }
        state.expected.push_back((start_ns, head));
        if applied.seq == head.seq {
            state.stuck = None;
            return false;
        }
        let beats = match state.stuck {
            Some((at, beats)) if at == applied => beats + 1,
            Some(_) | None => 1,
        };
        state.stuck = Some((applied, beats));
        beats > STUCK_BEATS
    }

    /// The start of the latest sync whose head is applied by now; each is given once.
    pub(super) fn confirmed(&self) -> Option<u64> {
        let mut state = self.lock();
        let applied = state.applied.filter(|_| state.phase == Some(Phase::Following))?;
        let mut latest = None;
        state.expected.retain(|(start_ns, head)| {
            let is_applied = head.epoch == applied.epoch && head.seq <= applied.seq;
            if is_applied {
                latest = latest.max(Some(*start_ns));
            }
            !is_applied
        });
        latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, seq: u64) -> Position {
        Position { epoch, seq }
    }

    fn following(position: Position) -> Progress {
        let progress = Progress::default();
        progress.begin_load();
        progress.end_load(position);
        progress
    }

    #[test]
    fn a_sync_confirms_from_its_start_once_its_head_is_applied() {
        let progress = following(at(1, 10));
        assert!(!progress.expect(100, at(1, 10)));
        assert_eq!(progress.confirmed(), Some(100));
        assert_eq!(progress.confirmed(), None, "each is given once");
        assert!(!progress.expect(200, at(1, 12)));
        assert!(!progress.expect(300, at(1, 14)));
        assert_eq!(progress.confirmed(), None);
        progress.set_applied(at(1, 13));
        assert_eq!(progress.confirmed(), Some(200), "the later sync found more than is applied");
        progress.set_applied(at(1, 14));
        assert_eq!(progress.confirmed(), Some(300));
    }

    #[test]
    fn another_epoch_and_a_feed_that_went_back_confirm_nothing_and_ask_for_a_load() {
        let progress = following(at(1, 10));
        assert!(progress.expect(100, at(2, 10)));
        assert!(progress.expect(100, at(1, 9)));
        assert_eq!(progress.confirmed(), None);
        assert!(!progress.expect(100, at(1, 11)));
        progress.begin_load();
        progress.set_applied(at(1, 11));
        assert_eq!(progress.confirmed(), None, "while it loads nothing counts");
        assert!(progress.tell(|phase, _, _| phase == Phase::Reloading));
    }

    #[test]
    fn an_earlier_epoch_is_told_from_a_later_one() {
        let progress = Progress::default();
        assert!(progress.see(1) && progress.see(3) && progress.see(3));
        assert!(!progress.see(2), "an old primary");
        assert_eq!(progress.tell(|_, epoch, _| epoch), 3);
    }

    #[test]
    fn a_follower_that_is_behind_and_does_not_move_loads_anew() {
        let progress = following(at(1, 10));
        let stuck = (0..20).take_while(|_| !progress.expect(1, at(1, 11))).count();
        assert_eq!(stuck, 8);
        progress.set_applied(at(1, 11));
        assert!(!progress.expect(1, at(1, 12)), "it moved");
    }
}
