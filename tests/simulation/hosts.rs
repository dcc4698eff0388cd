//! What runs on the hosts: a gateway's follower with its replica, and a console's publisher, register and operator.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::time::Duration;

use keystile::domain::clock::Clock;
use keystile::domain::id::GatewayId;
use keystile::domain::limit::Limits;
use keystile::fleet::{Follower, Following, Identity, Publisher, Register, Revoker, Told};
use keystile::keytable::KeyTable;
use tokio::sync::watch;

use super::book::{Act, Book, id};
use super::chance::Chance;
use super::hub::{SimHub, View};
use super::trace::Trace;
use super::truth::{SimTruth, Sql};

/// How long operators wait for a change to reach all gateways.
const DELETION_WAIT: Duration = Duration::from_millis(1_000);
const CREATION_WAIT: Duration = Duration::from_millis(300);

/// The fleet's configuration in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) trust: Duration,
    pub(crate) serve_for: Duration,
    pub(crate) overlap: Duration,
    /// A planted fault, see [`SimHub::new`].
    pub(crate) gateways_are_hasty: bool,
}

/// What all hosts of a run share.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) rules: Rules,
    pub(crate) trace: Trace,
    pub(crate) sql: Sql,
    pub(crate) book: Arc<Mutex<Book>>,
    pub(crate) attempts: Arc<AtomicU64>,
    /// How long operators wait at most between two acts.
    pub(crate) haste_ms: u64,
    /// Steps of publishing that servers were asked for.
    pub(crate) published: Arc<AtomicU64>,
    /// Operators change nothing any more, and ask on after what is not complete.
    pub(crate) is_calm: Arc<AtomicBool>,
}

/// A host that a client of the hub runs on.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) name: &'static str,
    pub(crate) number: u64,
    /// Its clock, moved on by the run at a rate of its own.
    pub(crate) clock: Clock,
    pub(crate) view: View,
    /// Does nothing while this says so, as if stopped by a signal or a snapshot of the machine.
    pub(crate) is_paused: Arc<AtomicBool>,
    /// SQL is out of reach; for consoles.
    pub(crate) is_away: Arc<AtomicBool>,
    pub(crate) lives: Arc<AtomicU64>,
    /// The gateway that lives there.
    pub(crate) life: Arc<Mutex<Option<Life>>>,
}

/// A gateway's life.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) keys: Arc<KeyTable>,
    pub(crate) leave: watch::Sender<bool>,
}

