//! The upstream's side of an exchange: interim responses, the head, the body, as they come.
//!
//! Promises that the client sees a response's end only where the upstream's framing had one. Never reads beyond a
//! response that leaves its connection clean.

use std::cell::Cell;
use std::time::Duration;

use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::http1::body::Framing;
use super::http1::buffer::Buffer;
use super::http1::io::{IoFailure, read_some, write_all};
use super::http1::pump::{Pump, PumpFailure};
use super::http1::request::RequestHead;
use super::http1::response::{self, HEAD_BYTES_MAX, ResponseHead};
use super::http1::watch::Watch;
use super::record::Record;
use super::respond::{Delivery, relay_head, relay_interim, relay_switch};
use super::websocket;
use super::worker::Worker;

/// Interim responses passed on before a final one.
const INTERIMS_MAX: usize = 16;

/// How the upstream's side ended well.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A response, to its end.
    Whole {
        /// The upstream's connection may serve another request.
        keep_upstream: bool,
        /// The client was told that its connection stays.
        keep_client: bool,
    },
    /// 101: the connection belongs to another protocol now.
    Switched {
        /// What the upstream said right behind the 101.
        leftover: Option<Buffer>,
        /// That protocol is WebSocket.
        is_websocket: bool,
    },
}

/// How it ended otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiveFailure {
    /// The upstream closed or broke before its response's end.
    Closed,
    /// What it sent is not one well-formed response.
    Malformed,
    /// It said nothing for too long.
    TimedOut,
    /// The client does not take the response.
    ClientGone,
}

/// The receiving half of an exchange.
pub(crate) struct Receive<'a, 'b> {
    pub(crate) worker: &'a Worker,
    pub(crate) watch: &'a Watch,
    pub(crate) request: &'a RequestHead<'b>,
    pub(crate) idle: Duration,
    /// Set with the first byte of a final response.
    pub(crate) begun: &'a Cell<bool>,
    /// The request is at the upstream, to its last byte.
    pub(crate) sent: &'a Cell<bool>,
}

/// What a head leads to.
enum Next {
    More,
    Interim,
    /// To WebSocket, or to something else.
    Switch {
        is_websocket: bool,
    },
    Body(Framing, Delivery, bool),
}

impl Receive<'_, '_> {
    pub(crate) async fn run(
        self,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
        record: &mut Record<'_>,
    ) -> Result<Answer, ReceiveFailure> {
        let turned_ns = self.worker.clock.mono_ns();
        let mut slot: Option<Buffer> = None;
        let mut out = self.worker.lend_out();
        let mut interims = 0;
        loop {
            match self.head(&mut slot, turned_ns, record, &mut out)? {
                Next::More => self.more(from, &mut slot).await?,
                Next::Interim if interims == INTERIMS_MAX => return Err(ReceiveFailure::Malformed),
                Next::Interim => {
                    interims += 1;
                    write_all(self.watch, to, [&out, b"", b""])
                        .await
                        .map_err(|_| ReceiveFailure::ClientGone)?;
                    out.clear();
                }
                Next::Switch { is_websocket } => {
                    write_all(self.watch, to, [&out, b"", b""])
                        .await
                        .map_err(|_| ReceiveFailure::ClientGone)?;
                    self.worker.return_out(out);
                    return Ok(Answer::Switched { leftover: slot, is_websocket });
                }
                Next::Body(framing, delivery, keep_alive) => {
                    let mut pump = Pump::new(framing, delivery.encoding, self.idle, u64::MAX);
                    let result = pump.run(self.watch, from, &mut slot, to, &mut out).await;
                    record.bytes_out += pump.content_bytes;
                    result.map_err(body_failure)?;
                    self.worker.return_out(out);
                    let clean = pump.is_done() && slot.as_ref().is_none_or(Buffer::is_empty);
                    return Ok(Answer::Whole {
                        keep_upstream: clean && keep_alive,
                        keep_client: !delivery.close,
                    });
                }
            }
        }
    }

    /// Looks for a head at the start of what was read, and composes what the client gets of it.
    fn head(
        &self,
        slot: &mut Option<Buffer>,
        turned_ns: u64,
        record: &mut Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Next, ReceiveFailure> {
        let Some(buffer) = slot.as_mut() else { return Ok(Next::More) };
        let parsed = response::parse(buffer.unread(), self.request.method == "HEAD");
        let Some((head, length)) = parsed.map_err(|_| ReceiveFailure::Malformed)? else {
            return Ok(Next::More);
        };
        let next = match head.status {
            101 if self.request.upgrade.is_some() => {
                self.begin(turned_ns, record);
                relay_switch(&head, record, self.worker, out);
                Next::Switch { is_websocket: websocket::was_chosen(&head) }
            }
            101 => return Err(ReceiveFailure::Malformed),
            100..=199 => {
                // An HTTP/1.0 client knows no interim responses.
                if self.request.is_http_11 {
                    relay_interim(&head, out);
                }
                Next::Interim
            }
            _ => self.final_head(&head, turned_ns, record, out),
        };
        buffer.consume(length);
        Ok(next)
    }

    fn final_head(
        &self,
        head: &ResponseHead<'_>,
        turned_ns: u64,
        record: &mut Record<'_>,
        out: &mut Vec<u8>,
    ) -> Next {
        self.begin(turned_ns, record);
        // An answer before the request's end leaves a request half sent: neither connection can be used again.
        let may_keep = self.request.keep_alive && self.sent.get() && !self.worker.is_draining();
        let delivery = relay_head(self.request, head, record, self.worker, may_keep, out);
        Next::Body(head.framing, delivery, head.keep_alive)
    }

    fn begin(&self, turned_ns: u64, record: &mut Record<'_>) {
        self.begun.set(true);
        record.upstream_ns = Some(self.worker.clock.mono_ns().saturating_sub(turned_ns));
    }

    async fn more(&self, from: &mut ReadHalf<'_>, slot: &mut Option<Buffer>) -> Result<(), ReceiveFailure> {
        if slot.as_mut().is_some_and(|buffer| !buffer.make_room(HEAD_BYTES_MAX)) {
            return Err(ReceiveFailure::Malformed);
        }
        let partial = slot.as_ref().is_some_and(|buffer| !buffer.is_empty());
        match read_some(self.watch, from, slot, Buffer::large).await {
            Ok(0) if partial => Err(ReceiveFailure::Malformed),
            Ok(0) | Err(IoFailure::Broken) => Err(ReceiveFailure::Closed),
            Ok(_) => Ok(()),
            Err(IoFailure::TimedOut) => Err(ReceiveFailure::TimedOut),
        }
    }
}

fn body_failure(failure: PumpFailure) -> ReceiveFailure {
    match failure {
        PumpFailure::SourceClosed => ReceiveFailure::Closed,
        PumpFailure::SourceMalformed | PumpFailure::TooLarge => ReceiveFailure::Malformed,
        PumpFailure::SourceTimedOut => ReceiveFailure::TimedOut,
        PumpFailure::SinkClosed | PumpFailure::SinkTimedOut => ReceiveFailure::ClientGone,
    }
}
