//! What may go wrong in a run, drawn from its chance, and how it ends.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::run::Run;
use super::server::LAG_MAX;

/// A fault. Each ends by itself, by [`Ending`]s that come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing passes between a client and a server.
    Partition,
    /// Nothing passes in one direction.
    OneWay,
    /// What is sent arrives much later, all at once.
    Hold,
    /// Everything takes longer than calls wait.
    Slow,
    /// A process dies and starts again.
    CrashConsole,
    CrashGateway,
    /// The console that publishes dies between two steps of it.
    CrashPublisher,
    /// A gateway takes its leave and starts again.
    Leave,
    /// A process does nothing for a while and goes on.
    PauseConsole,
    PauseGateway,
    /// The hub's contents are gone.
    Flush,
    /// The hub's process starts again: empty, or without the last writes.
    Restart,
    /// A replica without the last writes takes over, and the old primary goes on for as long as it may.
    FailOver,
    /// The right to publish is gone, and who had it does not know.
    LoseLock,
    /// A console does not reach SQL.
    SqlAway,
}

/// All of them; those that make the rarest ends more often.
pub(crate) const ALL: &[Fault] = &[
    Fault::Partition,
    Fault::Partition,
    Fault::OneWay,
    Fault::Hold,
    Fault::Slow,
    Fault::CrashConsole,
    Fault::CrashPublisher,
    Fault::CrashPublisher,
    Fault::CrashGateway,
    Fault::Leave,
    Fault::PauseConsole,
    Fault::PauseGateway,
    Fault::PauseGateway,
    Fault::Flush,
    Fault::Restart,
    Fault::FailOver,
    Fault::FailOver,
    Fault::FailOver,
    Fault::LoseLock,
    Fault::SqlAway,
];

/// What ends a fault, or is a later step of it. Clients and servers by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Repair {
        client: usize,
        server: usize,
    },
    RepairOneWay {
        client: usize,
        server: usize,
        from_client: bool,
    },
    Release {
        client: usize,
        server: usize,
    },
    Fast {
        client: usize,
        server: usize,
    },
    Start {
        client: usize,
    },
    Resume {
        client: usize,
    },
    StartServer {
        server: usize,
        lost: Option<usize>,
    },
    /// From now on a client takes this server for the primary.
    Look {
        client: usize,
        server: usize,
    },
    /// An old primary has noticed that it is one.
    Close {
        server: usize,
    },
    /// It follows the new one, and all clients know that.
    Follow {
        server: usize,
        primary: usize,
    },
    SqlBack {
        client: usize,
    },
}

