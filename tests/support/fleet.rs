//! A fleet on loopback: consoles and gateways as real processes around one Redis, each through a link of its own.
//!
//! Promises that every process ends with the fleet, by its pid, stopped ones too, and that a gateway which was started
//! again is found at its new address. Never waits for time to pass: for what a process says, or answers.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::client::{Client, Request, Response};
use super::fault_proxy::FaultProxy;
use super::gateway::Gateway;
use super::history::{Attempt, History, Log};
use super::judge::expect_none;
use super::management::{Key, Management};
use super::traffic::exchange;
use super::upstream::{Exchange, Next, Upstream};
use super::{eventually, unknown_key};

mod plan;

pub(crate) use plan::Plan;

/// A process of the fleet.
pub(crate) struct Member {
    pub(crate) process: Gateway,
    link: Option<FaultProxy>,
}

/// Where gateways listen now, by number; nothing for one that does not run.
pub(crate) type Book = Arc<Mutex<Vec<Option<SocketAddr>>>>;

/// The running fleet.
pub(crate) struct Fleet {
    pub(crate) log: Log,
    pub(crate) upstream: Upstream,
    pub(crate) consoles: Vec<Member>,
    pub(crate) gateways: Vec<Member>,
    pub(crate) book: Book,
    plan: Plan,
}

impl Plan {
    /// Starts it all: consoles first, then gateways, each ready; an organization `acme` with an agent `echo`.
    pub(crate) fn start(self) -> Fleet {
        let upstream = upstream();
        let mut fleet = Fleet {
            log: Log::begin(),
            consoles: Vec::new(),
            gateways: Vec::new(),
            book: Book::default(),
            plan: self.clone(),
            upstream,
        };
        for _ in 0..self.consoles {
            fleet.add_console();
        }
        let management = fleet.management();
        management.organization("acme", json!({}));
        management.agent("acme", "echo");
        for _ in 0..self.gateways {
            fleet.add_gateway();
        }
        fleet
    }
}

impl Fleet {
    /// Starts another console; gives its number.
    pub(crate) fn add_console(&mut self) -> usize {
        let number = self.consoles.len();
        let member = self.member(self.plan.console_role, format!("console-{number}"));
        self.consoles.push(member);
        number
    }

    /// Starts another gateway, waits until it is ready, and gives its number.
    pub(crate) fn add_gateway(&mut self) -> usize {
        let number = self.gateways.len();
        let member = self.member("gateway", format!("gateway-{number}"));
        eventually("a gateway becomes ready", || member.is_ready());
        self.book.lock().unwrap().push(Some(member.process.address()));
        self.gateways.push(member);
        number
    }

    /// Starts a gateway of another plan, which may not become ready; waits until it listens.
    pub(crate) fn add_listening(&mut self, plan: impl FnOnce(Plan) -> Plan) -> usize {
        let number = self.gateways.len();
        let mut member = self.prepare(&plan(self.plan.clone()), "gateway", &format!("gateway-{number}"));
        member.process.run_until_listening();
        self.book.lock().unwrap().push(Some(member.process.address()));
        self.gateways.push(member);
        number
    }

    fn member(&self, role: &'static str, name: String) -> Member {
        let mut member = self.prepare(&self.plan, role, &name);
        member.process.run();
        member
    }

    fn prepare(&self, plan: &Plan, role: &'static str, name: &str) -> Member {
        let link = plan.link();
        let process = Gateway::prepare_as(role, |settings| {
            plan.settings(settings, name, link.as_ref(), &self.upstream);
        });
        Member { process, link }
    }

    /// The management API of the first console that runs.
    pub(crate) fn management(&mut self) -> Management {
        let console = self.consoles.iter_mut().find(|console| console.process.is_running());
        console.expect("a console runs").process.management()
    }

    /// A key of `acme`, once every gateway opens for it.
    pub(crate) fn key(&mut self, more: Value) -> Key {
        let key = self.new_key(more);
        for gateway in self.running() {
            self.until_known(gateway, &key);
        }
        key
    }

    /// Waits until a gateway knows a key that was created. Asks on a path that is no route, which charges nothing: 404
    /// where the key is good. Those go down in the log, as usage tells them too.
    pub(crate) fn until_known(&self, gateway: usize, key: &Key) {
        let mut client = self.gateways[gateway].process.connect();
        eventually("a created key opens every gateway", || {
            let (number, sent) = (self.log.number(), self.log.at());
            let status = client.exchange(&Request::get("/nowhere").key(&key.secret)).status;
            let answer = Some((status, self.log.at()));
            if status == 404 {
                self.log.add(Attempt { number, key: key.id.clone(), gateway, sent, answer });
            }
            status == 404
        });
    }

    /// A key of `acme` as the console answers it.
    pub(crate) fn new_key(&mut self, more: Value) -> Key {
        self.management().key("acme", more)
    }

