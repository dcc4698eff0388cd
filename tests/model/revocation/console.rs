//! The steps of consoles: publishing, remembering gateways, and answering a DELETE.
//!
//! A console that hangs is one that does not take its next step; what it sends late is the step taken late. Whoever
//! answers the DELETE need not be the publisher, and talks to whichever server answers.

use super::mutant::Mutant;
use super::state::{Entry, Fleet, GOES_ON, IDS, OVERLAP, Revocation, Stage, WAITS};
use super::{Model, vouched};

/// A step of a console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The second publisher takes over.
    TakeOver,
    /// A publisher finds contents that it cannot vouch for, takes a new epoch from SQL and reads the table.
    TakeEpoch(u8),
    /// A publisher opens its epoch on a server.
    Open(u8, u8),
    /// A publisher publishes the change on a server.
    Publish(u8, u8),
    /// A console writes the gateways that a server has registered into SQL, and says so to the server.
    Remember(u8),
    /// Whoever answers DELETEs looks at a server's registry beforehand.
    Look(u8),
    /// DELETE commits.
    Commit,
    /// It is seen in a server's feed.
    SeePublished(u8),
    /// The registry is read, and by what it says nobody admits the key any more.
    Judge(u8),
    /// SQL says that the epoch is still the latest, and DELETE is answered 200.
    Answer,
}

/// All steps.
pub(crate) const STEPS: [Step; 21] = [
    Step::TakeOver,
    Step::TakeEpoch(0),
    Step::TakeEpoch(1),
    Step::Open(0, 0),
    Step::Open(0, 1),
    Step::Open(1, 0),
    Step::Open(1, 1),
    Step::Publish(0, 0),
    Step::Publish(0, 1),
    Step::Publish(1, 0),
    Step::Publish(1, 1),
    Step::Remember(0),
    Step::Remember(1),
    Step::Look(0),
    Step::Look(1),
    Step::Commit,
    Step::SeePublished(0),
    Step::SeePublished(1),
    Step::Judge(0),
    Step::Judge(1),
    Step::Answer,
];

/// How long whoever answers waits for a gateway.
fn waits(model: &Model) -> u8 {
    if model.broken(Mutant::NoMargin) { GOES_ON } else { WAITS }
}

/// Takes a step; `None` where it cannot.
pub(crate) fn take(model: &Model, fleet: &mut Fleet, step: Step) -> Option<()> {
    match step {
        Step::TakeOver => take_over(fleet),
        Step::TakeEpoch(publisher) => take_epoch(model, fleet, usize::from(publisher)),
        Step::Open(publisher, server) => open(model, fleet, usize::from(publisher), server),
        Step::Publish(publisher, server) => publish(model, fleet, usize::from(publisher), server),
        Step::Remember(server) => remember(model, fleet, server),
        Step::Look(server) => look(model, fleet, server),
        Step::Commit => commit(fleet),
        Step::SeePublished(server) => see_published(model, fleet, server),
        Step::Judge(server) => judge(model, fleet, server),
        Step::Answer => answer(model, fleet),
    }
}

fn take_over(fleet: &mut Fleet) -> Option<()> {
    fleet.faults.takeovers = fleet.faults.takeovers.checked_sub(1)?;
    fleet.sql.term += 1;
    fleet.publishers[1].term = fleet.sql.term;
    fleet.publishers[1].epoch = fleet.sql.epoch;
    Some(())
}

/// Whether a server holds what this publisher cannot go on with.
fn needs_epoch(model: &Model, fleet: &Fleet, publisher: usize) -> bool {
    let own = fleet.publishers[publisher];
    let foreign = |server: u8| {
        let epoch = fleet.servers[usize::from(server)].contents.head.epoch;
        fleet.answers(server) && (epoch < own.epoch || !vouched(model, fleet, server))
    };
    own.term > 0 && own.stage == Stage::Following && (foreign(0) || foreign(1))
}