impl Run<'_> {
    /// Begins a fault.
    pub(crate) fn strike(&mut self, fault: Fault) {
        let client = self.chance.within(0..self.seats.len() as u64) as usize;
        let console = self.chance.within(0..self.consoles as u64) as usize;
        let gateway = self.chance.within(self.consoles as u64..self.seats.len() as u64) as usize;
        let server = self.chance.within(0..self.servers.len() as u64) as usize;
        let lasts = self.chance.within(50..3_500);
        self.trace.tell(format_args!(
            "{fault:?}: client {client} console {console} gateway {gateway} server {server}, {lasts} ms"
        ));
        match fault {
            Fault::Partition => {
                self.sim.partition(self.seats[client].name, self.servers[server].name);
                self.after(lasts, Ending::Repair { client, server });
            }
            Fault::OneWay => self.strike_one_way(client, server, lasts),
            Fault::Hold => {
                self.sim.hold(self.seats[client].name, self.servers[server].name);
                self.after(lasts, Ending::Release { client, server });
            }
            Fault::Slow => {
                let latency = self.chance.millis(50..400);
                let (one, other) = (self.seats[client].name, self.servers[server].name);
                self.sim.set_link_max_message_latency(one, other, latency);
                self.after(lasts, Ending::Fast { client, server });
            }
            Fault::CrashConsole => self.crash(console, lasts),
            Fault::CrashGateway => self.crash(gateway, lasts),
            Fault::CrashPublisher => {
                let steps = self.chance.within(1..8);
                self.trap = Some(self.stage.published.load(Relaxed) + steps);
            }
            Fault::Leave => {
                // No request is left when a gateway takes its leave.
                if let Some(life) = self.seats[gateway].life.lock().unwrap().take() {
                    life.leave.send_replace(true);
                }
                self.after(lasts.max(1_500), Ending::Start { client: gateway });
            }
            Fault::PauseConsole => self.pause(console, lasts),
            Fault::PauseGateway => self.pause(gateway, lasts),
            Fault::Flush => self.servers[self.primary].flush(),
            Fault::Restart => self.restart_server(lasts),
            Fault::FailOver => self.fail_over(),
            Fault::LoseLock => self.stage.sql.lose_lock(),
            Fault::SqlAway => {
                self.seats[console].is_away.store(true, Relaxed);
                self.after(lasts, Ending::SqlBack { client: console });
            }
        }
    }

    fn strike_one_way(&mut self, client: usize, server: usize, lasts: u64) {
        let (one, other) = (self.seats[client].name, self.servers[server].name);
        let from_client = self.chance.one_in(2);
        let (from, to) = if from_client { (one, other) } else { (other, one) };
        self.sim.partition_oneway(from, to);
        self.after(lasts, Ending::RepairOneWay { client, server, from_client });
    }

    fn crash(&mut self, client: usize, lasts: u64) {
        *self.seats[client].life.lock().unwrap() = None;
        self.sim.crash(self.seats[client].name);
        self.after(lasts, Ending::Start { client });
    }

    /// Whether the publisher has come to the step at which it is to die; if so, it does.
    pub(crate) fn spring_trap(&mut self) {
        if self.trap.is_some_and(|step| self.stage.published.load(Relaxed) >= step) {
            self.trap = None;
            if let Some(publisher) = self.stage.sql.publisher() {
                let lasts = self.chance.within(1..1_500);
                self.trace.tell(format_args!("console {publisher} dies while it publishes, {lasts} ms"));
                self.crash(publisher as usize, lasts);
            }
        }
    }

    fn pause(&mut self, client: usize, lasts: u64) {
        self.seats[client].is_paused.store(true, Relaxed);
        self.after(lasts, Ending::Resume { client });
    }

    fn restart_server(&mut self, lasts: u64) {
        if self.is_failing_over {
            return;
        }
        self.is_failing_over = true;
        let server = self.primary;
        self.sim.crash(self.servers[server].name);
        let lost = (!self.chance.one_in(3)).then(|| self.chance.within(0..LAG_MAX as u64) as usize);
        self.after(lasts.min(1_500), Ending::StartServer { server, lost });
    }

    /// The other server takes over. Clients learn of it one by one; the old primary takes writes for a while, and then
    /// goes on to answer what it is asked until it is told.
    fn fail_over(&mut self) {
        if self.is_failing_over {
            return;
        }
        self.is_failing_over = true;
        let (old, new) = (self.primary, 1 - self.primary);
        let lost = self.chance.within(0..LAG_MAX as u64) as usize;
        let history = self.next_id();
        self.servers[old].fail_over(&self.servers[new], history, lost);
        self.primary = new;
        let overlap = self.stage.rules.overlap.as_millis() as u64;
        // By the slowest clock the old primary goes on no longer than the overlap by the fastest.
        let closes = self.chance.within(0..overlap * 9 / 10);
        self.after(closes, Ending::Close { server: old });
        let follows = closes + self.chance.within(1..2_000);
        for client in 0..self.seats.len() {
            let looks = self.chance.within(0..follows);
            self.after(looks, Ending::Look { client, server: new });
        }
        self.after(follows, Ending::Follow { server: old, primary: new });
    }

    /// Carries an ending out.
    pub(crate) fn end(&mut self, ending: Ending) {
        self.trace.tell(format_args!("{ending:?}"));
        let names = |client: usize, server: usize| (self.seats[client].name, self.servers[server].name);
        match ending {
            Ending::Repair { client, server } => {
                let (one, other) = names(client, server);
                self.sim.repair(one, other);
            }
            Ending::RepairOneWay { client, server, from_client } => {
                let (one, other) = names(client, server);
                let (from, to) = if from_client { (one, other) } else { (other, one) };
                self.sim.repair_oneway(from, to);
            }
            Ending::Release { client, server } => {
                let (one, other) = names(client, server);
                self.sim.release(one, other);
            }
            Ending::Fast { client, server } => {
                let (one, other) = names(client, server);
                self.sim.set_link_max_message_latency(one, other, self.latency);
            }
            Ending::Start { client } => {
                *self.seats[client].life.lock().unwrap() = None;
                self.sim.bounce(self.seats[client].name);
            }
            Ending::Resume { client } => self.seats[client].is_paused.store(false, Relaxed),
            Ending::StartServer { server, lost } => {
                let id = self.next_id();
                self.servers[server].restart(id, lost);
                self.sim.bounce(self.servers[server].name);
                self.is_failing_over = false;
            }
            Ending::Look { client, server } => self.seats[client].view.primary.store(server, Relaxed),
            Ending::Close { server } => self.servers[server].close(),
            Ending::Follow { server, primary } => {
                self.servers[server].follow(&self.servers[primary]);
                for seat in &self.seats {
                    seat.view.primary.store(primary, Relaxed);
                }
                self.is_failing_over = false;
            }
            Ending::SqlBack { client } => self.seats[client].is_away.store(false, Relaxed),
        }
    }

    /// Ends all faults.
    pub(crate) fn heal(&mut self) {
        self.trap = None;
        while let Some((_, ending)) = self.due.pop_first() {
            self.end(ending);
        }
        for seat in &self.seats {
            for server in &self.servers {
                self.sim.repair(seat.name, server.name);
                self.sim.release(seat.name, server.name);
            }
        }
    }

    fn after(&mut self, millis: u64, ending: Ending) {
        self.endings += 1;
        self.due.insert((self.trace.now_ms() + millis, self.endings), ending);
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// How long until the next fault.
    pub(crate) fn respite(&mut self) -> Duration {
        self.chance.millis(20..self.respite_ms)
    }
}