    /// Numbers of the gateways that run.
    pub(crate) fn running(&self) -> Vec<usize> {
        let book = self.book.lock().unwrap();
        (0..book.len()).filter(|number| book[*number].is_some()).collect()
    }

    /// What one gateway answers to a request with the key, which goes down in the log; 0 where it was cut instead.
    pub(crate) fn ask(&self, gateway: usize, key: &Key) -> u16 {
        let mut client = self.gateways[gateway].process.connect();
        exchange(&mut client, &self.log, gateway, key).map_or(0, |response| response.status)
    }

    /// Asks until a gateway answers with this status.
    pub(crate) fn until_answered(&self, gateway: usize, key: &Key, status: u16) {
        let what = format!("gateway {gateway} answers {status}");
        eventually(&what, || self.ask(gateway, key) == status);
    }

    /// Each gateway that runs refuses the key now: 401, or 503 from one that the machine kept from its beats too long.
    pub(crate) fn expect_refused(&self, key: &Key) {
        for gateway in self.running() {
            let status = self.ask(gateway, key);
            assert!([0, 401, 503].contains(&status), "gateway {gateway} answered {status}");
        }
    }

    pub(crate) fn link(&self, gateway: usize) -> &FaultProxy {
        self.gateways[gateway].link()
    }

    /// kill -9; clients see no address until it is started again.
    pub(crate) fn kill_gateway(&mut self, number: usize) {
        self.book.lock().unwrap()[number] = None;
        self.gateways[number].process.kill();
    }

    /// SIGTERM, and waits until it has left.
    pub(crate) fn dismiss_gateway(&mut self, number: usize) {
        self.book.lock().unwrap()[number] = None;
        let status = self.gateways[number].process.stop();
        assert!(status.success(), "left with {status}");
    }

    /// Starts one again that does not run.
    pub(crate) fn revive_gateway(&mut self, number: usize) {
        let member = &mut self.gateways[number];
        member.process.run();
        eventually("a gateway becomes ready", || member.is_ready());
        self.book.lock().unwrap()[number] = Some(member.process.address());
    }

    /// SIGSTOP; from the answer on its process stands still.
    pub(crate) fn freeze_gateway(&self, number: usize) {
        let process = &self.gateways[number].process;
        process.signal("STOP");
        eventually("the process stands still", || stands_still(process.pid()));
        self.log.paused(number);
    }

    /// SIGCONT.
    pub(crate) fn thaw_gateway(&self, number: usize) {
        self.log.goes_on(number);
        self.gateways[number].process.signal("CONT");
    }

    /// Waits until every gateway that runs trusts its table: then it tells a key that nobody issued 401, before that 503.
    pub(crate) fn until_trusted(&self) {
        let request = Request::get("/agents/echo/x").key(&unknown_key());
        for number in self.running() {
            let process = &self.gateways[number].process;
            eventually("a gateway trusts its table again", || process.exchange(&request).status == 401);
        }
    }

    /// Waits until usage tells of a key what its clients saw, and judges by the last that it told where that never comes.
    pub(crate) fn until_settled(&mut self, history: &History, key: &Key) {
        let management = self.management();
        let mut left = Vec::new();
        let settled = AssertUnwindSafe(|| {
            eventually("usage has settled", || {
                left = history.account_breaches(&key.id, &management.usage(key));
                left.is_empty()
            });
        });
        if std::panic::catch_unwind(settled).is_err() {
            expect_none(&left);
        }
    }

    /// The history so far, for judging.
    pub(crate) fn history(&self) -> History {
        self.log.close(&self.upstream)
    }
}

impl Member {
    pub(crate) fn link(&self) -> &FaultProxy {
        self.link.as_ref().expect("a fleet around one server")
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.process.ops("/readyz").status == 200
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Clients that still run find nobody instead of connecting to a stranger's port.
        self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill(None);
    }
}

/// Whether every thread of a process has taken a SIGSTOP.
fn stands_still(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()) == Some("T")
}

/// Sockets, streams that do not end, and plain answers, by what is asked for.
fn upstream() -> Upstream {
    Upstream::start(|exchange| {
        if exchange.request.field("upgrade").is_some() {
            return socket(exchange);
        }
        if exchange.request.word(1).contains("stream") {
            exchange.send(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
            );
            exchange.until_given_up();
            return Next::Close;
        }
        exchange.body();
        exchange.respond("200 OK", b"ok");
        Next::Request
    })
}

/// Switches to a WebSocket, then sends back all it gets until the other side ends.
fn socket(exchange: &mut Exchange<'_>) -> Next {
    exchange.send(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: yes\r\n\r\n",
    );
    loop {
        match exchange.wire.some() {
            Ok(bytes) if !bytes.is_empty() => exchange.send(bytes),
            _ => return Next::Close,
        }
    }
}
