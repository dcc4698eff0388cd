//! The model of slices: all gateways together admit no more than the limit.
//!
//! Owns the steps of gateways, network and consoles, and what must hold. Asks may be lost, arrive late or twice, and so
//! may answers; gateways may die or be out of touch; the ledger may lose everything while an old primary goes on. Asks
//! are counted, so that the model ends.

use stateright::Property;

use self::state::{Ask, Faults, Fleet, GATEWAYS, Gateway, Ledger, Life};

pub(crate) mod state;

/// What must never be broken.
pub(crate) const HOLDS: &str = "gateways admit no more than the limit and what is in no book";

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// The ledger does not look at the numbers of asks.
    NoNumbers,
    /// An ask says how much more or less, not how much in total, and is carried out as often as it comes.
    RelativeAsks,
    /// A gateway goes on spending what it gives back until that is answered.
    SpendsWhatItGivesBack,
    /// An answer of an earlier lineage counts.
    AnswersOfAnyEpoch,
    /// The ledger of a new lineage grants before all gateways have declared what they hold.
    OpensBeforeDeclarations,
    /// What SQL has counted is read before all gateways have declared.
    FloorBeforeDeclarations,
    /// A gateway that the ledger was opened without comes back and keeps what it has not spent.
    LateGatewayKeeps,
}

/// What is checked.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// Requests that the account admits.
    pub(crate) limit: u8,
    /// Copies of asks of one gateway that may be in the network.
    pub(crate) copies: usize,
    /// What may happen.
    pub(crate) faults: Faults,
    /// The rule that is broken.
    pub(crate) mutant: Option<Mutant>,
}

/// A step of a gateway, or of what is between it and the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It admits a request.
    Spend,
    /// It wishes to have so much more.
    Grow(u8),
    /// It gives back what it has not spent.
    GiveBack,
    /// It tells a new lineage what it holds.
    Declare,
    /// It repeats the ask that is not answered.
    Repeat,
    /// A copy of an ask arrives.
    Arrive(usize),
    /// A copy of an ask is lost.
    Lose(usize),
    /// An answer arrives.
    Hear,
    /// What it spent is counted by SQL.
    Record,
    /// It learns of a new lineage.
    See,
    /// It has been out of touch for too long.
    Lapse,
    /// It is in touch again.
    Return,
    /// It dies.
    Crash,
}

const STEPS: [Step; 16] = [
    Step::Spend,
    Step::Grow(1),
    Step::Grow(2),
    Step::GiveBack,
    Step::Declare,
    Step::Repeat,
    Step::Arrive(0),
    Step::Arrive(1),
    Step::Lose(0),
    Step::Lose(1),
    Step::Hear,
    Step::Record,
    Step::See,
    Step::Lapse,
    Step::Return,
    Step::Crash,
];

/// A step of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Of a gateway.
    Gateway(usize, Step),
    /// The ledger loses everything, and a console begins a new lineage; an old primary goes on with the old one.
    LoseLedger,
    /// The old primary is gone.
    OldEnds,
    /// A console lets the ledger grant.
    OpenLedger,
    /// A console reads what SQL has counted.
    ReadFloor,
    /// It puts that into the ledger.
    PutFloor,
}

