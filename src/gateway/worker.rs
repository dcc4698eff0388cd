//! A worker: one thread, one runtime, its own listeners, connections and upstream pool.
//!
//! Promises that workers share nothing that they write to but the atomics of limits and the connection count. Owns the
//! tick that keeps every deadline, the cutting of revoked keys' connections, and the worker's part of leaving.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

use super::authenticate::Guard;
use super::connection;
use super::http1::watch::{Cause, TICK, Watch};
use super::record::RequestId;
use super::snapshot::{Settings, Snapshot};
use super::upstream::pool::Pool;
use crate::domain::clock::Clock;
use crate::keytable::{Cut, CutScope, KeyTable};
use crate::limits::{Limiter, PathTally};
use crate::telemetry::{AccessLogWriter, Metrics, WorkerMetrics};

/// Buffers for composed heads kept between requests.
const SPARE_OUTS_MAX: usize = 64;
/// A buffer that grew larger is not kept.
const SPARE_OUT_BYTES_MAX: usize = 64 * 1024;
/// Retries saved up, and what one request adds: one retry for each ten requests, ten at once.
const RETRY_TOKENS_MAX: u32 = 100;
const RETRY_COST: u32 = 10;
/// After leaving began, an idle connection is kept for this long: a request may be on its way.
const IDLE_GRACE: Duration = Duration::from_millis(500);
/// How long accepting pauses when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the process tells its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// No new connections; running requests end.
    Draining,
    /// Time is up: what runs is cut.
    Ended,
}

/// Settings for all workers, and how many have taken them.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) settings: Settings,
    pub(crate) taken: Semaphore,
}

impl Offer {
    pub(crate) fn new(settings: Settings) -> Arc<Offer> {
        Arc::new(Offer { settings, taken: Semaphore::new(0) })
    }
}

/// What all workers are given.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) keys: Arc<KeyTable>,
    pub(crate) limiter: Limiter,
    pub(crate) guard: Option<Arc<Guard>>,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) connections_max: usize,
}

/// One worker's own.
pub(crate) struct Worker {
    pub(crate) clock: Clock,
    pub(crate) keys: Arc<KeyTable>,
    pub(crate) limiter: Limiter,
    /// Where this worker alone counts the ways that keys' requests take.
    pub(crate) paths: PathTally,
    pub(crate) guard: Option<Arc<Guard>>,
    pub(crate) metrics: Arc<WorkerMetrics>,
    pub(crate) access_log: AccessLogWriter,
    pub(crate) pool: Pool,
    connections: Arc<AtomicUsize>,
    connections_max: usize,
    snapshot: RefCell<Rc<Snapshot>>,
    now_ms: Cell<u64>,
    request_seed: u64,
    request_count: Cell<u64>,
    http_date: RefCell<Rc<str>>,
    draining: Cell<bool>,
    watches: RefCell<Vec<Rc<Watch>>>,
    outs: RefCell<Vec<Vec<u8>>>,
    retry_tokens: Cell<u32>,
}

impl Worker {
    pub(crate) fn new(
        shared: Shared,
        snapshot: Snapshot,
        metrics: Arc<WorkerMetrics>,
        access_log: AccessLogWriter,
        request_seed: u64,
    ) -> Worker {
        let now_ms = shared.clock.mono_ns() / 1_000_000;
        Worker {
            clock: shared.clock,
            keys: shared.keys,
            paths: shared.limiter.path_tally(),
            limiter: shared.limiter,
            guard: shared.guard,
            metrics,
            access_log,
            pool: Pool::default(),
            connections: shared.connections,
            connections_max: shared.connections_max,
            snapshot: RefCell::new(Rc::new(snapshot)),
            now_ms: Cell::new(now_ms),
            request_seed,
            request_count: Cell::new(0),
            http_date: RefCell::new(Rc::from("")),
            draining: Cell::new(false),
            watches: RefCell::new(Vec::new()),
            outs: RefCell::new(Vec::new()),
            retry_tokens: Cell::new(RETRY_TOKENS_MAX),
        }
    }

    /// The configuration that requests beginning now are served by.
    pub(crate) fn snapshot(&self) -> Rc<Snapshot> {
        Rc::clone(&self.snapshot.borrow())
    }

    pub(crate) fn next_request_id(&self) -> RequestId {
        self.request_count.set(self.request_count.get().wrapping_add(1));
        self.retry_tokens.set((self.retry_tokens.get() + 1).min(RETRY_TOKENS_MAX));
        RequestId::new(self.request_seed, self.request_count.get())
    }

    /// The worker's time in milliseconds on the monotonic clock, as of the last tick.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// Now, as HTTP writes it (RFC 9110 section 5.6.7), as of the last second.
    pub(crate) fn http_date(&self) -> Rc<str> {
        Rc::clone(&self.http_date.borrow())
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Takes one retry from the budget, so that a failing upstream is not met with a multiple of its load.
    pub(crate) fn may_retry(&self) -> bool {
        let left = self.retry_tokens.get().checked_sub(RETRY_COST);
        if let Some(left) = left {
            self.retry_tokens.set(left);
        }
        left.is_some()
    }

    /// An empty buffer for composing.
    pub(crate) fn lend_out(&self) -> Vec<u8> {
        self.outs.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(2 * 1024))
    }

