//! One client's connection, from its first byte to its last.
//!
//! Promises that a request which was refused as ambiguous is the last one on its connection, that a response cut short
//! never looks whole, and that an idle connection holds no buffer.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::forward::Body;
use super::handle::{Arrival, Unserved, handle};
use super::http1::body::Framing;
use super::http1::buffer::Buffer;
use super::http1::io::{IoFailure, read_some, write_all};
use super::http1::request::{self, RequestHead};
use super::http1::watch::Watch;
use super::record::Record;
use super::respond::{Refusal, refuse};
use super::snapshot::Snapshot;
use super::worker::Worker;
use crate::domain::denial::Denial;
use crate::telemetry::End;

/// After a last response, what the client still sends is read and dropped for this long, so that the response is not
/// lost to a reset (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);
/// And at most so much of it.
const LINGER_BYTES_MAX: usize = 1024 * 1024;
/// Longest wait for a client to take a refusal.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(10);

/// What becomes of the connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Keep,
    /// Nothing more to say; bytes may still be on their way in.
    Close,
    /// The peer is gone, or was silent: nothing to be nice about.
    Drop,
    /// A response whose only end is the connection's was cut short: only a reset tells the client so.
    Reset,
    /// Cut, and the client was told so: it may take that, and no more.
    Part,
}

/// Serves a connection to its end.
pub(crate) async fn run(worker: Rc<Worker>, mut stream: TcpStream, peer: SocketAddr) {
    worker.metrics.connection_opened();
    let watch = worker.watch();
    let served = watch.supervise(serve(&worker, &watch, &mut stream, peer)).await;
    match served.unwrap_or_else(|| after_cut(&watch)) {
        Next::Reset => reset(&stream),
        Next::Drop | Next::Keep => {}
        Next::Close => {
            watch.set_ceiling(None);
            let _ = watch.supervise(linger(&watch, &mut stream)).await;
        }
        Next::Part => {
            watch.set_ceiling(None);
            // A client that has not answered by then is kept supplied with nothing more, not even by the kernel.
            if watch.supervise(linger(&watch, &mut stream)).await != Some(true) {
                reset(&stream);
            }
        }
    }
    drop(stream);
    worker.metrics.connection_closed();
    worker.unwatch(&watch);
}

/// Running responses must not look whole, and an idle connection has nothing to lose.
fn after_cut(watch: &Watch) -> Next {
    match watch.part() {
        true => Next::Part,
        false if watch.is_idle() => Next::Drop,
        false => Next::Reset,
    }
}

async fn serve(worker: &Worker, watch: &Watch, stream: &mut TcpStream, peer: SocketAddr) -> Next {
    let peer_text = peer.ip().to_canonical().to_string();
    let mut slot: Option<Buffer> = None;
    loop {
        if !await_head(watch, &worker.snapshot(), stream, &mut slot).await {
            return Next::Drop;
        }
        // Only now: the configuration may have changed while the connection was silent.
        let snapshot = worker.snapshot();
        let Some(buffer) = slot.as_mut() else { return Next::Drop };
        // Boxed, so that an idle connection does not carry the size of a busy one.
        let next = Box::pin(one(worker, watch, &snapshot, stream, buffer, peer, &peer_text)).await;
        watch.set_key(None);
        watch.set_ceiling(None);
        if next != Next::Keep {
            return next;
        }
        if worker.is_draining() {
            return Next::Close;
        }
    }
}

/// Reads until a whole head is there, or something that can be refused. False: there is nothing to answer.
async fn await_head(
    watch: &Watch,
    snapshot: &Snapshot,
    stream: &mut TcpStream,
    slot: &mut Option<Buffer>,
) -> bool {
    watch.set_deadline(snapshot.idle_timeout);
    watch.set_idle(true);
    let (mut from, _) = stream.split();
    loop {
        if let Some(buffer) = slot.as_mut() {
            // Empty lines before a request are noise of old clients (RFC 9112 section 2.2).
            while buffer.unread().starts_with(b"\r\n") {
                buffer.consume(2);
            }
            if !buffer.is_empty() {
                if watch.is_idle() {
                    watch.set_idle(false);
                    watch.set_deadline(snapshot.head_timeout);
                }
                let ended = memchr::memmem::find(buffer.unread(), b"\r\n\r\n").is_some();
                if ended || request::parse(buffer.unread(), snapshot.bounds).is_err() {
                    return true;
                }
            }
            if !buffer.make_room(snapshot.bounds.head_bytes_max.saturating_add(1)) {
                return true;
            }
        }
        match read_some(watch, &mut from, slot, Buffer::small).await {
            Ok(0) | Err(IoFailure::Broken) => return false,
            Ok(_) => {}
            // A head that never ends is answered; silence between requests is not.
            Err(IoFailure::TimedOut) => return slot.as_ref().is_some_and(|buffer| !buffer.is_empty()),
        }
    }
}

