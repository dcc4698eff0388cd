//! Phase 8, second half: to the upstream and back, both bodies at once.
//!
//! Promises that bytes go on as they come, that an answer before the request's end is passed on, that a broken
//! exchange never looks whole to the client, and that a connection is used again only after a clean exchange. Retries
//! only where nothing can have happened twice.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::compose::{Forwarded, compose};
use super::http1::body::Framing;
use super::http1::buffer::Buffer;
use super::http1::io::{IoFailure, peer_gone, write_all};
use super::http1::pump::{Encoding, Pump, PumpFailure};
use super::http1::request::RequestHead;
use super::http1::watch::Watch;
use super::receive::{Answer, Receive, ReceiveFailure};
use super::record::Record;
use super::snapshot::{EndpointTarget, UpstreamTarget};
use super::tunnel;
use super::upstream::pool::{ConnectFailed, UpstreamConnection, connect};
use super::worker::Worker;
use crate::domain::denial::Denial;
use crate::telemetry::{End, UpstreamFailure};

/// Connections tried for one request.
const ATTEMPTS_MAX: usize = 3;

/// Why an exchange did not end well.
#[derive(Debug)]
pub(crate) enum ForwardFailure {
    /// No byte of a response went out: the client gets this refusal.
    Refused(Denial),
    /// A response had begun: its connection is broken off.
    Aborted(End),
}

/// What is left of an exchange that ended well.
#[derive(Debug)]
pub(crate) struct Forwarding {
    /// The client's connection may carry another request.
    pub(crate) keep: bool,
}

/// The body that the client sends along.
pub(crate) struct Body<'b> {
    /// The whole body, where it came with the head.
    pub(crate) inline: &'b [u8],
    /// Where the rest of it is read into; holds what came with the head.
    pub(crate) slot: Option<Buffer>,
    /// How what is not inline is framed.
    pub(crate) framing: Framing,
    pub(crate) bytes_max: u64,
}

/// One exchange's fixed surroundings.
pub(crate) struct Exchange<'a, 'b> {
    pub(crate) worker: &'a Worker,
    pub(crate) watch: &'a Watch,
    pub(crate) head: &'a RequestHead<'b>,
    pub(crate) forwarded: Forwarded<'a>,
    pub(crate) upstream: &'a UpstreamTarget,
}

enum AttemptFailure {
    /// Nothing came back on a connection that was used before: it had been closed.
    Stale,
    Final(ForwardFailure),
}

impl Exchange<'_, '_> {
    /// Forwards the request to one of the upstream's endpoints and its response to the client.
    pub(crate) async fn run(
        &self,
        downstream: &mut TcpStream,
        body: &mut Body<'_>,
        record: &mut Record<'_>,
    ) -> Result<Forwarding, ForwardFailure> {
        let turned = self.worker.clock.now();
        record.overhead_ns = Some(turned.nanos_since(record.started()));
        let metrics = self.worker.metrics.upstream(self.upstream.metrics);
        let mut may_be_stale = true;
        for attempt in 0..ATTEMPTS_MAX {
            let Some(endpoint) = self.worker.pool.endpoint(self.upstream, attempt) else { break };
            let last = attempt + 1 == ATTEMPTS_MAX;
            let connection = match self.connection(endpoint, may_be_stale).await {
                Ok(connection) => connection,
                Err(ConnectFailed(failure)) => {
                    metrics.failed(failure);
                    let timed_out = failure == UpstreamFailure::ConnectTimeout;
                    // Nothing was sent, so another endpoint may be asked, while there is one and time.
                    if last
                        || timed_out
                        || attempt + 1 >= self.upstream.endpoints.len()
                        || !self.worker.may_retry()
                    {
                        let denial = if timed_out { Denial::UpstreamTimeout } else { Denial::BadGateway };
                        return Err(ForwardFailure::Refused(denial));
                    }
                    metrics.retried();
                    continue;
                }
            };
            let was_reused = connection.is_reused;
            match self.attempt(connection, endpoint, downstream, body, record).await {
                Ok(forwarding) => return Ok(forwarding),
                Err(AttemptFailure::Stale) => {
                    metrics.failed(UpstreamFailure::Broken);
                    if last || !was_reused || !self.may_repeat(body) || !self.worker.may_retry() {
                        return Err(ForwardFailure::Refused(Denial::BadGateway));
                    }
                    may_be_stale = false;
                    metrics.retried();
                }
                Err(AttemptFailure::Final(failure)) => return Err(failure),
            }
        }
        Err(ForwardFailure::Refused(Denial::BadGateway))
    }

