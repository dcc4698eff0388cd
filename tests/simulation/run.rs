//! One run: a fleet from a seed, step by step, looked at after each.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystile::domain::clock::{Clock, UnixMillis};
use keystile::keytable::Standing;
use turmoil::Sim;

use super::book::{Act, id};
use super::chance::Chance;
use super::contents::Belief;
use super::faults::{self, Ending, Fault};
use super::hosts::{self, Rules, Seat, Stage};
use super::hub::View;
use super::server::Server;
use super::trace::Trace;
use super::truth::Sql;

/// Keys that there are at first.
const KEYS: usize = 10;
const TICK: Duration = Duration::from_millis(1);
const SERVERS: &[&str] = &["redis-0", "redis-1"];
const CONSOLES: &[&str] = &["console-0", "console-1"];
const GATEWAYS: &[&str] = &["gateway-0", "gateway-1", "gateway-2"];
/// How long the fleet has to come up.
const START_MAX: Duration = Duration::from_secs(6);
/// How long things go wrong.
const FAULTS: Duration = Duration::from_secs(12);
/// After the last fault: how long until all gateways are in step and every revocation is complete.
const CALM_MAX: Duration = Duration::from_secs(15);
/// Clocks run at rates that are apart by less than a twentieth, in millionths.
const RATES: std::ops::Range<u64> = 976_000..1_024_000;

/// A fault in the program that the simulation has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plant {
    /// Servers vouch for whatever they hold.
    CredulousHub,
    /// Servers vouch for what they held before another one took over for a while.
    StampsWithoutHistory,
    /// Gateways acknowledge what they have heard of and not applied.
    HastyGateways,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) hash: u64,
    pub(crate) events: u64,
    pub(crate) revoked: usize,
    pub(crate) epochs: u64,
    /// How long after the last fault all was well.
    pub(crate) calm: Duration,
}

/// See the module.
pub(crate) struct Run<'a> {
    pub(crate) sim: Sim<'a>,
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    pub(crate) stage: Stage,
    pub(crate) servers: Vec<Server>,
    /// Which server is the primary.
    pub(crate) primary: usize,
    pub(crate) is_failing_over: bool,
    /// Consoles, then gateways.
    pub(crate) seats: Vec<Seat>,
    pub(crate) consoles: usize,
    /// How fast each seat's clock goes, in millionths.
    rates: Vec<u64>,
    pub(crate) latency: Duration,
    /// How long it is at most from one fault to the next.
    pub(crate) respite_ms: u64,
    /// After which step of publishing the publisher dies.
    pub(crate) trap: Option<u64>,
    pub(crate) due: BTreeMap<(u64, u64), Ending>,
    pub(crate) endings: u64,
    pub(crate) ids: u64,
}