/// Carries `work` out but for the time that it is paused.
async fn pausable(is_paused: Arc<AtomicBool>, work: impl Future<Output = ()>) {
    let mut work = pin!(work);
    loop {
        let is_done = poll_fn(|context| {
            if is_paused.load(Ordering::Relaxed) {
                return Poll::Ready(false);
            }
            work.as_mut().poll(context).map(|()| true)
        });
        if is_done.await {
            return;
        }
        while is_paused.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A gateway, until it leaves.
pub(crate) async fn gateway(seat: Seat, stage: Stage) -> turmoil::Result {
    let life = seat.lives.fetch_add(1, Ordering::Relaxed) + 1;
    let keys = Arc::new(KeyTable::replica(Limits::default()));
    let hub = SimHub::new(seat.view.clone(), stage.attempts.clone(), stage.rules.gateways_are_hasty);
    let identity = Identity {
        gateway: id(1, seat.number * 1_000 + life),
        name: format!("{}/{life}", seat.name),
        version: "simulated".into(),
        address: seat.name.into(),
        trust: stage.rules.trust,
        serve_for: stage.rules.serve_for,
    };
    let following = Arc::new(OnceLock::<Following>::new());
    let told = {
        // There are no limits that hold anything: they let go at once.
        let following = Arc::clone(&following);
        move || {
            let lapses_seen = following.get().map_or(0, |following| following.view().borrow().lapses);
            Told { lapses_seen, ..Told::default() }
        }
    };
    let (follower, seen) = Follower::new(hub, Arc::clone(&keys), seat.clock.clone(), identity, told);
    following.get_or_init(|| seen);
    let (leave, leaving) = watch::channel(false);
    *seat.life.lock().unwrap() = Some(Life { keys, leave });
    pausable(seat.is_paused, follower.run(leaving)).await;
    Ok(())
}

/// A console, for ever.
pub(crate) async fn console(seat: Seat, stage: Stage, chance: Arc<Mutex<Chance>>) -> turmoil::Result {
    let (of_truth, mut of_operators) = {
        let mut chance = chance.lock().unwrap();
        (chance.fork(), [chance.fork(), chance.fork(), chance.fork()])
    };
    let [one, two, three] = &mut of_operators;
    let hub = SimHub::new(seat.view.clone(), stage.attempts.clone(), false);
    let truth = SimTruth::new(stage.sql.clone(), seat.number, Arc::clone(&seat.is_away), of_truth);
    let spread: GatewayId = id(2, seat.number);
    let (publisher, publishing) = Publisher::new(truth.clone(), hub.clone(), spread);
    let Rules { overlap, trust, .. } = stage.rules;
    let (register, lookout) = Register::new(truth, hub, seat.clock.clone(), overlap);
    let revoker = Revoker::new(lookout, publishing, seat.clock.clone(), trust, overlap);
    let (_publishes, publisher_leaving) = watch::channel(false);
    let (_registers, register_leaving) = watch::channel(false);
    let work = async {
        tokio::join!(
            publisher.run(publisher_leaving),
            register.run(register_leaving),
            operate(&seat, &stage, &revoker, one),
            operate(&seat, &stage, &revoker, two),
            operate(&seat, &stage, &revoker, three)
        );
    };
    pausable(Arc::clone(&seat.is_paused), work).await;
    Ok(())
}

/// Creates and deletes keys, and asks after what was not complete.
async fn operate(seat: &Seat, stage: &Stage, revoker: &Revoker, chance: &mut Chance) {
    loop {
        tokio::time::sleep(chance.millis(5..stage.haste_ms)).await;
        if seat.is_away.load(Ordering::Relaxed) {
            continue;
        }
        let pending = stage.book.lock().unwrap().pending();
        let is_calm = stage.is_calm.load(Ordering::Relaxed);
        let seq = if !pending.is_empty() && (is_calm || chance.one_in(3)) {
            pending[chance.within(0..pending.len() as u64) as usize]
        } else if is_calm {
            continue;
        } else if let Some(seq) = change(seat, stage, chance) {
            seq
        } else {
            continue;
        };
        let wait_max =
            if stage.book.lock().unwrap().is_deletion(seq) { DELETION_WAIT } else { CREATION_WAIT };
        let verdict = revoker.settle_within(seq, wait_max).await;
        stage.trace.tell(format_args!(
            "{}: change {seq}: complete {}, confirmed {} of {}, awaiting {:?}",
            seat.name, verdict.complete, verdict.confirmed, verdict.gateways, verdict.awaiting
        ));
        if verdict.complete {
            stage.book.lock().unwrap().completed(seq, stage.trace.now_ms());
        }
    }
}

/// Creates or deletes a key and gives the number of the change.
fn change(seat: &Seat, stage: &Stage, chance: &mut Chance) -> Option<u64> {
    let mut book = stage.book.lock().unwrap();
    let keys = stage.sql.keys();
    let (seq, act) = if keys.len() < 6 || (keys.len() < 20 && chance.one_in(3)) {
        let key = book.new_key(stage.sql.organization());
        let act = Act { key: key.id, is_deletion: false };
        (stage.sql.create(key), act)
    } else {
        let key = keys[chance.within(0..keys.len() as u64) as usize];
        (stage.sql.delete(key)?, Act { key, is_deletion: true })
    };
    book.committed(seq, act);
    let what = if act.is_deletion { "deletes" } else { "creates" };
    stage.trace.tell(format_args!("{} {what} {} as change {seq}", seat.name, act.key));
    Some(seq)
}
