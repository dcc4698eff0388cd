//! The steps of a gateway: start, sync, load, follow, crash.
//!
//! Each gives whether it changed anything. A request or an answer that is lost is one that never takes its next step: the
//! gateway gives the sync up.

use super::mutant::Mutant;
use super::state::{Beat, Entry, Fleet, GOES_ON, Gateway, LIVES, Sync};
use super::{Model, vouched};

/// A step of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is started.
    Start,
    /// It dies.
    Crash,
    /// It begins a sync with a server.
    Send(u8),
    /// The server does the sync: beat, acknowledgement and head in one.
    Serve,
    /// The gateway gets the answer.
    Receive,
    /// The gateway gives the sync up.
    GiveUp,
    /// A sync that was given up arrives.
    ArriveLate,
    /// It loads the table of a server.
    Load(u8),
    /// It receives the change from a server's stream.
    Fetch(u8),
    /// It applies the change and cuts what it revoked.
    Apply,
}

/// All steps.
pub(crate) const STEPS: [Step; 13] = [
    Step::Start,
    Step::Crash,
    Step::Send(0),
    Step::Send(1),
    Step::Serve,
    Step::Receive,
    Step::GiveUp,
    Step::ArriveLate,
    Step::Load(0),
    Step::Load(1),
    Step::Fetch(0),
    Step::Fetch(1),
    Step::Apply,
];

/// Takes a step of gateway `index`; `None` where it cannot.
pub(crate) fn take(model: &Model, fleet: &mut Fleet, index: usize, step: Step) -> Option<()> {
    if fleet.gateways[index].up == matches!(step, Step::Start) && step != Step::ArriveLate {
        return None;
    }
    match step {
        Step::Start => start(&mut fleet.gateways[index]),
        Step::Crash => crash(fleet, index),
        Step::Send(server) => send(model, fleet, index, server),
        Step::Serve => serve(model, fleet, index),
        Step::Receive => receive(model, &mut fleet.gateways[index]),
        Step::GiveUp => give_up(fleet, index),
        Step::ArriveLate => arrive_late(model, fleet, index),
        Step::Load(server) => load(model, fleet, index, server),
        Step::Fetch(server) => fetch(fleet, index, server),
        Step::Apply => apply(model, &mut fleet.gateways[index]),
    }
}

fn start(gateway: &mut Gateway) -> Option<()> {
    (gateway.life < LIVES).then_some(())?;
    gateway.up = true;
    Some(())
}

/// Nothing of this life is left but what is under way in the network.
fn crash(fleet: &mut Fleet, index: usize) -> Option<()> {
    fleet.faults.crashes = fleet.faults.crashes.checked_sub(1)?;
    let was = fleet.gateways[index];
    let late = was.late.or(was.sync.filter(|sync| sync.answer.is_none()).map(|sync| sync.beat));
    let late = late.filter(|_| fleet.faults.late_beats > 0);
    fleet.gateways[index] = Gateway { life: was.life + 1, late, skips: was.skips, ..Gateway::default() };
    Some(())
}

fn send(model: &Model, fleet: &mut Fleet, index: usize, server: u8) -> Option<()> {
    let answers = fleet.answers(server);
    let gateway = &mut fleet.gateways[index];
    (answers && gateway.sync.is_none()).then_some(())?;
    let received = model.broken(Mutant::AcknowledgesBeforeApplying) && gateway.received;
    let mut applied = gateway.table.unwrap_or_default();
    applied.seq = applied.seq.max(u8::from(received));
    let beat = Beat {
        id: u8::try_from(index).ok()? * LIVES + gateway.life,
        server,
        loading: gateway.table.is_none(),
        applied,
        epoch: gateway.epoch_seen,
    };
    gateway.sync = Some(Sync { beat, answer: None, left: GOES_ON });
    Some(())
}

/// Registers a beat. One that came before a later one never gets here, unless late beats count.
fn register(model: &Model, fleet: &mut Fleet, beat: Beat) {
    let contents = &mut fleet.servers[usize::from(beat.server)].contents;
    let entry = &mut contents.registry[usize::from(beat.id)];
    *entry = Some(Entry {
        loading: beat.loading,
        applied: beat.applied,
        unseen: model.signs,
        remembered: entry.is_some_and(|entry| entry.remembered),
        epoch: beat.epoch,
    });
}

