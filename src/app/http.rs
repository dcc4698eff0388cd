//! Serves the console's and the ops listener's routers over HTTP/1.1.
//!
//! Promises a bound on connections, on the time a head may take, and on leaving. Programs' traffic never comes here:
//! that is the gateway's.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;
/// From a connection's first byte to the end of a head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection lasts at most, whatever it is used for: clients that do not read what they asked for hold no
/// place for ever. Browsers open another one without a word.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// How long running answers may take once leaving began.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting pauses when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A port that is had and not served yet.
#[derive(Debug)]
pub(super) struct Port {
    socket: StdListener,
    pub(super) address: SocketAddr,
}

impl Port {
    /// Binds `address`; port 0 is given a free one.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Port> {
        let socket = StdListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Port { address: socket.local_addr()?, socket })
    }

    /// Serves `router` until `leave` says so, then lets running answers end.
    pub(super) async fn serve(self, router: Router, mut leave: watch::Receiver<bool>) -> io::Result<()> {
        let listener = TcpListener::from_std(self.socket)?;
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = accept(&listener, &places) => accepted,
                _ = leave.wait_for(|leave| *leave) => break,
            };
            let Some((stream, peer, place)) = accepted else { continue };
            let router = router.clone();
            let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
                let router = router.clone();
                request.extensions_mut().insert(ConnectInfo(peer));
                async move {
                    Ok::<_, Infallible>(match router.oneshot(request).await {
                        Ok(response) => response,
                    })
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                // A client that breaks off is its own affair.
                let _ = tokio::time::timeout(CONNECTION_LIFETIME, connection).await;
                drop(place);
            });
        }
        drop(listener);
        // What takes longer than this is dropped with the runtime.
        let _ = tokio::time::timeout(LEAVE_TIMEOUT, graceful.shutdown()).await;
        Ok(())
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
