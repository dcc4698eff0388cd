//! The data plane as a whole: its ports, its workers, and how it leaves.
//!
//! Promises that all ports are had before a worker starts, that a port somebody else listens on is never shared by
//! accident, and that leaving waits for running requests up to the deadline it is given.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{oneshot, watch};

use super::authenticate::Guard;
use super::snapshot::{Settings, Snapshot};
use super::worker::{self, Offer, Phase, Shared, Worker};
use crate::domain::clock::Clock;
use crate::keytable::KeyTable;
use crate::limits::Limiter;
use crate::telemetry::{AccessLog, Metrics};

/// Connections that the kernel completes while a worker is busy.
const BACKLOG: i32 = 1024;

/// Longest wait for all workers to take other settings over.
const TAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the data plane shares with the rest of the process.
#[derive(Clone)]
pub struct Planes {
    /// Time.
    pub clock: Clock,
    /// The key table that it authenticates against.
    pub keys: Arc<KeyTable>,
    /// What limits are charged through.
    pub limiter: Limiter,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// Where it logs.
    pub access_log: AccessLog,
    /// What counts failures by address; none: nobody is refused for failing.
    pub guard: Option<Arc<Guard>>,
    /// Most client connections at once.
    pub connections_max: usize,
}

/// A port could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: choose a free port, or stop what listens there")]
pub struct BindFailed {
    /// The address as configured.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// Ports that are had, one socket for each worker.
#[derive(Debug)]
pub struct Listening {
    /// By worker, then by address.
    sockets: Vec<Vec<StdListener>>,
    addresses: Vec<SocketAddr>,
}

impl Listening {
    /// Binds `addresses` for `workers`, of which there is at least one. Port 0 is given a free one, the same for all.
    ///
    /// # Errors
    /// Where a port is taken or not ours to have.
    pub fn bind(addresses: &[SocketAddr], workers: usize) -> Result<Listening, BindFailed> {
        let mut sockets: Vec<Vec<StdListener>> = (0..workers).map(|_| Vec::new()).collect();
        let mut bound = Vec::new();
        for address in addresses {
            let failed = |source| BindFailed { address: *address, source };
            let mut concrete = *address;
            // Sockets that share a port join a stranger's who does so too: the first one asks for the port alone.
            let mut claim = Claim::Alone;
            for worker in &mut sockets {
                let socket = open(concrete, claim).map_err(failed)?;
                concrete.set_port(socket.local_addr().map_err(failed)?.port());
                worker.push(socket);
                claim = Claim::Shared;
            }
            bound.push(concrete);
        }
        Ok(Listening { sockets, addresses: bound })
    }

    /// The addresses as bound.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// How a socket asks for its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Nobody else may have it; later ones of this process may join.
    Alone,
    /// Together with the first.
    Shared,
}

fn open(address: SocketAddr, claim: Claim) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(claim == Claim::Shared)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    // Between bind and listen: the port was had alone, and from here on the kernel spreads connections over all.
    socket.set_reuse_port(true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The running data plane.
#[derive(Debug)]
pub struct Gateway {
    phase: watch::Sender<Phase>,
    offers: watch::Sender<Arc<Offer>>,
    metrics: Arc<Metrics>,
    workers: Vec<JoinHandle<()>>,
    ended: Vec<oneshot::Receiver<()>>,
}

impl Gateway {
    /// Starts one worker for each set of sockets.
    ///
    /// # Errors
    /// Where the system gives no thread, runtime or randomness.
    pub fn start(listening: Listening, settings: &Settings, planes: &Planes) -> io::Result<Gateway> {
        let (phase, _) = watch::channel(Phase::Serving);
        let (offers, _) = watch::channel(Offer::new(settings.clone()));
        let metrics = Arc::clone(&planes.metrics);
        let mut gateway = Gateway { phase, offers, metrics, workers: Vec::new(), ended: Vec::new() };
        let shared = Shared {
            clock: planes.clock.clone(),
            keys: Arc::clone(&planes.keys),
            limiter: planes.limiter.clone(),
            guard: planes.guard.clone(),
            connections: Arc::new(AtomicUsize::new(0)),
            connections_max: planes.connections_max,
        };
        for (index, sockets) in listening.sockets.into_iter().enumerate() {
            gateway.start_worker(index, sockets, shared.clone(), &planes.access_log)?;
        }
        Ok(gateway)
    }

    fn start_worker(
        &mut self,
        index: usize,
        sockets: Vec<StdListener>,
        shared: Shared,
        access_log: &AccessLog,
    ) -> io::Result<()> {
        let cuts = shared.keys.subscribe();
        let offers = self.offers.subscribe();
        let phase = self.phase.subscribe();
        let totals = Arc::clone(&self.metrics);
        let metrics = totals.worker();
        let access_log = access_log.writer();
        let seed = getrandom::u64().map_err(io::Error::other)?;
        let (done, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("gateway-{index}")).spawn(move || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().build_local(tokio::runtime::LocalOptions::default());
            let result = runtime.map(|runtime| {
                runtime.block_on(async move {
                    let listeners: io::Result<Vec<_>> =
                        sockets.into_iter().map(tokio::net::TcpListener::from_std).collect();
                    // Each worker compiles its own, so that requests share no counter of references.
                    let snapshot = Snapshot::compile(&offers.borrow().settings, &totals);
                    let worker = Rc::new(Worker::new(shared, snapshot, metrics, access_log, seed));
                    match listeners {
                        Ok(listeners) => worker::run(worker, listeners, cuts, offers, totals, phase).await,
                        Err(error) => tracing::error!(%error, "a worker cannot take over its sockets"),
                    }
                });
            });
            if let Err(error) = result {
                tracing::error!(%error, "a worker has no runtime");
            }
            // Whoever waits may have given up waiting.
            let _ = done.send(());
        })?;
        self.workers.push(thread);
        self.ended.push(ended);
        Ok(())
    }

    /// Serves by other settings. When it returns, every request that begins on any worker does; connections and
    /// counters stay.
    pub async fn apply(&self, settings: &Settings) {
        let offer = Offer::new(settings.clone());
        self.offers.send_replace(Arc::clone(&offer));
        let all = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        // A worker that ended takes nothing any more, and serves nothing either.
        let _ = tokio::time::timeout(TAKE_TIMEOUT, offer.taken.acquire_many(all)).await;
    }

    /// Stops accepting, lets running requests end, and after `deadline` cuts what is left. True where nothing had to
    /// be cut.
    pub async fn leave(mut self, deadline: Duration) -> bool {
        self.phase.send_replace(Phase::Draining);
        let ended = std::mem::take(&mut self.ended);
        let all = async {
            for worker in ended {
                // A worker that is gone without a word is gone.
                let _ = worker.await;
            }
        };
        let clean = tokio::time::timeout(deadline, all).await.is_ok();
        self.phase.send_replace(Phase::Ended);
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a worker ended in a panic");
            }
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_a_port_among_themselves_and_with_nobody_else() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let ours = Listening::bind(&[any], 3).unwrap();
        let address = ours.addresses()[0];
        assert!(ours.sockets.iter().all(|worker| worker[0].local_addr().unwrap() == address));
        assert!(Listening::bind(&[address], 1).is_err());
        // The kernel spreads connections over all workers: of 64, one that gets none is past belief.
        let clients: Vec<_> = (0..64).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        assert!(
            ours.sockets.iter().all(|worker| worker[0].accept().is_ok()),
            "{} connections",
            clients.len()
        );
    }
}
