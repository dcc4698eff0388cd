//! A link that can be broken on purpose: a small TCP proxy on loopback between one process and the server it speaks to.
//!
//! Promises that a fault holds for connections that exist and for those made while it lasts, and that bytes are never
//! reordered or changed: where some are lost, the connection ends with the fault. Bounded: 256 connections, 16 KiB each
//! way. Runs on a thread of its own, which ends with it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

const CONNECTIONS_MAX: usize = 256;
const PIECE_BYTES: usize = 16 * 1024;

/// What the link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: all bytes go through.
    Pass,
    /// Each piece arrives so much later, either way.
    Delay(Duration),
    /// Connections are accepted and nothing moves. What was sent meanwhile arrives once the link heals, however late.
    Blackhole,
    /// As a blackhole in one direction; the other one works.
    Hold(Direction),
    /// What is sent in one direction is gone; the other one works. Connections that lost something end with the fault.
    Lose(Direction),
    /// Connections are reset as soon as they are made, and so are those that exist.
    Refuse,
    /// So many bytes at a time with a pause between them, either way.
    Trickle {
        /// Bytes at a time.
        bytes: usize,
        /// The pause after them.
        pause: Duration,
    },
}

/// A direction of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// What the process under test sends.
    ToServer,
    /// What the server answers.
    ToProcess,
}

/// The link's state: a higher number of cuts ends all connections made before it.
#[derive(Debug, Clone, Copy)]
struct State {
    fault: Fault,
    cuts: u64,
}

/// The proxy. Dropping it ends its thread and all connections.
pub(crate) struct FaultProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    made: Arc<AtomicU64>,
}

impl FaultProxy {
    /// A link to `server` on a port of its own. Passes everything at first.
    pub(crate) fn to(server: SocketAddr) -> FaultProxy {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (state, changes) = watch::channel(State { fault: Fault::Pass, cuts: 0 });
        let made = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&made);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(accept(listener, server, changes, &counter));
        });
        FaultProxy { address, state, made }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made to it.
    pub(crate) fn connections_made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    /// From now on the link does this.
    pub(crate) fn set(&self, fault: Fault) {
        self.state.send_modify(|state| {
            state.fault = fault;
            state.cuts += u64::from(fault == Fault::Refuse);
        });
    }

    /// The link works again.
    pub(crate) fn heal(&self) {
        self.set(Fault::Pass);
    }

    /// Resets all connections; new ones are made as before.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

async fn accept(
    listener: std::net::TcpListener,
    server: SocketAddr,
    mut changes: watch::Receiver<State>,
    made: &AtomicU64,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let process = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((process, _)) => process,
                Err(_) => continue,
            },
            changed = changes.changed() => match changed {
                Ok(()) => continue,
                // The proxy was dropped; the runtime ends and with it all connections.
                Err(_) => return,
            },
        };
        made.fetch_add(1, Ordering::SeqCst);
        let state = *changes.borrow();
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            reset(&process);
            continue;
        };
        if state.fault == Fault::Refuse {
            reset(&process);
            continue;
        }
        let changes = changes.clone();
        tokio::spawn(async move {
            join(process, server, changes, state.cuts).await;
            drop(place);
        });
    }
}

/// Carries one connection until either side ends it or the link is cut.
async fn join(process: TcpStream, server: SocketAddr, changes: watch::Receiver<State>, cuts: u64) {
    let Ok(upstream) = TcpStream::connect(server).await else { return reset(&process) };
    let _ = (process.set_nodelay(true), upstream.set_nodelay(true));
    let (from_process, to_process) = process.into_split();
    let (from_server, to_server) = upstream.into_split();
    let mut there = Way { direction: Direction::ToServer, changes: changes.clone(), cuts };
    let mut back = Way { direction: Direction::ToProcess, changes, cuts };
    let (mut ours, mut theirs) = ((from_process, to_process), (from_server, to_server));
    let ended = tokio::select! {
        ended = there.carry(&mut ours.0, &mut theirs.1) => ended,
        ended = back.carry(&mut theirs.0, &mut ours.1) => ended,
    };
    if ended.is_err() {
        reset(ours.0.as_ref());
        reset(theirs.0.as_ref());
    }
}

/// Closes with a reset once the socket is dropped.
fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// One direction of a connection.
struct Way {
    direction: Direction,
    changes: watch::Receiver<State>,
    cuts: u64,
}

impl Way {
    /// `Ok` where the sender ended in order, an error where the connection is to be reset.
    async fn carry(&mut self, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> io::Result<()> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut lost = false;
        loop {
            let fault = self.fault()?;
            if lost && !self.loses(fault) {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            if self.holds(fault) {
                self.changed().await?;
                continue;
            }
            // What has been read is written under the fault that then holds, so that nothing slips through.
            let read = tokio::select! {
                read = from.read(&mut piece) => read?,
                changed = self.changes.changed() => {
                    changed.map_err(|_| io::ErrorKind::ConnectionReset)?;
                    continue;
                }
            };
            if read == 0 {
                to.shutdown().await?;
                return Ok(());
            }
            lost |= !self.deliver(&piece[..read], to).await?;
        }
    }

    /// Whether the piece went through; `false` where it is lost.
    async fn deliver(&mut self, mut piece: &[u8], to: &mut OwnedWriteHalf) -> io::Result<bool> {
        while !piece.is_empty() {
            let fault = self.fault()?;
            if self.loses(fault) {
                return Ok(false);
            }
            if self.holds(fault) {
                self.changed().await?;
                continue;
            }
            let (length, before, after) = match fault {
                Fault::Delay(by) => (piece.len(), by, Duration::ZERO),
                Fault::Trickle { bytes, pause } => (bytes.clamp(1, piece.len()), Duration::ZERO, pause),
                Fault::Pass | Fault::Blackhole | Fault::Hold(_) | Fault::Lose(_) | Fault::Refuse => {
                    (piece.len(), Duration::ZERO, Duration::ZERO)
                }
            };
            // Not synchronisation: being late is the fault.
            tokio::time::sleep(before).await;
            let (now, later) = piece.split_at(length);
            if self.holds(self.fault()?) {
                continue;
            }
            to.write_all(now).await?;
            // Not synchronisation: being slow is the fault.
            tokio::time::sleep(after).await;
            piece = later;
        }
        Ok(true)
    }

    /// The fault that holds; an error where this connection was cut.
    fn fault(&self) -> io::Result<Fault> {
        let state = *self.changes.borrow();
        if state.cuts == self.cuts { Ok(state.fault) } else { Err(io::ErrorKind::ConnectionReset.into()) }
    }

    async fn changed(&mut self) -> io::Result<()> {
        self.changes.changed().await.map_err(|_| io::ErrorKind::ConnectionReset.into())
    }

    fn holds(&self, fault: Fault) -> bool {
        fault == Fault::Blackhole || fault == Fault::Hold(self.direction)
    }

    fn loses(&self, fault: Fault) -> bool {
        fault == Fault::Lose(self.direction)
    }
}