impl Run<'_> {
    fn new(seed: u64, plant: Option<Plant>) -> Run<'static> {
        let mut chance = Chance::new(seed);
        let trace = Trace::default();
        let latency = Duration::from_millis([2, 5, 20][chance.within(0..3) as usize]);
        let mut sim = network(chance.next(), latency);
        let rules = Rules {
            trust: Duration::from_millis(600),
            serve_for: Duration::from_millis(800 * chance.within(0..2)),
            overlap: Duration::from_millis(1_000),
            gateways_are_hasty: plant == Some(Plant::HastyGateways),
        };
        let stage = Stage {
            rules,
            trace: trace.clone(),
            sql: Sql::new(id(4, 1)),
            book: Arc::default(),
            attempts: Arc::default(),
            haste_ms: [50, 400][chance.within(0..2) as usize],
            published: Arc::default(),
            is_calm: Arc::default(),
        };
        let belief = match plant {
            Some(Plant::CredulousHub) => Belief::Any,
            Some(Plant::StampsWithoutHistory) => Belief::SameProcess,
            Some(Plant::HastyGateways) | None => Belief::Sound,
        };
        let servers: Vec<Server> = (1..)
            .zip(SERVERS)
            .map(|(id, name)| Server::new(name, id, belief, trace.clone(), stage.published.clone()))
            .collect();
        for server in &servers {
            let server = server.clone();
            sim.host(server.name, move || server.clone().run());
        }
        servers[1].follow(&servers[0]);
        let mut seats = Vec::new();
        let consoles = 1 + chance.within(0..CONSOLES.len() as u64) as usize;
        for name in &CONSOLES[..consoles] {
            let (seat, stage, chance) =
                (seat(name, seats.len()), stage.clone(), Arc::new(Mutex::new(chance.fork())));
            seats.push(seat.clone());
            sim.host(*name, move || hosts::console(seat.clone(), stage.clone(), Arc::clone(&chance)));
        }
        for name in &GATEWAYS[..2 + chance.within(0..2) as usize] {
            let (seat, stage) = (seat(name, seats.len()), stage.clone());
            seats.push(seat.clone());
            sim.host(*name, move || hosts::gateway(seat.clone(), stage.clone()));
        }
        let rates = seats.iter().map(|_| chance.within(RATES)).collect();
        let respite_ms = [400, 1_200, 3_000][chance.within(0..3) as usize];
        let (due, ids) = (BTreeMap::new(), SERVERS.len() as u64);
        Run {
            sim,
            chance,
            trace,
            stage,
            servers,
            primary: 0,
            is_failing_over: false,
            seats,
            consoles,
            rates,
            latency,
            respite_ms,
            trap: None,
            due,
            endings: 0,
            ids,
        }
    }

    /// Lets a millisecond pass, and looks.
    fn step(&mut self) -> Result<(), String> {
        self.trace.set_now_ms(self.trace.now_ms() + 1);
        for (seat, rate) in self.seats.iter().zip(&self.rates) {
            seat.clock.advance(Duration::from_nanos(*rate));
        }
        self.sim.step().map_err(|error| error.to_string())?;
        while let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= self.trace.now_ms()) {
            let ending = first.remove();
            self.end(ending);
        }
        self.spring_trap();
        let book = self.stage.book.lock().unwrap();
        for seat in &self.seats {
            if let Some(life) = &*seat.life.lock().unwrap() {
                book.judge(seat.name, &life.keys, &seat.clock)?;
            }
        }
        Ok(())
    }

    /// Steps until all is well: every gateway fresh and with exactly SQL's keys, and nothing pending.
    fn settle(&mut self, wait_max: Duration) -> Result<Duration, String> {
        let begun_ms = self.trace.now_ms();
        while let Some(what) = self.unwell() {
            let passed = Duration::from_millis(self.trace.now_ms() - begun_ms);
            if passed > wait_max {
                return Err(format!("{wait_max:?} after the last fault {what}"));
            }
            self.step()?;
        }
        Ok(Duration::from_millis(self.trace.now_ms() - begun_ms))
    }

    fn unwell(&self) -> Option<String> {
        let keys = self.stage.sql.keys();
        let book = self.stage.book.lock().unwrap();
        for seat in &self.seats[self.consoles..] {
            let life = seat.life.lock().unwrap();
            let Some(life) = &*life else { return Some(format!("{} is not there", seat.name)) };
            let standing = life.keys.trust().standing(&seat.clock);
            if standing != Standing::Fresh {
                return Some(format!("{} is {standing:?}", seat.name));
            }
            if life.keys.len() != keys.len() || !keys.iter().all(|key| book.is_there(&life.keys, *key)) {
                return Some(format!("{} does not have the keys that SQL has", seat.name));
            }
        }
        let pending = book.pending();
        (!pending.is_empty()).then(|| format!("changes {pending:?} are not complete"))
    }

    fn play(&mut self) -> Result<Duration, String> {
        for _ in 0..KEYS {
            let mut book = self.stage.book.lock().unwrap();
            let key = book.new_key(self.stage.sql.organization());
            let act = Act { key: key.id, is_deletion: false };
            book.committed(self.stage.sql.create(key), act);
        }
        self.stage.is_calm.store(true, Relaxed);
        self.settle(START_MAX)?;
        self.stage.is_calm.store(false, Relaxed);
        let ends_ms = self.trace.now_ms() + FAULTS.as_millis() as u64;
        while self.trace.now_ms() < ends_ms {
            for _ in 0..self.respite().as_millis() {
                self.step()?;
            }
            let fault: Fault = faults::ALL[self.chance.within(0..faults::ALL.len() as u64) as usize];
            self.strike(fault);
        }
        self.heal();
        self.stage.is_calm.store(true, Relaxed);
        self.trace.tell(format_args!("all faults have ended"));
        self.settle(CALM_MAX)
    }
}

/// A network without hosts, on which messages take up to `latency`.
fn network(seed: u64, latency: Duration) -> Sim<'static> {
    turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(3_600))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(latency)
        .tcp_capacity(4_096)
        .enable_random_order()
        .build()
}

fn seat(name: &'static str, number: usize) -> Seat {
    Seat {
        name,
        number: number as u64,
        clock: Clock::manual(UnixMillis(1_795_442_551_000)),
        view: View { servers: SERVERS, primary: Arc::default() },
        is_paused: Arc::default(),
        is_away: Arc::default(),
        lives: Arc::default(),
        life: Arc::default(),
    }
}

/// Carries out the run of a seed.
///
/// # Errors
/// What went against the promises, and what happened before.
pub(crate) fn run(seed: u64, plant: Option<Plant>) -> Result<Outcome, String> {
    let mut run = Run::new(seed, plant);
    let played = run.play();
    let Run { trace, stage, .. } = &run;
    match played {
        Ok(calm) => Ok(Outcome {
            hash: trace.hash(),
            events: trace.events(),
            revoked: stage.book.lock().unwrap().revoked(),
            epochs: stage.sql.epoch(),
            calm,
        }),
        Err(what) => Err(format!("seed {seed}: {what}\n{}", trace.text())),
    }
}
