//! The servers of the hub: processes that come and go, contents that are lost or lag behind, and the network's end of it.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use turmoil::net::{TcpListener, TcpStream};

use super::contents::{Belief, Contents, Reader, Stamp};
use super::trace::Trace;
use super::wire::{self, Answer, Request};

pub(crate) const PORT: u16 = 6379;
/// Writes that a replica may lack.
pub(crate) const LAG_MAX: usize = 40;

/// A server. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    process: Arc<Mutex<Process>>,
    trace: Trace,
    moved: Arc<Notify>,
    published: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Process {
    stamp: Stamp,
    contents: Contents,
    /// What the contents were before the last writes, the oldest first.
    past: VecDeque<Contents>,
    takes_writes: bool,
    belief: Belief,
}

impl Server {
    /// A server whose first process and history have the number `id`. It vouches for what `belief` says.
    /// `published` counts the steps of publishing that are asked for.
    pub(crate) fn new(
        name: &'static str,
        id: u64,
        belief: Belief,
        trace: Trace,
        published: Arc<AtomicU64>,
    ) -> Server {
        let stamp = Stamp { run: id, history: id };
        let (contents, past) = (Contents::default(), VecDeque::new());
        let process = Process { stamp, contents, past, takes_writes: true, belief };
        Server { name, process: Arc::new(Mutex::new(process)), trace, moved: Arc::default(), published }
    }

    /// Loses all contents; the process goes on.
    pub(crate) fn flush(&self) {
        self.change(|process| {
            process.contents = Contents::default();
            process.past.clear();
        });
    }

    /// Starts again as process `id`: empty, or with contents that lack the last `lost` writes.
    pub(crate) fn restart(&self, id: u64, lost: Option<usize>) {
        self.change(|process| {
            process.contents = lost.map_or_else(Contents::default, |lost| process.before(lost));
            process.past.clear();
            process.stamp = Stamp { run: id, history: id };
        });
    }

    /// Makes `other`, which has followed this one and lacks its last `lost` writes, a primary with a history of its own.
    pub(crate) fn fail_over(&self, other: &Server, history: u64, lost: usize) {
        let contents = self.process.lock().unwrap().before(lost);
        other.change(|process| {
            process.contents = contents;
            process.past.clear();
            process.stamp.history = history;
            process.takes_writes = true;
        });
    }

    /// Takes no writes from now on.
    pub(crate) fn close(&self) {
        self.change(|process| process.takes_writes = false);
    }

    /// Follows `primary`: its contents and history, and no writes.
    pub(crate) fn follow(&self, primary: &Server) {
        let (contents, history) = {
            let process = primary.process.lock().unwrap();
            (process.contents.clone(), process.stamp.history)
        };
        self.change(|process| {
            process.contents = contents;
            process.past.clear();
            process.stamp.history = history;
            process.takes_writes = false;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Process)) {
        change(&mut self.process.lock().unwrap());
        self.moved.notify_waiters();
    }

    /// What the process does on its host.
    pub(crate) async fn run(self) -> turmoil::Result {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::task::spawn_local(self.clone().serve(stream));
        }
    }

    async fn serve(self, mut stream: TcpStream) {
        // A connection that ends, in whatever way, is its client's concern.
        while let Ok(request) = wire::read(&mut stream).await {
            let answer = self.answer(request).await;
            if wire::write(&mut stream, &answer).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, request: Request) -> Answer {
        let Request::Changes { after, wait_ms } = request else { return self.carry_out(request) };
        let deadline = tokio::time::Instant::now() + Duration::from_millis(wait_ms);
        loop {
            let moved = self.moved.notified();
            let answer = self.carry_out(Request::Changes { after, wait_ms });
            let is_empty = matches!(&answer, Answer::Changes(entries) if entries.is_empty());
            if !is_empty || tokio::time::timeout_at(deadline, moved).await.is_err() {
                return answer;
            }
        }
    }

    fn carry_out(&self, request: Request) -> Answer {
        let mut process = self.process.lock().unwrap();
        let is_write = is_write(&request);
        if is_write && !process.takes_writes {
            return Answer::Refused("READONLY".into());
        }
        let reader = Reader { me: process.stamp, belief: process.belief, now_ms: self.trace.now_ms() };
        if is_write {
            let before = process.contents.clone();
            process.past.push_back(before);
            if process.past.len() > LAG_MAX {
                process.past.pop_front();
            }
        }
        let asked = format!("{request:?}");
        if is_step_of_publishing(&request) {
            self.published.fetch_add(1, Ordering::Relaxed);
        }
        let moves = matches!(request, Request::Append { .. });
        let answer = process.contents.carry_out(request, reader);
        self.trace.hum(format_args!("{} {asked} → {answer:?}", self.name));
        drop(process);
        if moves {
            self.moved.notify_waiters();
        }
        answer
    }
}

impl Process {
    fn before(&self, writes: usize) -> Contents {
        let at = self.past.len().saturating_sub(writes);
        self.past.get(at).unwrap_or(&self.contents).clone()
    }
}

fn is_write(request: &Request) -> bool {
    match request {
        Request::Changes { .. }
        | Request::Table { .. }
        | Request::State
        | Request::StateOfKeys { .. }
        | Request::At(_)
        | Request::Registry => false,
        Request::Sync { .. }
        | Request::Leave { .. }
        | Request::Expel { .. }
        | Request::Mark { .. }
        | Request::Begin(_)
        | Request::BeginKeys(_)
        | Request::Fill { .. }
        | Request::OpenKeys { .. }
        | Request::Open { .. }
        | Request::Apply { .. }
        | Request::Append { .. }
        | Request::OpenLedger(_) => true,
    }
}

fn is_step_of_publishing(request: &Request) -> bool {
    matches!(
        request,
        Request::Begin(_)
            | Request::BeginKeys(_)
            | Request::Fill { .. }
            | Request::OpenKeys { .. }
            | Request::Open { .. }
            | Request::At(_)
            | Request::Apply { .. }
            | Request::Append { .. }
    )
}
