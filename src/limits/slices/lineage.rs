//! What a gateway tells a new lineage of the ledger, and what it lets go of where that may have begun without it.
//!
//! A ledger grants once every gateway has declared what it holds, or cannot go on. Promises that a gateway which was taken
//! to be gone comes back with empty hands: nothing that it held before is spent then, and nothing that was under way.

use std::sync::atomic::Ordering;

use super::ask::SliceLedger;
use super::holding::Holding;
use super::keeper::{Work, queue};
use super::standing::FleetView;
use crate::limits::ledger::UsageBook;

impl<S: SliceLedger, B: UsageBook> Work<S, B> {
    /// Takes in what is known of the fleet. A new lineage is told of everything that is held here.
    pub(super) fn see(&mut self, view: FleetView) {
        let before = std::mem::replace(&mut self.view, view);
        let anew = view.epoch != before.epoch;
        let lapsed = view.lapses != before.lapses;
        // Whoever opened it did not wait for what is not declared.
        let opened = view.ledger_open && (anew || !before.ledger_open);
        if anew {
            self.undeclared = self.holdings.len();
        }
        if anew || lapsed || opened && self.undeclared > 0 {
            for holding in self.holdings.values_mut() {
                let undeclared = holding.epoch != view.epoch;
                let lets_go = lapsed || opened && undeclared;
                if holding.flying {
                    // See `land`: what is under way may be a grant, or a declaration that comes too late.
                    self.lapsing += usize::from(lets_go && !holding.lapsed);
                    holding.lapsed |= lets_go;
                    continue;
                }
                if lets_go {
                    holding.let_go();
                    self.outstanding = self.outstanding.saturating_sub(holding.outstanding);
                    holding.outstanding = 0;
                }
                if undeclared && (anew || lets_go) {
                    holding.redeclare(self.book.as_ref(), view.epoch);
                    self.undeclared -= usize::from(holding.epoch == view.epoch && self.undeclared > 0);
                }
                queue(&mut self.lanes, self.ledger.as_ref(), holding, true);
            }
        }
        self.publish();
    }

    /// Says how far this gateway is.
    pub(super) fn publish(&self) {
        let lines = Self::fleet(&self.lines);
        lines.outstanding.store(self.outstanding, Ordering::Relaxed);
        // Release: who sees these sees that the ledger has answered, and that nothing is left to be spent.
        if self.undeclared == 0 {
            lines.declared.store(self.view.epoch, Ordering::Release);
        }
        if self.lapsing == 0 {
            lines.lapses_seen.store(self.view.lapses, Ordering::Release);
        }
    }
}

impl Holding {
    /// Empties this gateway's hands, but for places that are taken. Where the ledger still knows of the rest, the next ask
    /// gives it back.
    pub(super) fn let_go(&mut self) {
        self.renumber(|used, _| (used, 0));
        self.returned += self.take_tokens();
        self.account.set_places(0);
        self.grows = false;
    }

    /// Prepares to tell the lineage `epoch` what is held here; where that is nothing, it is told already.
    pub(super) fn redeclare<B: UsageBook>(&mut self, book: &B, epoch: u64) {
        let unrecorded = unrecorded(self, book);
        let tells = unrecorded > 0 || !self.is_empty();
        (self.pending, self.first, self.unrecorded) = (None, true, unrecorded);
        self.renumber(|used, unspent| (used.min(unrecorded), unspent));
        (self.returned, self.refilled, self.believed) = (0, 0, [(0, 0); 5]);
        self.places = 0;
        if !tells {
            self.epoch = epoch;
        }
    }
}

/// Requests of this key that SQL may not have: not handed over yet, or handed over and on their way.
pub(super) fn unrecorded<B: UsageBook>(holding: &Holding, book: &B) -> u64 {
    let (here, _) = holding.account.unrecorded();
    here.admitted().saturating_add(book.unrecorded(holding.account.key()))
}