/// SQL gives an epoch to the publisher of the latest term only.
fn new_epoch(fleet: &mut Fleet, publisher: usize) -> Option<()> {
    (fleet.publishers[publisher].term == fleet.sql.term).then_some(())?;
    fleet.faults.epochs = fleet.faults.epochs.checked_sub(1)?;
    fleet.sql.epoch += 1;
    fleet.publishers[publisher].epoch = fleet.sql.epoch;
    Some(())
}

fn take_epoch(model: &Model, fleet: &mut Fleet, publisher: usize) -> Option<()> {
    needs_epoch(model, fleet, publisher).then_some(())?;
    if !model.broken(Mutant::TableBeforeEpoch) {
        new_epoch(fleet, publisher)?;
    }
    fleet.publishers[publisher].stage = Stage::Read(fleet.sql.seq);
    Some(())
}

fn open(model: &Model, fleet: &mut Fleet, publisher: usize, server: u8) -> Option<()> {
    let Stage::Read(seq) = fleet.publishers[publisher].stage else { return None };
    fleet.answers(server).then_some(())?;
    if model.broken(Mutant::TableBeforeEpoch) {
        new_epoch(fleet, publisher)?;
    }
    let own = &mut fleet.publishers[publisher];
    let there = &mut fleet.servers[usize::from(server)];
    let fits = own.term >= there.contents.term && own.epoch > there.contents.head.epoch;
    (fits || model.broken(Mutant::NoFence)).then_some(())?;
    own.stage = Stage::Following;
    there.contents.head.epoch = own.epoch;
    there.contents.head.seq = seq;
    there.contents.term = own.term;
    there.contents.stamp = Some((server, there.history));
    if own.epoch == fleet.sql.epoch {
        fleet.young = WAITS + OVERLAP;
    }
    Some(())
}

fn publish(model: &Model, fleet: &mut Fleet, publisher: usize, server: u8) -> Option<()> {
    let own = fleet.publishers[publisher];
    let may = fleet.answers(server) && vouched(model, fleet, server) && own.stage == Stage::Following;
    let there = &mut fleet.servers[usize::from(server)].contents;
    let fits = own.term >= there.term && own.epoch == there.head.epoch;
    let next = fleet.sql.seq == 1 && there.head.seq == 0 && own.term > 0;
    (may && next && (fits || model.broken(Mutant::NoFence))).then_some(())?;
    there.head.seq = 1;
    there.term = own.term;
    Some(())
}

/// SQL takes a gateway in only under its latest epoch, in the transaction that checks it.
fn remember(model: &Model, fleet: &mut Fleet, server: u8) -> Option<()> {
    let epoch = fleet.servers[usize::from(server)].contents.head.epoch;
    let may = epoch == fleet.sql.epoch || model.broken(Mutant::RemembersUnderAnyEpoch);
    (fleet.answers(server) && may && vouched(model, fleet, server)).then_some(())?;
    let mut changed = None;
    let entries = fleet.servers[usize::from(server)].contents.registry.iter_mut().zip(&mut fleet.sql.known);
    for (entry, known) in entries {
        if let Some(entry) = entry.as_mut().filter(|entry| !entry.remembered) {
            entry.remembered = true;
            *known = true;
            changed = Some(());
        }
    }
    changed
}

fn look(model: &Model, fleet: &mut Fleet, server: u8) -> Option<()> {
    let early = !matches!(fleet.revocation, Revocation::Judged(..) | Revocation::Complete);
    (early && fleet.answers(server) && vouched(model, fleet, server)).then_some(())?;
    let mut changed = None;
    model.signs.then_some(())?;
    for (entry, sign) in fleet.servers[usize::from(server)].contents.registry.iter_mut().zip(&mut fleet.signs)
    {
        if let Some(entry) = entry.as_mut().filter(|entry| entry.unseen) {
            entry.unseen = false;
            *sign = waits(model);
            changed = Some(());
        }
    }
    changed
}

fn commit(fleet: &mut Fleet) -> Option<()> {
    (fleet.revocation == Revocation::Idle).then_some(())?;
    fleet.sql.seq = 1;
    fleet.revocation = Revocation::Committed;
    Some(())
}