impl Model {
    fn broken(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn gateway(&self, fleet: &mut Fleet, index: usize, step: Step) -> Option<()> {
        let there = fleet.ledger;
        let mine = &mut fleet.gateways[index];
        let acts = mine.life == Life::Serves;
        match step {
            Step::Spend => {
                (acts && mine.spent < mine.own).then_some(())?;
                mine.spent += 1;
                mine.unrecorded += 1;
                fleet.admitted += 1;
            }
            Step::Grow(more) => {
                (acts && mine.declared && mine.own + more <= self.limit).then_some(())?;
                self.ask(mine, false, mine.own + more)?;
            }
            Step::GiveBack => {
                (acts && mine.declared && mine.spent < mine.own).then_some(())?;
                let held = mine.own;
                self.ask(mine, false, mine.spent)?;
                if !self.broken(Mutant::SpendsWhatItGivesBack) {
                    mine.own = mine.spent.min(held);
                }
            }
            Step::Declare => {
                (acts && !mine.declared).then_some(())?;
                self.ask(mine, true, mine.own)?;
            }
            Step::Repeat => self.send(mine, mine.pending.filter(|_| acts)?)?,
            Step::Arrive(copy) => return self.arrive(fleet, index, copy),
            Step::Lose(copy) => {
                mine.network[copy].take()?;
            }
            Step::Hear => self.hear(mine)?,
            Step::Record => {
                (mine.life != Life::Dead && mine.unrecorded > 0).then_some(())?;
                fleet.recorded += mine.unrecorded;
                mine.unrecorded = 0;
            }
            Step::See => {
                (acts && mine.epoch < there.epoch).then_some(())?;
                redeclare(mine, there.epoch, true);
            }
            Step::Lapse => {
                fleet.faults.lapses = fleet.faults.lapses.checked_sub(1)?;
                acts.then_some(())?;
                mine.life = Life::Lapsed;
            }
            Step::Return => {
                (mine.life == Life::Lapsed).then_some(())?;
                mine.life = Life::Serves;
                if mine.epoch < there.epoch {
                    redeclare(mine, there.epoch, self.broken(Mutant::LateGatewayKeeps));
                }
            }
            Step::Crash => {
                fleet.faults.crashes = fleet.faults.crashes.checked_sub(1)?;
                (mine.life != Life::Dead).then_some(())?;
                mine.life = Life::Dead;
                (mine.pending, mine.answer, mine.own, mine.spent) = (None, None, 0, 0);
            }
        }
        Some(())
    }

    /// Makes an ask and sends it. A gateway has one ask at a time; a declaration is one more than is counted.
    fn ask(&self, mine: &mut Gateway, first: bool, want: u8) -> Option<()> {
        let asks_max = self.faults.asks + u8::from(first);
        (mine.pending.is_none() && mine.number < asks_max).then_some(())?;
        mine.number += 1;
        let ask = Ask { number: mine.number, epoch: mine.epoch, first, held: mine.own, want };
        mine.pending = Some(ask);
        self.send(mine, ask)
    }

    fn send(&self, mine: &mut Gateway, ask: Ask) -> Option<()> {
        let place = (0..self.copies).find(|copy| mine.network[*copy].is_none())?;
        mine.network[place] = Some(ask);
        mine.network.sort_by_key(|copy| copy.map_or(u8::MAX, |ask| ask.number));
        Some(())
    }

    fn arrive(&self, fleet: &mut Fleet, index: usize, copy: usize) -> Option<()> {
        let ask = fleet.gateways[index].network[copy].take()?;
        let old = fleet.old.as_mut().filter(|old| old.epoch == ask.epoch);
        let ledger = match old {
            Some(old) => old,
            None if fleet.ledger.epoch == ask.epoch => &mut fleet.ledger,
            None => return Some(()),
        };
        let answer = ledger.exchange(index, ask, self.limit, self.mutant);
        if fleet.gateways[index].life != Life::Dead {
            fleet.gateways[index].answer = answer;
        }
        Some(())
    }

    fn hear(&self, mine: &mut Gateway) -> Option<()> {
        let answer = mine.answer.take()?;
        let ours = mine.pending.filter(|ask| ask.number == answer.number && ask.epoch == answer.epoch);
        let any = self.broken(Mutant::AnswersOfAnyEpoch) && answer.epoch < mine.epoch;
        (ours.is_some() || any).then_some(())?;
        mine.declared |= ours.is_some_and(|ask| ask.first);
        mine.own = answer.own.max(mine.spent);
        mine.pending = None;
        Some(())
    }
}

/// What is spent and in SQL is the floor's; the rest goes on as this gateway's own.
fn redeclare(mine: &mut Gateway, epoch: u8, keeps: bool) {
    let unspent = if keeps { mine.own - mine.spent } else { 0 };
    mine.spent = mine.unrecorded;
    mine.own = mine.unrecorded + unspent;
    (mine.epoch, mine.declared, mine.pending) = (epoch, false, None);
}

fn lose_ledger(fleet: &mut Fleet) -> Option<()> {
    fleet.faults.losses = fleet.faults.losses.checked_sub(1)?;
    fleet.old = Some(fleet.ledger);
    fleet.ledger = Ledger { epoch: fleet.ledger.epoch + 1, ..Ledger::default() };
    Some(())
}

/// Opened once whoever may hold slices has declared, or cannot go on.
fn open_ledger(model: &Model, fleet: &mut Fleet) -> Option<()> {
    let epoch = fleet.ledger.epoch;
    let declared = |it: &Gateway| it.epoch == epoch && it.declared;
    let settled = fleet.gateways.iter().all(|it| it.life != Life::Serves || declared(it));
    let ready = settled || model.broken(Mutant::OpensBeforeDeclarations);
    (!fleet.ledger.open && ready).then_some(())?;
    fleet.ledger.open = true;
    fleet.unknown += fleet.gateways.iter().filter(|it| !declared(it)).map(|it| it.unrecorded).sum::<u8>();
    Some(())
}

impl stateright::Model for Model {
    type State = Fleet;
    type Action = Action;

    fn init_states(&self) -> Vec<Fleet> {
        vec![Fleet::begin(self.faults)]
    }

    fn actions(&self, _: &Fleet, actions: &mut Vec<Action>) {
        for index in 0..GATEWAYS {
            actions.extend(STEPS.map(|step| Action::Gateway(index, step)));
        }
        actions.extend([
            Action::LoseLedger,
            Action::OldEnds,
            Action::OpenLedger,
            Action::ReadFloor,
            Action::PutFloor,
        ]);
    }

    fn next_state(&self, last: &Fleet, action: Action) -> Option<Fleet> {
        let mut fleet = last.clone();
        match action {
            Action::Gateway(index, step) => self.gateway(&mut fleet, index, step),
            Action::LoseLedger => lose_ledger(&mut fleet),
            Action::OldEnds => fleet.old.take().map(drop),
            Action::OpenLedger => open_ledger(self, &mut fleet),
            Action::ReadFloor => {
                let ready = fleet.ledger.open || self.broken(Mutant::FloorBeforeDeclarations);
                (ready && !fleet.ledger.floored && fleet.floor.is_none()).then_some(())?;
                fleet.floor = Some(fleet.recorded);
                Some(())
            }
            Action::PutFloor => {
                fleet.ledger.open.then_some(())?;
                fleet.ledger.total += fleet.floor.take()?;
                fleet.ledger.floored = true;
                Some(())
            }
        }?;
        (fleet != *last).then_some(fleet)
    }

    fn properties(&self) -> Vec<Property<Model>> {
        vec![
            Property::always(HOLDS, |model: &Model, fleet: &Fleet| {
                fleet.admitted <= model.limit + fleet.unknown
            }),
            Property::sometimes("all of the limit is admitted", |model: &Model, fleet: &Fleet| {
                fleet.admitted == model.limit
            }),
            Property::sometimes("the other gateway admits", |_, fleet: &Fleet| fleet.gateways[1].spent > 0),
        ]
    }
}

#[cfg(test)]
mod tests;
