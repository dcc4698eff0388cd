//! Load at a given pace: requests are due at fixed instants, whether earlier ones are answered or not.
//!
//! Promises that latency is counted from when a request was due, so that a stall shows in every request that it delayed.
//! Never sends faster than asked for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use keystile::domain::clock::{Clock, Moment};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// One request: when it was due, in microseconds since the load began, what it took from then on, and how it ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) due_us: u64,
    pub(crate) took_us: u64,
    /// 0 where no whole answer came.
    pub(crate) status: u16,
}

/// Load that runs.
pub(crate) struct Load {
    clock: Clock,
    began: Moment,
    stopped: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Sample>>>,
}

impl Load {
    /// `per_second` requests over so many clients, which take gateways and keys in turn.
    pub(crate) fn begin(gateways: &[SocketAddr], secrets: &[String], per_second: u64, clients: u64) -> Load {
        let clock = Clock::system();
        let began = clock.now();
        let stopped = Arc::new(AtomicBool::new(false));
        let between_us = clients * 1_000_000 / per_second;
        let clients = (0..clients).map(|number| {
            let client = Client {
                gateway: gateways[number as usize % gateways.len()],
                requests: secrets.iter().map(|secret| request(secret)).collect(),
                connection: None,
            };
            let pace =
                Pace { clock: clock.clone(), began, next_us: number * between_us / clients, between_us };
            let stopped = Arc::clone(&stopped);
            std::thread::spawn(move || run(client, pace, number as usize, &stopped))
        });
        let clients = clients.collect();
        Load { clock, began, stopped, clients }
    }

    /// Microseconds since it began.
    pub(crate) fn now_us(&self) -> u64 {
        self.clock.now().nanos_since(self.began) / 1000
    }

    /// Ends it and gives what was seen.
    pub(crate) fn end(self) -> Vec<Sample> {
        self.stopped.store(true, Ordering::SeqCst);
        self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

struct Pace {
    clock: Clock,
    began: Moment,
    next_us: u64,
    between_us: u64,
}

impl Pace {
    fn now_us(&self) -> u64 {
        self.clock.now().nanos_since(self.began) / 1000
    }

    /// Waits until the next request is due; gives that instant.
    fn wait(&mut self) -> u64 {
        let due = self.next_us;
        self.next_us += self.between_us;
        std::thread::sleep(Duration::from_micros(due.saturating_sub(self.now_us())));
        due
    }
}

struct Client {
    gateway: SocketAddr,
    requests: Vec<Vec<u8>>,
    connection: Option<TcpStream>,
}

fn request(secret: &str) -> Vec<u8> {
    format!("GET /agents/echo/x HTTP/1.1\r\nhost: bench.test\r\nx-api-key: {secret}\r\n\r\n").into_bytes()
}

fn run(mut client: Client, mut pace: Pace, first: usize, stopped: &AtomicBool) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut at = first;
    while !stopped.load(Ordering::SeqCst) {
        let due_us = pace.wait();
        let status = client.ask(at).unwrap_or(0);
        samples.push(Sample { due_us, took_us: pace.now_us() - due_us, status });
        at += 1;
    }
    samples
}

impl Client {
    /// The status of one request. The connection is kept as long as it works.
    fn ask(&mut self, at: usize) -> std::io::Result<u16> {
        let mut stream = match self.connection.take() {
            Some(stream) => stream,
            None => connect(self.gateway)?,
        };
        stream.write_all(&self.requests[at % self.requests.len()])?;
        let status = read_answer(&mut stream)?;
        self.connection = Some(stream);
        Ok(status)
    }
}

/// A connection for requests one after the other.
pub(crate) fn connect(gateway: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(gateway)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    Ok(stream)
}

/// One request on a connection; gives the status.
pub(crate) fn ask(stream: &mut TcpStream, secret: &str) -> std::io::Result<u16> {
    stream.write_all(&request(secret))?;
    read_answer(stream)
}

/// Reads an answer with a content-length, which all answers of this bench have.
fn read_answer(stream: &mut TcpStream) -> std::io::Result<u16> {
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&piece[..read]);
        if let Some(status) = whole(&answer) {
            return Ok(status);
        }
    }
}

fn whole(answer: &[u8]) -> Option<u16> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).ok()?.to_ascii_lowercase();
    let length = head.split("content-length:").nth(1)?.split("\r\n").next()?.trim().parse::<usize>().ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (answer.len() >= end + length).then_some(status)
}
