//! The fleet's ledger in memory, for tests and simulations: the rules of `record.rs` behind the traits that Redis
//! implements.
//!
//! Promises to answer exactly as Redis does, at the time of the clock that it is given. Never used by a gateway.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ask::{Floor, SliceAnswer, SliceAsk, SliceBooks, SliceError, SliceLedger};
use super::record::{AccountRecord, Lineage};
use crate::domain::clock::{Clock, Moment};
use crate::domain::id::KeyId;

#[derive(Debug, Default)]
struct Contents {
    lineage: Lineage,
    accounts: HashMap<KeyId, AccountRecord>,
    wanted: BTreeSet<KeyId>,
    exchanges: u64,
}

/// A ledger in memory. All gateways of a simulated fleet share one.
#[derive(Debug)]
pub struct ReferenceLedger {
    clock: Clock,
    began: Moment,
    contents: Mutex<Contents>,
}

impl ReferenceLedger {
    /// An empty ledger without a lineage: every ask is answered [`SliceAnswer::OtherEpoch`] until one begins.
    pub fn new(clock: Clock) -> ReferenceLedger {
        ReferenceLedger { began: clock.now(), clock, contents: Mutex::default() }
    }

    /// Loses everything and begins a lineage.
    pub fn begin(&self, epoch: u64) {
        let began_us = self.now_us();
        let mut contents = self.contents();
        let exchanges = contents.exchanges;
        let lineage = Lineage { epoch, began_us, floors_complete: false };
        *contents = Contents { lineage, exchanges, ..Contents::default() };
    }

    /// Calls of [`SliceLedger::exchange`].
    pub fn exchanges(&self) -> u64 {
        self.contents().exchanges
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // A lock, because it stands for one Redis; nothing is awaited under it.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> u64 {
        // The monotonic reading is finer than the wall clock's.
        self.began.unix.0 * 1_000 + self.clock.now().nanos_since(self.began) / 1_000
    }
}

impl SliceLedger for ReferenceLedger {
    async fn exchange(&self, asks: &[SliceAsk]) -> Result<Vec<SliceAnswer>, SliceError> {
        let now_us = self.now_us();
        let mut contents = self.contents();
        contents.exchanges += 1;
        let lineage = contents.lineage;
        Ok(asks
            .iter()
            .map(|ask| {
                let account = contents.accounts.entry(ask.key).or_default();
                let answer = account.exchange(ask, now_us, lineage);
                if matches!(answer, SliceAnswer::Granted { needs_floor: true, .. }) {
                    contents.wanted.insert(ask.key);
                }
                answer
            })
            .collect())
    }
}

impl SliceBooks for ReferenceLedger {
    async fn wanted(&self, most: usize) -> Result<Vec<KeyId>, SliceError> {
        Ok(self.contents().wanted.iter().take(most).copied().collect())
    }

    async fn put_floors(&self, epoch: u64, floors: &[Floor]) -> Result<u64, SliceError> {
        let mut contents = self.contents();
        if contents.lineage.epoch != epoch {
            return Err(SliceError(String::from("the ledger is at another epoch")));
        }
        let mut resumed = 0;
        for floor in floors {
            let account = contents.accounts.entry(floor.key).or_default();
            resumed += u64::from(account.put_floor(epoch, floor.by_window(), floor.recent));
            contents.wanted.remove(&floor.key);
        }
        Ok(resumed)
    }

    async fn complete_floors(&self, epoch: u64) -> Result<(), SliceError> {
        let mut contents = self.contents();
        if contents.lineage.epoch != epoch {
            return Err(SliceError(String::from("the ledger is at another epoch")));
        }
        contents.lineage.floors_complete = true;
        Ok(())
    }

    async fn account(&self, key: KeyId) -> Result<Option<(AccountRecord, u64)>, SliceError> {
        let now_us = self.now_us();
        Ok(self.contents().accounts.get(&key).map(|account| (account.clone(), now_us)))
    }
}

impl Floor {
    /// For each window, its start and what was admitted in it.
    pub fn by_window(&self) -> [Option<(u64, u64)>; 5] {
        let mut floors = [None; 5];
        for (window, span, admitted) in &self.quotas {
            if let Some(place) = floors.get_mut(window.index()) {
                *place = Some((span.start.0, *admitted));
            }
        }
        floors
    }
}
