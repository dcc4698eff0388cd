//! Clients of a fleet: each on a thread of its own, asking one gateway with one key, and writing down what it sees.
//!
//! Promises that every request that was sent is in the log, answered or not. A client whose gateway is gone comes back
//! once it is there again; none retries a request.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::client::{Client, Request, Response, status_of};
use super::eventually;
use super::fleet::{Book, Fleet};
use super::history::{Attempt, Log, target_of};
use super::management::Key;
use super::wire::Wire;

/// The pace of a client that is there to notice, not to load.
pub(crate) const CALM: Duration = Duration::from_millis(5);

/// As fast as answers come.
pub(crate) const EAGER: Duration = Duration::ZERO;

/// Clients that run until they are told to stop.
pub(crate) struct Traffic {
    stopped: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Nobody yet.
    pub(crate) fn new() -> Traffic {
        Traffic { stopped: Arc::default(), clients: Vec::new() }
    }

    /// One client at every gateway, with this pause between requests.
    pub(crate) fn everywhere(fleet: &Fleet, key: &Key, pause: Duration) -> Traffic {
        let mut traffic = Traffic::new();
        for gateway in 0..fleet.gateways.len() {
            traffic.client(fleet, gateway, key, pause);
        }
        traffic
    }

    /// Another client.
    pub(crate) fn client(&mut self, fleet: &Fleet, gateway: usize, key: &Key, pause: Duration) {
        let place = Place { book: Arc::clone(&fleet.book), gateway };
        let (log, key, stopped) = (fleet.log.clone(), key.clone(), Arc::clone(&self.stopped));
        self.clients.push(std::thread::spawn(move || {
            let mut connection = None;
            while !stopped.load(Ordering::SeqCst) {
                connection = connection.or_else(|| place.connect());
                let answer = connection.as_mut().and_then(|client| exchange(client, &log, gateway, &key));
                connection = connection.filter(|_| answer.as_ref().is_some_and(goes_on));
                // Not synchronisation: the pace of a client.
                std::thread::sleep(if connection.is_some() { pause } else { pause.max(CALM) });
            }
        }));
    }

    /// Lets each client end its request, and waits for all of them.
    pub(crate) fn stop(self) {
        self.stopped.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().expect("a client does not break");
        }
    }
}

/// A gateway by its number, wherever it listens now.
struct Place {
    book: Book,
    gateway: usize,
}

impl Place {
    /// `None` where it does not run or takes no connection.
    fn connect(&self) -> Option<Client> {
        let address = self.book.lock().unwrap()[self.gateway]?;
        Some(Client { wire: Wire::new(TcpStream::connect(address).ok()?) })
    }
}

/// One request, which goes down in the log; nothing where no whole answer came.
pub(crate) fn exchange(client: &mut Client, log: &Log, gateway: usize, key: &Key) -> Option<Response> {
    let number = log.number();
    let request = Request::get(&target_of(number)).key(&key.secret).bytes();
    let sent = log.at();
    let response = client.wire.send(&request).and_then(|()| client.try_response_to("GET")).ok();
    let answer = response.as_ref().map(|response| (response.status, log.at()));
    log.add(Attempt { number, key: key.id.clone(), gateway, sent, answer });
    response
}

/// Whether the connection of an answer can be used again.
fn goes_on(response: &Response) -> bool {
    response.field("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"))
}

/// An answer that runs: an event stream or a WebSocket.
pub(crate) struct Running {
    ended: JoinHandle<Vec<u8>>,
}

impl Running {
    /// An event stream that the upstream never ends; the status where it was not let in.
    pub(crate) fn stream(fleet: &Fleet, gateway: usize, key: &Key) -> Result<Running, u16> {
        Running::begin(fleet, gateway, key, Request::get("/agents/echo/stream"), 200)
    }

    /// A WebSocket whose upstream sends back what it gets.
    pub(crate) fn socket(fleet: &Fleet, gateway: usize, key: &Key) -> Result<Running, u16> {
        let handshake = Request::get("/agents/echo/socket")
            .field("connection", "keep-alive, Upgrade")
            .field("upgrade", "websocket")
            .field("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .field("sec-websocket-version", "13");
        Running::begin(fleet, gateway, key, handshake, 101)
    }

    /// Tries again where it is 503, as a client does: a fleet that has just begun may not be able to say yet how much of a
    /// limit is left.
    fn begin(fleet: &Fleet, gateway: usize, key: &Key, request: Request, good: u16) -> Result<Running, u16> {
        let bytes = request.key(&key.secret).bytes();
        let mut answer = Err(503);
        eventually("a gateway can decide", || {
            answer = Running::attempt(fleet, gateway, key, &bytes, good);
            !matches!(answer, Err(503))
        });
        answer
    }

    fn attempt(fleet: &Fleet, gateway: usize, key: &Key, bytes: &[u8], good: u16) -> Result<Running, u16> {
        let mut client = fleet.gateways[gateway].process.connect();
        client.send(bytes);
        let status = status_of(&client.head());
        if status != good {
            return Err(status);
        }
        let log = fleet.log.clone();
        let run = log.run_began(key, gateway);
        let ended = std::thread::spawn(move || {
            let last = until_end(&mut client);
            log.run_ended(run);
            last
        });
        Ok(Running { ended })
    }

    /// What came before it ended. The watchdog bounds how long it may run: then the history shows that it ran on.
    pub(crate) fn last_words(self) -> Vec<u8> {
        self.ended.join().expect("a client does not break")
    }
}

/// Reads until the connection is closed, reset, or silent for the watchdog's time.
fn until_end(client: &mut Client) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match client.wire.some() {
            Ok(bytes) if bytes.is_empty() => return all,
            Ok(bytes) => all.extend(bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return all,
        }
    }
}