    /// An idempotent request (RFC 9110 section 9.2.2) without a body does no harm when it arrives twice.
    fn may_repeat(&self, body: &Body<'_>) -> bool {
        let idempotent = matches!(self.head.method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE");
        idempotent && body.framing == Framing::Empty && body.inline.is_empty() && self.head.upgrade.is_none()
    }

    async fn connection(
        &self,
        endpoint: &EndpointTarget,
        may_be_stale: bool,
    ) -> Result<UpstreamConnection, ConnectFailed> {
        let worker = self.worker;
        let pooled =
            may_be_stale.then(|| worker.pool.take(endpoint, worker.now_ms(), &worker.metrics)).flatten();
        if let Some(stream) = pooled {
            return Ok(UpstreamConnection { stream, is_reused: true });
        }
        let stream = connect(endpoint, self.upstream.timeouts.connect, self.watch).await?;
        worker.metrics.upstream(self.upstream.metrics).connection_opened();
        Ok(UpstreamConnection { stream, is_reused: false })
    }

    async fn attempt(
        &self,
        mut connection: UpstreamConnection,
        endpoint: &EndpointTarget,
        downstream: &mut TcpStream,
        body: &mut Body<'_>,
        record: &mut Record<'_>,
    ) -> Result<Forwarding, AttemptFailure> {
        let idle = self.upstream.timeouts.idle;
        let mut out = self.worker.lend_out();
        compose(self.head, &self.forwarded, &endpoint.authority, &mut out);
        let mut pump = Pump::new(body.framing, request_encoding(body.framing), idle, body.bytes_max);
        let (sent, begun) = (Cell::new(false), Cell::new(false));
        let answer = {
            let (mut from_client, mut to_client) = downstream.split();
            let (mut from_upstream, mut to_upstream) = connection.stream.split();
            let progress = (&sent, &begun);
            let send = self.send(&mut from_client, &mut to_upstream, &mut out, body, &mut pump, progress);
            let mut send = pin!(send);
            let receive = Receive {
                worker: self.worker,
                watch: self.watch,
                request: self.head,
                idle,
                begun: &begun,
                sent: &sent,
            };
            let mut receive = pin!(receive.run(&mut from_upstream, &mut to_client, record));
            let mut sending = true;
            poll_fn(|cx| {
                if sending && let Poll::Ready(failure) = send.as_mut().poll(cx) {
                    sending = false;
                    // An upstream that takes no more may have answered already: what it said decides.
                    if failure != PumpFailure::SinkClosed {
                        return Poll::Ready(Err(Interrupted::BySender(failure)));
                    }
                }
                receive.as_mut().poll(cx).map_err(Interrupted::ByReceiver)
            })
            .await
        };
        record.bytes_in += pump.content_bytes + if sent.get() { body.inline.len() as u64 } else { 0 };
        self.worker.return_out(out);
        match answer {
            Ok(Answer::Switched { leftover, is_websocket }) => {
                let (idle, early) = (self.upstream.timeouts.idle, body.slot.take());
                let upstream = &mut connection.stream;
                let sides = tunnel::Sides { downstream, upstream, early, leftover, is_websocket };
                tunnel::run(self.watch, idle, sides, record).await;
                Ok(Forwarding { keep: false })
            }
            Ok(Answer::Whole { keep_upstream, keep_client }) => {
                if keep_upstream && sent.get() {
                    let (worker, stream) = (self.worker, connection.stream);
                    worker.pool.put(self.upstream, endpoint, stream, worker.now_ms(), &worker.metrics);
                }
                record.end = End::Complete;
                Ok(Forwarding { keep: keep_client && sent.get() })
            }
            Err(interrupted) => Err(self.failure(interrupted, begun.get(), record)),
        }
    }

    /// Sends the request, then watches the client. Ends only where one of the two breaks.
    async fn send(
        &self,
        from_client: &mut ReadHalf<'_>,
        to_upstream: &mut WriteHalf<'_>,
        out: &mut Vec<u8>,
        body: &mut Body<'_>,
        pump: &mut Pump,
        (sent, begun): (&Cell<bool>, &Cell<bool>),
    ) -> PumpFailure {
        self.watch.set_deadline(self.upstream.timeouts.idle);
        let result = if body.framing == Framing::Empty {
            write_all(self.watch, to_upstream, [out, body.inline, b""]).await.map_err(sink)
        } else {
            pump.run(self.watch, from_client, &mut body.slot, to_upstream, out).await
        };
        if let Err(failure) = result {
            return failure;
        }
        sent.set(true);
        if !begun.get() {
            self.watch.set_deadline(self.upstream.timeouts.response_head);
        }
        peer_gone(from_client).await;
        PumpFailure::SourceClosed
    }

    /// Turns what interrupted the exchange into what the client gets, and tells the upstream's metrics.
    fn failure(&self, interrupted: Interrupted, begun: bool, record: &mut Record<'_>) -> AttemptFailure {
        let metrics = self.worker.metrics.upstream(self.upstream.metrics);
        let (denial, end, upstream_failure) = match interrupted {
            Interrupted::BySender(failure) => match failure {
                PumpFailure::SourceClosed => {
                    return AttemptFailure::Final(ForwardFailure::Aborted(End::ClientGone));
                }
                PumpFailure::SourceMalformed => (Denial::BadBody, End::ClientGone, None),
                PumpFailure::SourceTimedOut => (Denial::RequestTimeout, End::TimedOut, None),
                PumpFailure::TooLarge => (Denial::BodyTooLarge, End::ClientGone, None),
                PumpFailure::SinkTimedOut => {
                    (Denial::UpstreamTimeout, End::TimedOut, Some(UpstreamFailure::BodyTimeout))
                }
                PumpFailure::SinkClosed => {
                    (Denial::BadGateway, End::UpstreamBroke, Some(UpstreamFailure::Broken))
                }
            },
            Interrupted::ByReceiver(failure) => match failure {
                ReceiveFailure::Closed if !begun => return AttemptFailure::Stale,
                ReceiveFailure::Closed => {
                    (Denial::BadGateway, End::UpstreamBroke, Some(UpstreamFailure::BodyBroken))
                }
                ReceiveFailure::Malformed => {
                    (Denial::BadGateway, End::UpstreamBroke, Some(UpstreamFailure::Malformed))
                }
                ReceiveFailure::TimedOut => {
                    let kind =
                        if begun { UpstreamFailure::BodyTimeout } else { UpstreamFailure::HeadTimeout };
                    (Denial::UpstreamTimeout, End::TimedOut, Some(kind))
                }
                ReceiveFailure::ClientGone => {
                    return AttemptFailure::Final(ForwardFailure::Aborted(End::ClientGone));
                }
            },
        };
        if let Some(kind) = upstream_failure {
            metrics.failed(kind);
        }
        record.denial = Some(denial).filter(|_| !begun);
        AttemptFailure::Final(if begun {
            ForwardFailure::Aborted(end)
        } else {
            ForwardFailure::Refused(denial)
        })
    }
}

enum Interrupted {
    BySender(PumpFailure),
    ByReceiver(ReceiveFailure),
}

fn request_encoding(framing: Framing) -> Encoding {
    if framing == Framing::Chunked { Encoding::Chunked } else { Encoding::Identity }
}

fn sink(failure: IoFailure) -> PumpFailure {
    match failure {
        IoFailure::TimedOut => PumpFailure::SinkTimedOut,
        IoFailure::Broken => PumpFailure::SinkClosed,
    }
}
