//! An upstream that does to each request what the test says, well-behaved or not, and remembers what reached it.
//!
//! Promises to record a request the moment its head is there, and never to answer by itself.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::WATCHDOG;
use super::wire::{Framing, Head, Wire};

/// A listening upstream. Its threads end with their connections.
pub(crate) struct Upstream {
    address: SocketAddr,
    record: Arc<Record>,
}

/// A request that reached the upstream.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Which connection it came on, counted from 0.
    pub(crate) connection: usize,
    pub(crate) head: Head,
    /// As far as the script has read it.
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

/// What happens after a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The connection goes on with the next request.
    Request,
    /// It is closed in order.
    Close,
    /// It is reset.
    Reset,
}

#[derive(Default)]
struct Record {
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<usize>,
    changed: Condvar,
    stopped: AtomicBool,
}

/// One request in the hands of a script.
pub(crate) struct Exchange<'a> {
    pub(crate) request: Head,
    pub(crate) wire: &'a mut Wire,
    at: usize,
    body_was_read: bool,
    record: &'a Record,
}

type Script = dyn Fn(&mut Exchange<'_>) -> Next + Send + Sync;

impl Upstream {
    /// Runs `script` for each request. An error of the connection within it ends the connection.
    pub(crate) fn start(script: impl Fn(&mut Exchange<'_>) -> Next + Send + Sync + 'static) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = Upstream { address: listener.local_addr().unwrap(), record: Arc::default() };
        let (record, script) = (Arc::clone(&upstream.record), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if record.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let connection = record.count_connection();
                let (record, script) = (Arc::clone(&record), Arc::clone(&script));
                std::thread::spawn(move || serve(Wire::new(stream), connection, &record, &*script));
            }
        });
        upstream
    }

    /// Answers 200 with the body it got, or with the request line where there was none.
    pub(crate) fn echo() -> Upstream {
        Upstream::start(|exchange| {
            let body = exchange.body();
            let answer =
                if body.is_empty() { exchange.request.start_line.clone().into_bytes() } else { body };
            exchange.respond("200 OK", &answer);
            Next::Request
        })
    }

    /// Sends `bytes` to each request, whatever they are, having read its body.
    pub(crate) fn fixed(bytes: impl AsRef<[u8]>, next: Next) -> Upstream {
        let bytes = bytes.as_ref().to_vec();
        Upstream::start(move |exchange| {
            exchange.body();
            exchange.send(&bytes);
            next
        })
    }

    /// Answers each request with an event stream: what the test releases goes out at once, a chunk of its own on
    /// every stream that runs, and the bodies end in order where the test drops the release.
    pub(crate) fn event_stream() -> (Upstream, Release) {
        let release = Release::default();
        let streams = Arc::clone(&release.0);
        let upstream = Upstream::start(move |exchange| {
            let (sender, steps) = channel::<String>();
            match &mut *streams.lock().unwrap() {
                Streams::Running(senders) => senders.push(sender),
                Streams::Ended => drop(sender),
            }
            exchange.send(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
            );
            while let Ok(step) = steps.recv() {
                if exchange.wire.send(format!("{:x}\r\n{step}\r\n", step.len())).is_err() {
                    return Next::Close;
                }
            }
            exchange.send("0\r\n\r\n");
            Next::Request
        });
        (upstream, release)
    }

    /// Reads the head, then answers nothing until the gateway gives the connection up.
    pub(crate) fn hanging() -> Upstream {
        Upstream::start(|exchange| {
            exchange.until_given_up();
            Next::Close
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What reached it so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.record.seen().clone()
    }

    /// The only request that reached it.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }

    /// The last request that reached it.
    pub(crate) fn last(&self) -> Seen {
        self.seen().last().expect("a request").clone()
    }

    /// Waits until so many requests are there.
    pub(crate) fn wait_for(&self, requests: usize) -> Vec<Seen> {
        let seen = self.record.seen();
        let (seen, timeout) = self
            .record
            .changed
            .wait_timeout_while(seen, WATCHDOG, |seen| seen.len() < requests)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{} of {requests} requests reached the upstream", seen.len());
        seen.clone()
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        *self.record.connections.lock().unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.record.stopped.store(true, Ordering::SeqCst);
        // Wakes the accept, which then sees the flag.
        let _ = std::net::TcpStream::connect(self.address);
    }
}

impl Record {
    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<Seen>> {
        // A script that panicked must not hide what was seen from the test's own message.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_connection(&self) -> usize {
        let mut connections = self.connections.lock().unwrap();
        *connections += 1;
        *connections - 1
    }

    fn add(&self, connection: usize, head: Head) -> usize {
        let mut seen = self.seen();
        seen.push(Seen { connection, head, body: Vec::new(), trailers: Vec::new() });
        self.changed.notify_all();
        seen.len() - 1
    }
}

fn serve(mut wire: Wire, connection: usize, record: &Record, script: &Script) {
    while let Ok(Some(request)) = wire.head() {
        let at = record.add(connection, request.clone());
        let mut exchange = Exchange { request, wire: &mut wire, at, body_was_read: false, record };
        match script(&mut exchange) {
            Next::Request => {
                exchange.body();
            }
            Next::Close => return,
            Next::Reset => return wire.reset(),
        }
    }
}

impl Exchange<'_> {
    /// Reads the body to its end (once) and returns it; what came where it broke off.
    pub(crate) fn body(&mut self) -> Vec<u8> {
        if !self.body_was_read {
            self.body_was_read = true;
            if let Ok((body, trailers)) = self.wire.body(self.request.framing(Framing::Nothing)) {
                let mut seen = self.record.seen();
                seen[self.at].body = body;
                seen[self.at].trailers = trailers;
            }
        }
        self.record.seen()[self.at].body.clone()
    }

    /// Place of the request among all that reached the upstream, counted from 0.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Sends bytes; that the gateway has given up is not the script's concern.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.wire.send(bytes);
    }

    /// A plain answer.
    pub(crate) fn respond(&mut self, status: &str, body: &[u8]) {
        let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        if self.request.word(0) != "HEAD" {
            bytes.extend(body);
        }
        self.send(bytes);
    }

    /// Waits until the gateway closes or resets the connection.
    pub(crate) fn until_given_up(&mut self) {
        let _: io::Result<_> = self.wire.rest();
    }
}

/// The test's hand on event streams.
#[derive(Default)]
pub(crate) struct Release(Arc<Mutex<Streams>>);

enum Streams {
    Running(Vec<Sender<String>>),
    Ended,
}

impl Default for Streams {
    fn default() -> Streams {
        Streams::Running(Vec::new())
    }
}

impl Release {
    /// Sends a piece on every stream that runs.
    pub(crate) fn send(&self, piece: &str) {
        if let Streams::Running(senders) = &mut *self.0.lock().unwrap() {
            senders.retain(|sender| sender.send(piece.to_owned()).is_ok());
        }
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Streams::Ended;
    }
}

/// An address that refuses connections as long as it is held.
pub(crate) struct Refusing(socket2::Socket);

impl Refusing {
    pub(crate) fn new() -> Refusing {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
        // Bound and not listening: the port is taken, and connecting to it is refused.
        socket.bind(&any_port.into()).unwrap();
        Refusing(socket)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap().as_socket().unwrap())
    }
}