/// Under another epoch the wait begins anew: gateways may have followed it before the change was in it.
fn see_published(model: &Model, fleet: &mut Fleet, server: u8) -> Option<()> {
    let head = fleet.servers[usize::from(server)].contents.head;
    (fleet.answers(server) && vouched(model, fleet, server) && head.seq == 1).then_some(())?;
    let early = model.broken(Mutant::ReadsBeforePublishing);
    fleet.revocation = match fleet.revocation {
        Revocation::Committed if !early => Revocation::Published(head.epoch, waits(model)),
        Revocation::Published(epoch, left) if epoch < head.epoch => {
            let kept = model.broken(Mutant::PublishedInAnyEpoch);
            Revocation::Published(head.epoch, if kept { left } else { waits(model) })
        }
        Revocation::Read(None, registry) => Revocation::Read(Some((head.epoch, waits(model))), registry),
        Revocation::Idle
        | Revocation::Committed
        | Revocation::Published(..)
        | Revocation::Read(..)
        | Revocation::Judged(..)
        | Revocation::Complete => return None,
    };
    Some(())
}

/// Reads the registry together with where the feed is, and judges it.
fn judge(model: &Model, fleet: &mut Fleet, server: u8) -> Option<()> {
    let contents = &fleet.servers[usize::from(server)].contents;
    let ours = |epoch: u8| vouched(model, fleet, server) && epoch == contents.head.epoch;
    let ours = |epoch: u8| ours(epoch) || model.broken(Mutant::ReadsAnyRegistry);
    let (epoch, left, registry) = match fleet.revocation {
        Revocation::Committed if model.broken(Mutant::ReadsBeforePublishing) && fleet.answers(server) => {
            fleet.revocation = Revocation::Read(None, contents.registry);
            return Some(());
        }
        Revocation::Published(epoch, left) if fleet.answers(server) && ours(epoch) => {
            if model.broken(Mutant::JudgesLater) {
                fleet.revocation = Revocation::Read(Some((epoch, left)), contents.registry);
                return Some(());
            }
            (epoch, left, contents.registry)
        }
        Revocation::Read(Some((epoch, left)), registry) => (epoch, left, registry),
        Revocation::Idle
        | Revocation::Committed
        | Revocation::Published(..)
        | Revocation::Read(..)
        | Revocation::Judged(..)
        | Revocation::Complete => return None,
    };
    let (known, young) = (fleet.sql.known, fleet.young > 0);
    let young = young && !model.broken(Mutant::YoungRegistryComplete);
    let mut seen = [false; IDS];
    for (id, entry) in registry.iter().enumerate() {
        let Some(entry) = entry else { continue };
        seen[id] = entry.epoch == epoch || model.broken(Mutant::YoungRegistryByPresence);
        let left = if entry.unseen || !model.signs { left } else { left.min(fleet.signs[id]) };
        let refuses = acknowledges(model, entry, epoch) || entry.loading || left == 0;
        (!seen[id] || refuses).then_some(())?;
    }
    (0..IDS).all(|id| seen[id] || !known[id] || !young).then_some(())?;
    fleet.revocation = Revocation::Judged(epoch, seen, young);
    fleet.signs = [0; IDS];
    Some(())
}

/// Whether a gateway has applied the change in this epoch. What it applied in an earlier one it may have loaded away.
fn acknowledges(model: &Model, entry: &Entry, epoch: u8) -> bool {
    let ours = entry.applied.epoch == epoch || model.broken(Mutant::AcknowledgementsOfAnyEpoch);
    ours && entry.applied.seq == 1
}

/// Asks SQL in one step whether the epoch is still the latest and which gateways it knows.
fn answer(model: &Model, fleet: &mut Fleet) -> Option<()> {
    let Revocation::Judged(epoch, seen, young) = fleet.revocation else { return None };
    let latest = epoch == fleet.sql.epoch || model.broken(Mutant::NoLastLook);
    let refuses = (0..IDS).all(|id| seen[id] || !young || !fleet.sql.known[id]);
    fleet.revocation =
        if latest && refuses { Revocation::Complete } else { Revocation::Published(epoch, WAITS) };
    Some(())
}
