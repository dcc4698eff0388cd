//! The model of revocation: DELETE is answered 200 only when no gateway admits the key any more.
//!
//! Owns the rules of the model as a whole: steps of gateways and consoles, faults, the passing of time, and what must
//! hold. Every call to Redis is one step, because it is one script; what a process does between two calls may be
//! delayed for as long as one likes, which covers slow networks, SIGSTOP and lost messages. Faults are counted, so that
//! the model ends.

use stateright::Property;

use self::mutant::Mutant;
use self::state::{Faults, Fleet, Revocation};

mod console;
mod gateway;
pub(crate) mod mutant;
pub(crate) mod state;

/// What must never be broken.
pub(crate) const HOLDS: &str = "no gateway admits the key after DELETE was answered 200";

/// What is checked: a fleet, the faults that may come, and at most one rule that is broken.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// How many gateways take part.
    pub(crate) gateways: usize,
    /// Whether consoles keep in mind when they saw a gateway's last sign; without, they wait from the publication.
    pub(crate) signs: bool,
    /// What may go wrong.
    pub(crate) faults: Faults,
    /// The rule that is broken.
    pub(crate) mutant: Option<Mutant>,
}

impl Model {
    /// Whether a rule is broken.
    fn broken(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

/// A step of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A tick passes; the clocks of gateways whose bit is set leave it out.
    Tick(u8),
    /// The replica catches up.
    Replicate,
    /// The replica becomes the primary; the old primary goes on for a while and does not know.
    FailOver,
    /// All that the primary holds is gone.
    Flush,
    /// A gateway's step.
    Gateway(u8, gateway::Step),
    /// A console's step.
    Console(console::Step),
}

/// Whether a server's contents carry the stamp of this very server.
fn vouched(model: &Model, fleet: &Fleet, server: u8) -> bool {
    let there = &fleet.servers[usize::from(server)];
    match there.contents.stamp {
        _ if model.broken(Mutant::NoStamp) => there.contents.head.epoch > 0,
        Some((process, _)) if model.broken(Mutant::StampWithoutHistory) => process == server,
        Some(stamp) => stamp == (server, there.history),
        None => false,
    }
}

fn tick(model: &Model, fleet: &mut Fleet, skipping: u8) -> Option<()> {
    fleet.overlap = fleet.overlap.saturating_sub(1);
    fleet.young = fleet.young.saturating_sub(1);
    for sign in &mut fleet.signs {
        *sign = sign.saturating_sub(1);
    }
    match &mut fleet.revocation {
        Revocation::Published(_, left) | Revocation::Read(Some((_, left)), _) => {
            *left = left.saturating_sub(1)
        }
        Revocation::Idle
        | Revocation::Committed
        | Revocation::Read(None, _)
        | Revocation::Judged(..)
        | Revocation::Complete => {}
    }
    for (index, gateway) in fleet.gateways.iter_mut().enumerate().take(model.gateways) {
        if skipping & (1 << index) != 0 {
            gateway.skips = gateway.skips.checked_sub(1)?;
            continue;
        }
        gateway.trust = gateway.trust.saturating_sub(1);
        if let Some(sync) = &mut gateway.sync {
            sync.left = sync.left.saturating_sub(1);
        }
    }
    Some(())
}

fn replicate(fleet: &mut Fleet) -> Option<()> {
    fleet.faults.replications = fleet.faults.replications.checked_sub(1)?;
    (fleet.overlap == 0).then_some(())?;
    fleet.servers[usize::from(1 - fleet.primary)] = fleet.servers[usize::from(fleet.primary)].clone();
    Some(())
}

fn fail_over(fleet: &mut Fleet) -> Option<()> {
    fleet.faults.failovers = fleet.faults.failovers.checked_sub(1)?;
    (fleet.overlap == 0).then_some(())?;
    let history = fleet.servers[0].history.max(fleet.servers[1].history) + 1;
    fleet.primary = 1 - fleet.primary;
    fleet.servers[usize::from(fleet.primary)].history = history;
    fleet.overlap = state::OVERLAP;
    Some(())
}

fn flush(fleet: &mut Fleet) -> Option<()> {
    fleet.faults.flushes = fleet.faults.flushes.checked_sub(1)?;
    fleet.servers[usize::from(fleet.primary)].contents = state::Contents::default();
    Some(())
}

impl stateright::Model for Model {
    type State = Fleet;
    type Action = Action;

    fn init_states(&self) -> Vec<Fleet> {
        vec![Fleet::begin(self.faults)]
    }

    fn actions(&self, _: &Fleet, actions: &mut Vec<Action>) {
        actions.extend((0..1 << self.gateways).map(Action::Tick));
        actions.extend([Action::Replicate, Action::FailOver, Action::Flush]);
        for index in (0..2).take(self.gateways) {
            actions.extend(gateway::STEPS.map(|step| Action::Gateway(index, step)));
        }
        actions.extend(console::STEPS.map(Action::Console));
    }

    fn next_state(&self, last: &Fleet, action: Action) -> Option<Fleet> {
        let mut fleet = last.clone();
        match action {
            Action::Tick(skipping) => tick(self, &mut fleet, skipping),
            Action::Replicate => replicate(&mut fleet),
            Action::FailOver => fail_over(&mut fleet),
            Action::Flush => flush(&mut fleet),
            Action::Gateway(index, step) => gateway::take(self, &mut fleet, usize::from(index), step),
            Action::Console(step) => console::take(self, &mut fleet, step),
        }?;
        fleet.forget_unreachable();
        (fleet != *last).then_some(fleet)
    }

    fn properties(&self) -> Vec<Property<Model>> {
        vec![
            Property::always(HOLDS, |_, fleet: &Fleet| {
                fleet.revocation != Revocation::Complete || !fleet.gateways.iter().any(state::Gateway::admits)
            }),
            Property::sometimes("a gateway admits the key", |_, fleet: &Fleet| {
                fleet.gateways.iter().any(state::Gateway::admits)
            }),
            Property::sometimes("DELETE is answered 200 while a gateway follows", |_, fleet: &Fleet| {
                let follows =
                    |it: &state::Gateway| it.trust > 0 && it.table.is_some_and(|table| table.seq == 1);
                fleet.revocation == Revocation::Complete && fleet.gateways.iter().any(follows)
            }),
            Property::sometimes(
                "DELETE is answered 200 while a gateway has not heard of it",
                |_, fleet: &Fleet| {
                    fleet.revocation == Revocation::Complete
                        && fleet
                            .gateways
                            .iter()
                            .any(|it| it.up && it.table.is_some_and(|table| table.seq == 0))
                },
            ),
        ]
    }
}

#[cfg(test)]
mod tests;