/// Serves one request.
async fn one(
    worker: &Worker,
    watch: &Watch,
    snapshot: &Snapshot,
    stream: &mut TcpStream,
    buffer: &mut Buffer,
    peer: SocketAddr,
    peer_text: &str,
) -> Next {
    let started = worker.clock.now();
    let timed_out = watch.has_expired();
    let mut record = Record::begin(worker, started, peer.ip());
    let (head, length) = match request::parse(buffer.unread(), snapshot.bounds) {
        Ok(Some(parsed)) => parsed,
        Ok(None) if timed_out => {
            return refuse_unread(worker, watch, stream, record, Denial::RequestTimeout).await;
        }
        Ok(None) => return refuse_unread(worker, watch, stream, record, Denial::BadRequest).await,
        Err(denial) => return refuse_unread(worker, watch, stream, record, denial).await,
    };
    record.method = head.method;
    record.path = Cow::Borrowed(head.target.path.as_bytes());
    let mut body = body(&head, buffer.unread().get(length..).unwrap_or_default());
    let whole = body.framing == Framing::Empty;
    let inline = body.inline.len();
    let arrival = Arrival { worker, watch, snapshot, head: &head, peer, peer_text };
    let served = handle(&arrival, stream, &mut body, &mut record).await;
    let next = match served {
        Ok(forwarding) if forwarding.keep => Next::Keep,
        Ok(_) => Next::Close,
        Err(Unserved::Aborted(end)) => {
            record.end = end;
            if head.is_http_11 { Next::Drop } else { Next::Reset }
        }
        Err(Unserved::Refused(refusal)) => {
            let ambiguous = matches!(refusal.denial, Denial::BadRequest | Denial::BadBody);
            let keep = head.keep_alive && whole && !ambiguous && !worker.is_draining();
            let to_head = head.method == "HEAD";
            if send_refusal(worker, watch, stream, &mut record, &refusal, to_head, !keep).await {
                if keep { Next::Keep } else { Next::Close }
            } else {
                Next::Drop
            }
        }
    };
    let pipelined = body.slot.take();
    drop(record);
    drop(head);
    buffer.consume(length + inline);
    if let Some(rest) = pipelined {
        // What came with the head was moved into the body's buffer; what is left there is the next request's.
        let moved = buffer.unread().len();
        buffer.consume(moved);
        buffer.append(rest.unread());
    }
    next
}

/// Where the request's body is: whole behind its head, or still to be read.
fn body<'b>(head: &RequestHead<'_>, behind: &'b [u8]) -> Body<'b> {
    let here = match head.framing {
        Framing::Empty => Some(0),
        Framing::Length(length) => usize::try_from(length).ok().filter(|length| *length <= behind.len()),
        Framing::Chunked | Framing::UntilClose => None,
    };
    match here {
        // What comes behind the wish for another protocol is that protocol's, if the wish is granted.
        Some(_) if head.upgrade.is_some() && !behind.is_empty() => {
            let mut slot = Buffer::large();
            slot.append(behind);
            Body { inline: &[], slot: Some(slot), framing: Framing::Empty, bytes_max: u64::MAX }
        }
        Some(length) => Body {
            inline: behind.get(..length).unwrap_or_default(),
            slot: None,
            framing: Framing::Empty,
            bytes_max: u64::MAX,
        },
        None => {
            let mut slot = Buffer::large();
            slot.append(behind);
            Body { inline: &[], slot: Some(slot), framing: head.framing, bytes_max: u64::MAX }
        }
    }
}

/// Refuses what could not be read as a request.
async fn refuse_unread(
    worker: &Worker,
    watch: &Watch,
    stream: &mut TcpStream,
    mut record: Record<'_>,
    denial: Denial,
) -> Next {
    let sent = send_refusal(worker, watch, stream, &mut record, &denial.into(), false, true).await;
    if sent { Next::Close } else { Next::Drop }
}

async fn send_refusal(
    worker: &Worker,
    watch: &Watch,
    stream: &mut TcpStream,
    record: &mut Record<'_>,
    refusal: &Refusal,
    to_head: bool,
    close: bool,
) -> bool {
    let mut out = worker.lend_out();
    refuse(refusal, record, worker, to_head, close, &mut out);
    watch.set_ceiling(None);
    watch.set_deadline(REFUSAL_TIMEOUT);
    let (_, mut to) = stream.split();
    let sent = write_all(watch, &mut to, [&out, b"", b""]).await.is_ok();
    worker.return_out(out);
    record.end = if sent { End::Complete } else { End::ClientGone };
    sent
}

/// Ends the sending side and reads what is still on its way, so that the last response arrives. Says whether the
/// client ended its side in the meantime.
async fn linger(watch: &Watch, stream: &mut TcpStream) -> bool {
    if stream.shutdown().await.is_err() {
        return false;
    }
    watch.set_deadline(LINGER);
    let (mut from, _) = stream.split();
    let mut slot = None;
    let mut dropped = 0;
    while dropped < LINGER_BYTES_MAX {
        match read_some(watch, &mut from, &mut slot, Buffer::small).await {
            Ok(0) => return true,
            Err(_) => return false,
            Ok(count) => {
                dropped += count;
                slot = None;
            }
        }
    }
    false
}

/// Makes the close a reset.
fn reset(stream: &TcpStream) {
    // Where the socket is gone already there is nothing left to reset.
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
