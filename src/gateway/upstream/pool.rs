//! A worker's idle connections, by endpoint, and how new ones are made.
//!
//! Promises that a connection which closed, or on which something arrived unasked, is never handed out. Never shares a
//! connection between workers, so taking one costs no lock.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::time::Duration;

use tokio::net::TcpStream;

use super::super::http1::watch::Watch;
use super::super::snapshot::{EndpointTarget, UpstreamTarget};
use crate::telemetry::{UpstreamFailure, WorkerMetrics};

/// After this long the peer's end may have been missed by a busy event loop: then the socket itself is asked.
const ASK_AFTER_MS: u64 = 500;

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) struct UpstreamConnection {
    pub(crate) stream: TcpStream,
    /// It has served a request before.
    pub(crate) is_reused: bool,
}

#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    since_ms: u64,
    timeout_ms: u64,
    metrics: usize,
}

/// One worker's pool.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<String, Vec<Idle>>>,
    turn: Cell<usize>,
}

/// Why no connection could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectFailed(pub(crate) UpstreamFailure);

impl Pool {
    /// The endpoint whose turn it is, `attempt` places further on.
    pub(crate) fn endpoint<'u>(
        &self,
        upstream: &'u UpstreamTarget,
        attempt: usize,
    ) -> Option<&'u EndpointTarget> {
        if attempt == 0 {
            self.turn.set(self.turn.get().wrapping_add(1));
        }
        let place = self.turn.get().wrapping_add(attempt).checked_rem(upstream.endpoints.len())?;
        upstream.endpoints.get(place)
    }

    /// An idle connection to the endpoint, the one used last first.
    pub(crate) fn take(
        &self,
        endpoint: &EndpointTarget,
        now_ms: u64,
        metrics: &WorkerMetrics,
    ) -> Option<TcpStream> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(endpoint.authority.as_str())?;
        while let Some(connection) = connections.pop() {
            let upstream = metrics.upstream(connection.metrics);
            upstream.idle_removed();
            if is_quiet(&connection.stream, now_ms.saturating_sub(connection.since_ms)) {
                upstream.connection_reused();
                return Some(connection.stream);
            }
        }
        None
    }

    /// Keeps a connection for the next request, unless there are enough.
    pub(crate) fn put(
        &self,
        upstream: &UpstreamTarget,
        endpoint: &EndpointTarget,
        stream: TcpStream,
        now_ms: u64,
        metrics: &WorkerMetrics,
    ) {
        let mut idle = self.idle.borrow_mut();
        if !idle.contains_key(endpoint.authority.as_str()) {
            idle.insert(endpoint.authority.clone(), Vec::new());
        }
        let Some(connections) = idle.get_mut(endpoint.authority.as_str()) else { return };
        if connections.len() < upstream.idle_connections_max {
            metrics.upstream(upstream.metrics).idle_added();
            let timeout_ms = u64::try_from(upstream.idle_connection_timeout.as_millis()).unwrap_or(u64::MAX);
            connections.push(Idle { stream, since_ms: now_ms, timeout_ms, metrics: upstream.metrics });
        }
    }

    /// Closes what has been idle for too long.
    pub(crate) fn evict(&self, now_ms: u64, metrics: &WorkerMetrics) {
        for connections in self.idle.borrow_mut().values_mut() {
            connections.retain(|connection| {
                let kept = now_ms.saturating_sub(connection.since_ms) < connection.timeout_ms;
                if !kept {
                    metrics.upstream(connection.metrics).idle_removed();
                }
                kept
            });
        }
        self.idle.borrow_mut().retain(|_, connections| !connections.is_empty());
    }
}

/// Whether an idle connection is still open and has nothing to say.
fn is_quiet(stream: &TcpStream, idle_ms: u64) -> bool {
    // Costs no system call while the event loop has heard nothing.
    let heard = stream.try_read(&mut [0_u8; 1]);
    if !matches!(heard, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
        return false;
    }
    if idle_ms < ASK_AFTER_MS {
        return true;
    }
    let asked = socket2::SockRef::from(stream).peek(&mut [MaybeUninit::uninit(); 1]);
    matches!(asked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// Connects to the endpoint, each of its addresses in turn, within `timeout`.
pub(crate) async fn connect(
    endpoint: &EndpointTarget,
    timeout: Duration,
    watch: &Watch,
) -> Result<TcpStream, ConnectFailed> {
    watch.set_deadline(timeout);
    let mut connecting = pin!(connect_to_any(endpoint));
    match watch.wait(|cx| connecting.as_mut().poll(cx)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectFailed(UpstreamFailure::ConnectTimeout)),
    }
}

async fn connect_to_any(endpoint: &EndpointTarget) -> Result<TcpStream, ConnectFailed> {
    let target = (endpoint.endpoint.host.as_str(), endpoint.endpoint.port);
    let addresses =
        tokio::net::lookup_host(target).await.map_err(|_| ConnectFailed(UpstreamFailure::Resolve))?;
    for address in addresses {
        if let Ok(stream) = TcpStream::connect(address).await {
            // Small requests must not wait for the acknowledgement of earlier ones.
            let _ = stream.set_nodelay(true);
            return Ok(stream);
        }
    }
    Err(ConnectFailed(UpstreamFailure::Connect))
}
