//! A fleet on loopback: consoles and gateways as real processes around one Redis, each through a link of its own.
//!
//! Promises that every process ends with the fleet, by its pid, stopped ones too, and that a gateway which was started
//! again is found at its new address. Never waits for time to pass: for what a process says, or answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::client::{Client, Request, Response};
use super::fault_proxy::FaultProxy;
use super::gateway::Gateway;
use super::history::{History, Log};
use super::management::{Key, Management};
use super::settings::Settings;
use super::upstream::{Exchange, Next, Upstream};
use super::{eventually, scene};

/// What a fleet is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    hub: HubAt,
    consoles: usize,
    gateways: usize,
    trust: String,
    on_redis_loss: String,
    fleet_lines: Vec<String>,
    database: Option<(String, Vec<String>)>,
    keys_per_organization: u32,
    role: &'static str,
}

/// Where Redis is.
#[derive(Debug, Clone)]
enum HubAt {
    /// One server; every process reaches it through its own link.
    Linked(SocketAddr),
    /// Whatever the address says; processes reach it directly, as they learn of servers by themselves.
    Direct(String),
}

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
    /// Two gateways and a console around one server, with a trust that suits tests.
    pub(crate) fn around(server: SocketAddr) -> Plan {
        Plan::new(HubAt::Linked(server))
    }

    /// The same around what `url` names: Sentinels, a cluster, a server with TLS.
    pub(crate) fn at(url: &str) -> Plan {
        Plan::new(HubAt::Direct(url.to_owned()))
    }

    fn new(hub: HubAt) -> Plan {
        Plan {
            hub,
            consoles: 1,
            gateways: 2,
            trust: String::from("1s"),
            on_redis_loss: String::from("{ serve_for: 10m }"),
            fleet_lines: Vec::new(),
            database: None,
            keys_per_organization: 1000,
            role: "gateway",
        }
    }

    pub(crate) fn gateways(mut self, count: usize) -> Plan {
        self.gateways = count;
        self
    }

    pub(crate) fn consoles(mut self, count: usize) -> Plan {
        self.consoles = count;
        self
    }

    pub(crate) fn trust(mut self, trust: &str) -> Plan {
        trust.clone_into(&mut self.trust);
        self
    }

    /// `on_redis_loss: refuse`.
    pub(crate) fn refuse(mut self) -> Plan {
        self.on_redis_loss = String::from("refuse");
        self
    }

    /// `on_redis_loss: { serve_for: … }`.
    pub(crate) fn serve_for(mut self, duration: &str) -> Plan {
        self.on_redis_loss = format!("{{ serve_for: {duration} }}");
        self
    }

    /// Another line of `fleet`, such as `password: secret`.
    pub(crate) fn line(mut self, line: &str) -> Plan {
        self.fleet_lines.push(line.to_owned());
        self
    }

    /// A database that consoles share, and further lines that go with it, such as its password.
    pub(crate) fn database(mut self, url: &str, lines: &[String]) -> Plan {
        self.database = Some((url.to_owned(), lines.to_vec()));
        self
    }

    pub(crate) fn keys_per_organization(mut self, cap: u32) -> Plan {
        self.keys_per_organization = cap;
        self
    }

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

    /// The settings of one process, which reaches Redis at `redis` or wherever the plan says.
    fn settings(&self, settings: &mut Settings, name: &str, link: Option<&FaultProxy>, upstream: &Upstream) {
        let redis = match (&self.hub, link) {
            (HubAt::Linked(_), Some(link)) => format!("redis://{}", link.address()),
            (HubAt::Linked(server), None) => format!("redis://{server}"),
            (HubAt::Direct(url), _) => url.clone(),
        };
        settings.upstream("echo", &[upstream.url()], "").route(scene::AGENTS_ROUTE);
        settings.keys_per_organization(self.keys_per_organization).gateway("workers: 1");
        let (trust, on_redis_loss) = (&self.trust, &self.on_redis_loss);
        let mut lines = vec![
            format!("redis: {redis}"),
            format!("name: {name}"),
            format!("trust: {trust}"),
            format!("on_redis_loss: {on_redis_loss}"),
        ];
        lines.extend(self.fleet_lines.iter().cloned());
        settings.section(&format!("fleet:\n  {}", lines.join("\n  ")));
        if let Some((url, more)) = self.database.as_ref().filter(|_| name.starts_with("console")) {
            settings.database(url);
            more.iter().for_each(|line| {
                settings.section(line);
            });
        }
    }

    fn link(&self) -> Option<FaultProxy> {
        match self.hub {
            HubAt::Linked(server) => Some(FaultProxy::to(server)),
            HubAt::Direct(_) => None,
        }
    }
}

impl Fleet {
    /// Starts another console; gives its number.
    pub(crate) fn add_console(&mut self) -> usize {
        let number = self.consoles.len();
        let member = self.member("console", format!("console-{number}"));
        self.consoles.push(member);
        number
    }

    /// Starts another gateway, waits until it is ready, and gives its number.
    pub(crate) fn add_gateway(&mut self) -> usize {
        let number = self.gateways.len();
        let member = self.member(self.plan.role, format!("gateway-{number}"));
        eventually("a gateway becomes ready", || member.is_ready());
        self.book.lock().unwrap().push(Some(member.process.address()));
        self.gateways.push(member);
        number
    }

    fn member(&self, role: &'static str, name: String) -> Member {
        let link = self.plan.link();
        let mut process = Gateway::prepare_as(role, |settings| {
            self.plan.settings(settings, &name, link.as_ref(), &self.upstream);
        });
        process.run();
        Member { process, link }
    }

    /// The management API of the first console that runs.
    pub(crate) fn management(&mut self) -> Management {
        let console = self.consoles.iter_mut().find(|console| console.process.is_running());
        console.expect("a console runs").process.management()
    }

    /// A key of `acme`, once every gateway that runs and is not cut off opens for it. Asks the gateways without
    /// counting for the history.
    pub(crate) fn key(&mut self, more: Value) -> Key {
        let key = self.new_key(more);
        for gateway in self.running() {
            eventually("a created key opens every gateway", || self.status(gateway, &key) != 401);
        }
        key
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

    /// One GET with the key, on a path that reaches no agent: 403 or 404 where the key is good, and nothing is charged.
    fn status(&self, gateway: usize, key: &Key) -> u16 {
        self.gateways[gateway].process.exchange(&Request::get("/nowhere").key(&key.secret)).status
    }

    /// What one gateway answers to a key's request that reaches the upstream.
    pub(crate) fn ask(&self, gateway: usize, key: &Key) -> u16 {
        self.gateways[gateway].process.exchange(&Request::get("/agents/echo/x").key(&key.secret)).status
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

    /// Waits until so many gateways serve from a table that they trust.
    pub(crate) fn until_trusted(&self) {
        for number in self.running() {
            let process = &self.gateways[number].process;
            eventually("a gateway trusts its table again", || {
                process.metric("keystile_fleet_trusted_ratio", &[]) == 1.0
            });
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
