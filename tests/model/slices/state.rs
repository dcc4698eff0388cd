//! What there is in the model of slices: one account of the fleet's ledger, SQL, two gateways and what is between them.
//!
//! Owns the shape of a state and the ledger's rules. Never takes a step by itself.

use super::Mutant;

/// Gateways.
pub(crate) const GATEWAYS: usize = 2;
/// Copies of asks of one gateway that may be in the network, at most.
pub(crate) const COPIES: usize = 2;

/// What a gateway asks of the ledger. All totals count from the start of the lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ask {
    /// Grows from ask to ask; a repeated ask carries the same.
    pub(crate) number: u8,
    /// The lineage.
    pub(crate) epoch: u8,
    /// It declares what it holds.
    pub(crate) first: bool,
    /// What is granted to it, as it knows; believed of a first ask only.
    pub(crate) held: u8,
    /// What it wishes to be granted in total.
    pub(crate) want: u8,
}

/// What the ledger answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Answer {
    /// To which ask.
    pub(crate) number: u8,
    /// Of which lineage.
    pub(crate) epoch: u8,
    /// What is granted in total.
    pub(crate) own: u8,
}

/// What the ledger keeps of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Held {
    /// The number of its last ask.
    pub(crate) number: u8,
    /// What is granted to it.
    pub(crate) own: u8,
}

/// One lineage of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Ledger {
    /// Its number.
    pub(crate) epoch: u8,
    /// It may grant.
    pub(crate) open: bool,
    /// It knows what SQL had counted before.
    pub(crate) floored: bool,
    /// Granted in total, and used before this lineage.
    pub(crate) total: u8,
    /// By gateway; `None`: it has not declared anything.
    pub(crate) held: [Option<Held>; GATEWAYS],
}

impl Ledger {
    /// Carries an ask out; `None` where it is late, or of a gateway that has not declared.
    pub(crate) fn exchange(
        &mut self,
        gateway: usize,
        ask: Ask,
        limit: u8,
        mutant: Option<Mutant>,
    ) -> Option<Answer> {
        let before = self.held[gateway];
        let mut mine = before.unwrap_or_default();
        let numbers = mutant != Some(Mutant::NoNumbers) && mutant != Some(Mutant::RelativeAsks);
        match before {
            Some(held) if numbers && held.number > ask.number => return None,
            Some(held) if numbers && held.number == ask.number => {
                return Some(Answer { number: ask.number, epoch: self.epoch, own: held.own });
            }
            None if !ask.first => return None,
            Some(_) | None => {}
        }
        if ask.first {
            mine.own = ask.held;
            self.total += ask.held;
        }
        let want = if mutant == Some(Mutant::RelativeAsks) {
            (mine.own + ask.want).saturating_sub(ask.held)
        } else {
            ask.want
        };
        let kept = mine.own.min(want);
        self.total -= mine.own - kept;
        mine.own = kept;
        if want > kept && self.open && self.floored {
            let more = (want - kept).min(limit.saturating_sub(self.total));
            mine.own += more;
            self.total += more;
        }
        mine.number = ask.number;
        self.held[gateway] = Some(mine);
        Some(Answer { number: ask.number, epoch: self.epoch, own: mine.own })
    }
}

/// How a gateway is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) enum Life {
    /// It admits what it has slices for.
    #[default]
    Serves,
    /// It was out of touch for longer than it may go on, and admits nothing.
    Lapsed,
    /// It died.
    Dead,
}

/// A gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Gateway {
    /// How it is.
    pub(crate) life: Life,
    /// The lineage that it knows.
    pub(crate) epoch: u8,
    /// It has declared to that lineage, and was answered.
    pub(crate) declared: bool,
    /// Granted to it in this lineage.
    pub(crate) own: u8,
    /// Spent of that.
    pub(crate) spent: u8,
    /// Spent and not in SQL yet.
    pub(crate) unrecorded: u8,
    /// The number of its last ask.
    pub(crate) number: u8,
    /// The ask that is not answered.
    pub(crate) pending: Option<Ask>,
    /// Copies of asks in the network.
    pub(crate) network: [Option<Ask>; COPIES],
    /// An answer in the network.
    pub(crate) answer: Option<Answer>,
}

/// What may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Faults {
    /// Times that the ledger's contents are lost.
    pub(crate) losses: u8,
    /// Crashes.
    pub(crate) crashes: u8,
    /// Gateways that are out of touch for too long.
    pub(crate) lapses: u8,
    /// Asks of each gateway, which are bounded so that the model ends.
    pub(crate) asks: u8,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fleet {
    /// The ledger.
    pub(crate) ledger: Ledger,
    /// The lineage before, on an old primary that does not know better.
    pub(crate) old: Option<Ledger>,
    /// Counted by SQL.
    pub(crate) recorded: u8,
    /// What a console has read of that, on its way into the ledger.
    pub(crate) floor: Option<u8>,
    /// The gateways.
    pub(crate) gateways: [Gateway; GATEWAYS],
    /// All requests that were ever admitted.
    pub(crate) admitted: u8,
    /// Admitted by gateways that died or were out of touch when the ledger was opened without them, and in no book.
    pub(crate) unknown: u8,
    /// What may still happen.
    pub(crate) faults: Faults,
}

impl Fleet {
    /// Two gateways with empty hands and an open ledger.
    pub(crate) fn begin(faults: Faults) -> Fleet {
        let gateway = Gateway { epoch: 1, declared: true, ..Gateway::default() };
        let held = [Some(Held::default()); GATEWAYS];
        Fleet {
            ledger: Ledger { epoch: 1, open: true, floored: true, total: 0, held },
            old: None,
            recorded: 0,
            floor: None,
            gateways: [gateway; GATEWAYS],
            admitted: 0,
            unknown: 0,
            faults,
        }
    }
}
