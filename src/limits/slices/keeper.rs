//! The keeper of a fleet's gateway: demands in, exchanges with the fleet's ledger, grants out to the accounts.
//!
//! Owns the order in which asks are numbered, repeated and declared to a new lineage. Promises that an account never
//! has two asks under way, that no request waits longer than 250 ms, and that on leaving all that is not
//! spent goes back. Decides nothing that the ledger decides.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ask::{SliceAnswer, SliceAsk, SliceError, SliceLedger};
use super::holding::{Holding, Terms};
use super::lane::{self, Lane};
use super::lineage::unrecorded;
use super::standing::{FleetLines, FleetView, Seat};
use crate::domain::clock::Clock;
use crate::domain::id::KeyId;
use crate::limits::admit::{Demand, Lines, Settlement};
use crate::limits::keeper::Keeper;
use crate::limits::ledger::UsageBook;
use crate::limits::settlement;

/// Demands taken at once.
const DEMANDS_MAX: usize = 512;
/// Time between two looks at an account that is quiet, in nanoseconds.
const LOOK_NS: u64 = 5_000_000_000;
/// Longest that nothing is looked at.
const TICK: Duration = Duration::from_millis(500);

/// Asks for slices in batches, records counts, and gives back what was not spent.
#[derive(Debug)]
pub struct FleetKeeper {
    lines: Arc<Lines>,
    demands: mpsc::UnboundedReceiver<Demand>,
    settlements: mpsc::UnboundedReceiver<Settlement>,
}

impl FleetKeeper {
    pub(in crate::limits) fn new(
        lines: Arc<Lines>,
        demands: mpsc::UnboundedReceiver<Demand>,
        settlements: mpsc::UnboundedReceiver<Settlement>,
    ) -> FleetKeeper {
        FleetKeeper { lines, demands, settlements }
    }

    /// Serves the limiter until `shutdown` completes, then gives all slices back and records everything. `views` is what
    /// each sync tells of the fleet, as soon as it is known. Runs on a runtime with timers; complete `shutdown` only after
    /// the last request has ended, for later ones are refused.
    pub async fn run<S: SliceLedger, B: UsageBook>(
        self,
        ledger: Arc<S>,
        book: Arc<B>,
        clock: Clock,
        seat: Seat,
        views: watch::Receiver<FleetView>,
        shutdown: impl Future<Output = ()> + Send,
    ) {
        let FleetKeeper { lines, demands, settlements } = self;
        let desk = Keeper::desk_of(&lines, Arc::clone(&book), clock.clone());
        let (leave, leaving) = watch::channel(false);
        let told = async {
            shutdown.await;
            // Both loops hold a receiver until they end.
            let _ = leave.send(true);
        };
        let lanes = (0..ledger.lanes().max(1)).map(|_| Lane::default()).collect();
        let work = Work {
            view: *views.borrow(),
            ledger,
            book,
            clock,
            seat,
            lines,
            holdings: HashMap::new(),
            undeclared: 0,
            lapsing: 0,
            lanes,
            looks: BinaryHeap::new(),
            number: 0,
            outstanding: 0,
            flights: JoinSet::new(),
        };
        let exchanges = Box::pin(work.run(demands, views, leaving.clone()));
        tokio::join!(told, exchanges, settlement::run(&desk, settlements, leaving));
    }
}

/// An exchange that has ended.
pub(super) struct Landed {
    pub(super) lane: usize,
    pub(super) keys: Vec<KeyId>,
    pub(super) answers: Result<Vec<SliceAnswer>, SliceError>,
}

pub(super) struct Work<S, B> {
    pub(super) ledger: Arc<S>,
    pub(super) book: Arc<B>,
    pub(super) clock: Clock,
    pub(super) seat: Seat,
    pub(super) view: FleetView,
    pub(super) lines: Arc<Lines>,
    pub(super) holdings: HashMap<KeyId, Holding>,
    /// Holdings that the lineage has not been told of.
    pub(super) undeclared: usize,
    /// Holdings that have to let go of what an exchange under way brings.
    pub(super) lapsing: usize,
    pub(super) lanes: Vec<Lane>,
    /// When to look at which account; each that is held is here once.
    pub(super) looks: BinaryHeap<Reverse<(u64, KeyId)>>,
    pub(super) number: u64,
    pub(super) outstanding: u64,
    pub(super) flights: JoinSet<Landed>,
}