fn serve(model: &Model, fleet: &mut Fleet, index: usize) -> Option<()> {
    let mut sync = fleet.gateways[index].sync.filter(|sync| sync.answer.is_none())?;
    fleet.answers(sync.beat.server).then_some(())?;
    register(model, fleet, sync.beat);
    let contents = &fleet.servers[usize::from(sync.beat.server)].contents;
    let remembered = contents.registry[usize::from(sync.beat.id)].is_some_and(|entry| entry.remembered);
    sync.answer = Some((contents.head, remembered));
    let gateway_sync = Some(sync).filter(|_| vouched(model, fleet, sync.beat.server));
    let gateway = &mut fleet.gateways[index];
    gateway.sync = gateway_sync;
    let outdone = gateway.late.is_some_and(|late| late.server == sync.beat.server && late.id == sync.beat.id);
    if outdone && !model.broken(Mutant::LateBeatsCount) {
        gateway.late = None;
    }
    Some(())
}

fn receive(model: &Model, gateway: &mut Gateway) -> Option<()> {
    let (head, _) = gateway.sync?.answer?;
    let before = *gateway;
    if head.epoch < gateway.epoch_seen && !model.broken(Mutant::GoesBackToEarlierEpoch) {
        gateway.sync = None;
        return Some(());
    }
    gateway.epoch_seen = gateway.epoch_seen.max(head.epoch);
    extend_trust(model, gateway);
    (*gateway != before).then_some(())
}

/// Trust begins anew where the head of an answered sync is applied.
fn extend_trust(model: &Model, gateway: &mut Gateway) {
    let (Some(sync), Some(table)) = (gateway.sync, gateway.table) else { return };
    let Some((head, remembered)) = sync.answer else { return };
    if head.epoch != table.epoch || head.seq > table.seq {
        return;
    }
    if remembered || model.broken(Mutant::ServesUnremembered) {
        let left = if model.broken(Mutant::TrustFromAnswer) { GOES_ON } else { sync.left };
        gateway.trust = gateway.trust.max(left);
    }
    gateway.sync = None;
}

fn give_up(fleet: &mut Fleet, index: usize) -> Option<()> {
    let gateway = &mut fleet.gateways[index];
    let sync = gateway.sync.take()?;
    if sync.answer.is_none() && fleet.faults.late_beats > 0 && gateway.late.is_none() {
        fleet.faults.late_beats -= 1;
        gateway.late = Some(sync.beat);
    }
    Some(())
}

fn arrive_late(model: &Model, fleet: &mut Fleet, index: usize) -> Option<()> {
    let beat = fleet.gateways[index].late.take()?;
    fleet.answers(beat.server).then_some(())?;
    register(model, fleet, beat);
    Some(())
}

fn load(model: &Model, fleet: &mut Fleet, index: usize, server: u8) -> Option<()> {
    (fleet.answers(server) && vouched(model, fleet, server)).then_some(())?;
    let head = fleet.servers[usize::from(server)].contents.head;
    let gateway = &mut fleet.gateways[index];
    let first = gateway.table.is_none();
    let unregistered = first && model.broken(Mutant::RegistersAfterLoading);
    let wanted = match gateway.table {
        None => gateway.epoch_seen > 0 || unregistered,
        Some(table) if model.broken(Mutant::GoesBackToEarlierEpoch) => head.epoch != table.epoch,
        Some(table) => gateway.epoch_seen > table.epoch,
    };
    let early = head.epoch < gateway.epoch_seen && !model.broken(Mutant::GoesBackToEarlierEpoch);
    (wanted && !early).then_some(())?;
    gateway.table = Some(head);
    gateway.received = false;
    gateway.epoch_seen = head.epoch;
    if unregistered {
        gateway.trust = GOES_ON;
    }
    if !(first && model.broken(Mutant::TrustsSyncBeforeLoad)) {
        gateway.sync = None;
    }
    extend_trust(model, gateway);
    Some(())
}

/// An entry of the stream is true wherever it is read, so that nobody need vouch for it.
fn fetch(fleet: &mut Fleet, index: usize, server: u8) -> Option<()> {
    let head = fleet.servers[usize::from(server)].contents.head;
    let fetched = fleet.answers(server) && head.seq == 1;
    let gateway = &mut fleet.gateways[index];
    let wanted = gateway.table.is_some_and(|table| table.seq == 0 && table.epoch == head.epoch);
    (fetched && wanted && !gateway.received).then_some(())?;
    gateway.received = true;
    Some(())
}

fn apply(model: &Model, gateway: &mut Gateway) -> Option<()> {
    gateway.received.then_some(())?;
    gateway.received = false;
    if let Some(table) = &mut gateway.table {
        table.seq = 1;
    }
    extend_trust(model, gateway);
    Some(())
}