    pub(crate) fn return_out(&self, mut out: Vec<u8>) {
        let mut outs = self.outs.borrow_mut();
        if outs.len() < SPARE_OUTS_MAX && out.capacity() <= SPARE_OUT_BYTES_MAX {
            out.clear();
            outs.push(out);
        }
    }

    /// A watch for a new connection, on the worker's list.
    pub(crate) fn watch(&self) -> Rc<Watch> {
        let watch = Rc::new(Watch::new(self.now_ms.get()));
        let mut watches = self.watches.borrow_mut();
        watch.place.set(watches.len());
        watches.push(Rc::clone(&watch));
        watch
    }

    pub(crate) fn unwatch(&self, watch: &Watch) {
        let mut watches = self.watches.borrow_mut();
        let place = watch.place.get();
        if place < watches.len() {
            watches.swap_remove(place);
            if let Some(moved) = watches.get(place) {
                moved.place.set(place);
            }
        }
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes a place among the process's connections, where there is one.
    fn admit_connection(&self) -> bool {
        let taken = self.connections.fetch_add(1, Ordering::Relaxed);
        if taken >= self.connections_max {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }

    fn tick(&self, ticks: u64) {
        let now = self.clock.now();
        self.now_ms.set(now.mono_ns / 1_000_000);
        for watch in self.watches.borrow().iter() {
            watch.tick(self.now_ms.get());
        }
        // Once a second.
        if ticks.is_multiple_of(20) {
            self.pool.evict(self.now_ms.get(), &self.metrics);
            *self.http_date.borrow_mut() = http_date(now.unix.as_i64()).into();
        }
    }

    /// Marks every connection that serves one of the keys; none of them gets another turn. Gives their number.
    fn cut(&self, scope: &CutScope) -> u64 {
        self.watches.borrow().iter().map(|watch| u64::from(watch.cut_if_serving(scope))).sum()
    }
}

fn http_date(unix_ms: i64) -> String {
    let timestamp = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    timestamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Runs a worker until its process has left.
pub(crate) async fn run(
    worker: Rc<Worker>,
    listeners: Vec<TcpListener>,
    mut cuts: mpsc::Receiver<Cut>,
    mut offers: watch::Receiver<Arc<Offer>>,
    totals: Arc<Metrics>,
    mut phase: watch::Receiver<Phase>,
) {
    worker.tick(0);
    let mut accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| tokio::task::spawn_local(accept(Rc::clone(&worker), listener, phase.clone())))
        .collect();
    let mut ticker = tokio::time::interval(TICK);
    ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut ticks = 0_u64;
    let mut draining_since = None;
    loop {
        tokio::select! {
            _ = ticker.tick() => {
                ticks += 1;
                worker.tick(ticks);
            }
            Some(cut) = cuts.recv() => {
                let connections = worker.cut(&cut.scope);
                cut.done(connections);
            }
            Ok(()) = offers.changed() => {
                let offer = Arc::clone(&offers.borrow_and_update());
                *worker.snapshot.borrow_mut() = Rc::new(Snapshot::compile(&offer.settings, &totals));
                offer.taken.add_permits(1);
            }
            Ok(()) = phase.changed() => match *phase.borrow_and_update() {
                Phase::Serving => {}
                Phase::Draining => {
                    worker.draining.set(true);
                    for task in accepting.drain(..) {
                        // Ends as soon as it has taken over what had connected already.
                        let _ = task.await;
                    }
                    draining_since = Some(worker.now_ms());
                }
                Phase::Ended => {
                    // Their tasks go with the runtime, and get no turn before.
                    worker.watches.borrow().iter().for_each(|watch| watch.cut(Cause::Leaving));
                    return;
                }
            },
        }
        if let Some(since) = draining_since {
            let watches = worker.watches.borrow();
            if watches.is_empty() {
                return;
            }
            let idle_grace = u64::try_from(IDLE_GRACE.as_millis()).unwrap_or(u64::MAX);
            if worker.now_ms().saturating_sub(since) >= idle_grace {
                watches.iter().filter(|watch| watch.is_idle()).for_each(|watch| watch.cut(Cause::Leaving));
            }
        }
    }
}

async fn accept(worker: Rc<Worker>, listener: TcpListener, mut phase: watch::Receiver<Phase>) {
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            // Whoever had connected by now was accepted above, and will be served; the rest is refused by the system.
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => return,
        };
        match accepted {
            Ok((stream, peer)) => take_over(&worker, stream, peer),
            Err(error) => {
                // A connection that was gone before it was accepted, or no descriptor left: both pass.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn take_over(worker: &Rc<Worker>, stream: TcpStream, peer: SocketAddr) {
    if !worker.admit_connection() {
        worker.metrics.connection_refused();
        return;
    }
    // Small responses must not wait for the acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    tokio::task::spawn_local(connection::run(Rc::clone(worker), stream, peer));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_http_wants_it() {
        assert_eq!(http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