impl<S: SliceLedger, B: UsageBook> Work<S, B> {
    async fn run(
        mut self,
        mut demands: mpsc::UnboundedReceiver<Demand>,
        mut views: watch::Receiver<FleetView>,
        mut leaving: watch::Receiver<bool>,
    ) {
        let mut batch = Vec::with_capacity(DEMANDS_MAX);
        self.see(*views.borrow_and_update());
        let mut told = true;
        loop {
            let wake = self.wake();
            tokio::select! {
                biased;
                _ = leaving.changed() => break,
                // Whoever tells of the fleet may leave first: then what was told last stays.
                changed = views.changed(), if told => told = changed.is_ok(),
                Some(landed) = self.flights.join_next() => if let Ok(landed) = landed { self.land(landed) },
                taken = demands.recv_many(&mut batch, DEMANDS_MAX) => if taken == 0 { break },
                () = tokio::time::sleep_until(wake) => {}
            }
            self.see(*views.borrow_and_update());
            for demand in batch.drain(..) {
                self.place(demand);
            }
            self.look();
            self.start();
        }
        // From here on `admit` refuses instead of waiting; who waits now is woken by its demand being dropped.
        demands.close();
        while demands.try_recv().is_ok() {}
        self.give_back_all().await;
    }

    pub(super) fn fleet(lines: &Lines) -> &FleetLines {
        static ALONE: FleetLines = FleetLines::new();
        lines.fleet.as_ref().unwrap_or(&ALONE)
    }

    pub(super) fn terms(&self) -> Terms {
        Terms { now: self.clock.now(), seat: self.seat, view: self.view }
    }

    fn wake(&self) -> Instant {
        let now = Instant::now();
        self.lanes.iter().filter_map(|lane| lane.due(now)).min().unwrap_or(now + TICK).min(now + TICK)
    }

    fn place(&mut self, demand: Demand) {
        let terms = self.terms();
        let Demand { account, limits, done, spend } = demand;
        // Before the account is read: a request that uses up more from here on queues the account again.
        account.renewal_queued.store(false, Ordering::Relaxed);
        // A fleet has no use for a meter but to end it.
        account.meter.grant(u64::MAX - 1);
        let key = account.key();
        let looks = &mut self.looks;
        let holding = self.holdings.entry(key).or_insert_with(|| {
            looks.push(Reverse((terms.now.mono_ns + LOOK_NS, key)));
            Holding::new(account, Arc::clone(&limits), terms.view.epoch, terms.now)
        });
        // The latest limits: whoever asked with older ones asks again.
        holding.limits = limits;
        holding.grows |= spend;
        holding.waiting += u64::from(done.is_some());
        let urgent = done.is_some();
        holding.told.extend(done);
        let lane = self.ledger.lane(key);
        let away = self.lanes.get(lane).is_some_and(|lane| lane.away);
        queue(&mut self.lanes, self.ledger.as_ref(), holding, urgent);
        if away {
            // Nobody waits for a lane that is known to fail.
            holding.without(&terms);
            holding.tell();
            holding.grows = spend;
        }
    }

    /// Begins the exchanges that are due, at most one on each lane.
    pub(super) fn start(&mut self) {
        let now = Instant::now();
        let terms = self.terms();
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            if lane.due(now).is_none_or(|due| due > now) {
                continue;
            }
            let (mut keys, mut asks) = (Vec::new(), Vec::<SliceAsk>::new());
            for key in lane.take() {
                // One that is queued twice is asked for once.
                let Some(holding) = self.holdings.get_mut(&key).filter(|holding| !holding.flying) else {
                    continue;
                };
                holding.queued = false;
                self.number += 1;
                match holding.ask(&terms, self.number) {
                    Some(ask) => {
                        holding.flying = true;
                        keys.push(key);
                        asks.push(ask);
                    }
                    None => {
                        if holding.waiting > 0
                            && !(terms.view.ledger_open && holding.epoch == terms.view.epoch)
                        {
                            holding.without(&terms);
                        }
                        holding.tell();
                    }
                }
            }
            if asks.is_empty() {
                continue;
            }
            lane.flying = true;
            Self::fleet(&self.lines).exchanges.fetch_add(1, Ordering::Relaxed);
            let ledger = Arc::clone(&self.ledger);
            self.flights.spawn(async move {
                Landed { lane: at, keys, answers: lane::exchange(&*ledger, &asks).await }
            });
        }
    }

    pub(super) fn land(&mut self, landed: Landed) {
        let Landed { lane, keys, answers } = landed;
        let terms = self.terms();
        let answered = answers.is_ok();
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane::note(lane.away, answers.as_ref().err());
            lane.landed(answered, Instant::now());
        }
        let away = self.lanes.iter().filter(|lane| lane.away).count();
        Self::fleet(&self.lines).lanes_away.store(u64::try_from(away).unwrap_or(u64::MAX), Ordering::Relaxed);
        let mut answers = answers.unwrap_or_default().into_iter();
        for key in keys {
            let (Some(holding), answer) = (self.holdings.get_mut(&key), answers.next()) else { continue };
            holding.flying = false;
            let undeclared = holding.epoch != terms.view.epoch;
            let stale = holding.pending.as_ref().is_some_and(|sent| sent.ask.epoch != terms.view.epoch);
            let mut again = true;
            match answer.filter(|_| !stale).and_then(|answer| Some((holding.take_pending()?, answer))) {
                Some((sent, answer)) => again = holding.apply(&sent, &answer, &terms),
                // What was of an earlier lineage counts for nothing.
                None if stale => {}
                None => holding.without(&terms),
            }
            let lapsed = std::mem::take(&mut holding.lapsed);
            if lapsed {
                self.lapsing = self.lapsing.saturating_sub(1);
                holding.let_go();
            }
            if stale || lapsed && holding.epoch != terms.view.epoch {
                holding.redeclare(self.book.as_ref(), terms.view.epoch);
                again = true;
            }
            if undeclared && holding.epoch == terms.view.epoch {
                self.undeclared = self.undeclared.saturating_sub(1);
                again = true;
            }
            again |= lapsed;
            self.outstanding = (self.outstanding + holding.unspent()).saturating_sub(holding.outstanding);
            holding.outstanding = holding.unspent();
            let grows = holding.grows;
            if again {
                queue(&mut self.lanes, self.ledger.as_ref(), holding, true);
            }
            holding.tell();
            holding.grows = again && grows;
        }
        self.publish();
    }

    /// Looks at accounts that were not looked at for a while: gives back what is unused, and keeps what is used.
    fn look(&mut self) {
        let terms = self.terms();
        while let Some(Reverse((due_ns, key))) = self.looks.peek().copied() {
            if due_ns > terms.now.mono_ns {
                return;
            }
            self.looks.pop();
            let Some(holding) = self.holdings.get_mut(&key) else { continue };
            let busy = holding.flying || holding.queued;
            if !busy && holding.tidy(&terms) {
                queue(&mut self.lanes, self.ledger.as_ref(), holding, false);
            } else if !busy
                && holding.is_empty()
                && holding.epoch == terms.view.epoch
                && unrecorded(holding, self.book.as_ref()) == 0
            {
                self.outstanding = self.outstanding.saturating_sub(holding.outstanding);
                self.holdings.remove(&key);
                continue;
            }
            self.looks.push(Reverse((terms.now.mono_ns + LOOK_NS, key)));
        }
    }
}

pub(super) fn queue<S: SliceLedger>(lanes: &mut [Lane], ledger: &S, holding: &mut Holding, urgent: bool) {
    let key = holding.account.key();
    if (!holding.queued || urgent)
        && let Some(lane) = lanes.get_mut(ledger.lane(key))
    {
        lane.push(key, urgent, Instant::now());
        holding.queued = true;
    }
}
