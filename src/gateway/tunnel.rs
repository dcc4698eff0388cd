//! After a 101: bytes both ways until both sides are done (RFC 9110 section 7.8).
//!
//! Promises that a side which ends its sending is told on, while the other may still speak, and that the peers of a
//! WebSocket which is cut get a Close frame for a last one, where one may stand and can be sent at once. Never alters
//! the bytes, and looks at those of a WebSocket only, to know where its frames end.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::http1::body::Framing;
use super::http1::buffer::Buffer;
use super::http1::pump::{Encoding, Pump, PumpFailure};
use super::http1::watch::{Cause, Watch};
use super::record::Record;
use super::websocket::{Frames, Sender, Standing, close_for_client, close_for_upstream};
use crate::telemetry::End;

/// The two connections, and what each peer said before the tunnel stood.
pub(crate) struct Sides<'a> {
    pub(crate) downstream: &'a mut TcpStream,
    pub(crate) upstream: &'a mut TcpStream,
    /// From the client, behind its request.
    pub(crate) early: Option<Buffer>,
    /// From the upstream, behind its 101.
    pub(crate) leftover: Option<Buffer>,
    pub(crate) is_websocket: bool,
}

/// Carries bytes until both directions ended, one broke, or both were silent for `idle`.
pub(crate) async fn run(watch: &Watch, idle: Duration, sides: Sides<'_>, record: &mut Record<'_>) {
    let Sides { downstream, upstream, early, leftover, is_websocket } = sides;
    let mut up = Pump::new(Framing::UntilClose, Encoding::Identity, idle, u64::MAX);
    let mut down = Pump::new(Framing::UntilClose, Encoding::Identity, idle, u64::MAX);
    let (from_client, to_client) = downstream.split();
    let (from_upstream, to_upstream) = upstream.split();
    let to_client = Outlet::new(to_client, Sender::Server, watch, is_websocket);
    let to_upstream = Outlet::new(to_upstream, Sender::Client, watch, is_websocket);
    let ended = {
        let mut upward = pin!(carry(&mut up, watch, from_client, early, to_upstream));
        let mut downward = pin!(carry(&mut down, watch, from_upstream, leftover, to_client));
        let mut running = (true, true);
        poll_fn(|cx| {
            if running.0
                && let Poll::Ready(result) = upward.as_mut().poll(cx)
            {
                running.0 = false;
                if let Err(failure) = result {
                    return Poll::Ready(end(failure, End::ClientGone, End::UpstreamBroke));
                }
            }
            if running.1
                && let Poll::Ready(result) = downward.as_mut().poll(cx)
            {
                running.1 = false;
                if let Err(failure) = result {
                    return Poll::Ready(end(failure, End::UpstreamBroke, End::ClientGone));
                }
            }
            if running == (false, false) { Poll::Ready(End::Complete) } else { Poll::Pending }
        })
        .await
    };
    record.bytes_in += up.content_bytes;
    record.bytes_out += down.content_bytes;
    record.end = ended;
}

async fn carry(
    pump: &mut Pump,
    watch: &Watch,
    mut from: ReadHalf<'_>,
    mut slot: Option<Buffer>,
    mut to: Outlet<'_>,
) -> Result<(), PumpFailure> {
    pump.run(watch, &mut from, &mut slot, &mut to, &mut Vec::new()).await?;
    // A peer that is gone already does not need to be told.
    let _ = to.shutdown().await;
    Ok(())
}

fn end(failure: PumpFailure, source: End, sink: End) -> End {
    match failure {
        PumpFailure::SourceTimedOut | PumpFailure::SinkTimedOut => End::TimedOut,
        PumpFailure::SinkClosed => sink,
        PumpFailure::SourceClosed | PumpFailure::SourceMalformed | PumpFailure::TooLarge => source,
    }
}

/// One peer's side to write to. Where it is dropped because the connection is cut, its last act is the Close frame.
struct Outlet<'a> {
    to: WriteHalf<'a>,
    /// Who the peer believes to hear.
    speaker: Sender,
    watch: &'a Watch,
    /// Where in its frames the peer is, by the bytes that its socket took; none where it is no WebSocket.
    frames: Option<Frames>,
}

impl<'a> Outlet<'a> {
    fn new(to: WriteHalf<'a>, speaker: Sender, watch: &'a Watch, is_websocket: bool) -> Outlet<'a> {
        Outlet { to, speaker, watch, frames: is_websocket.then(|| Frames::new(speaker)) }
    }

    /// Tells the peer of the cut without waiting for it. A socket that takes no whole frame now belongs to a peer that
    /// does not keep up: it is not worth more than a reset, which leaves none of the frame behind.
    fn part(&self, cause: Cause) {
        let told = match self.frames.as_ref().map(Frames::standing) {
            Some(Standing::Between) => self.close(cause).unwrap_or(false),
            Some(Standing::Closed) => true,
            None | Some(Standing::Within | Standing::Lost) => false,
        };
        if told && self.speaker == Sender::Server {
            self.watch.set_parted();
        }
    }

    fn close(&self, cause: Cause) -> io::Result<bool> {
        match self.speaker {
            Sender::Server => {
                let frame = close_for_client(cause);
                Ok(self.to.try_write(frame)? == frame.len())
            }
            Sender::Client => {
                let mut mask = [0; 4];
                getrandom::fill(&mut mask).map_err(io::Error::other)?;
                let frame = close_for_upstream(mask);
                Ok(self.to.try_write(&frame)? == frame.len())
            }
        }
    }
}

impl Drop for Outlet<'_> {
    fn drop(&mut self) {
        // A tunnel that ends by itself has no cause: it does so within a turn, and a cut connection gets none.
        if let Some(cause) = self.watch.cut_cause() {
            self.part(cause);
        }
    }
}

impl AsyncWrite for Outlet<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outlet = self.get_mut();
        let written = Pin::new(&mut outlet.to).poll_write(cx, bytes);
        if let (Some(frames), Poll::Ready(Ok(count))) = (&mut outlet.frames, &written) {
            frames.follow(bytes.get(..*count).unwrap_or_default());
        }
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outlet = self.get_mut();
        let written = Pin::new(&mut outlet.to).poll_write_vectored(cx, pieces);
        if let (Some(frames), Poll::Ready(Ok(count))) = (&mut outlet.frames, &written) {
            let mut left = *count;
            for piece in pieces {
                let taken = left.min(piece.len());
                frames.follow(piece.get(..taken).unwrap_or_default());
                left -= taken;
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.to.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().to).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().to).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// Larger than what two sockets hold between them.
    const LARGE: usize = 64 * 1024 * 1024;

    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (ours, listener.accept().await.unwrap().0)
    }

    /// Offers `pieces` to the outlet of a server's socket, once; has the peer take what the socket took; waits until the
    /// socket takes more; cuts. Gives how much it took, and all that comes behind it.
    async fn cut_after(pieces: &[&[u8]], vectored: bool) -> (usize, Vec<u8>) {
        let (mut ours, mut peer) = connection().await;
        let watch = Watch::new(0);
        let (_, to) = ours.split();
        let mut outlet = Outlet::new(to, Sender::Server, &watch, true);
        let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let took = poll_fn(|cx| {
            let outlet = Pin::new(&mut outlet);
            if vectored { outlet.poll_write_vectored(cx, &slices) } else { outlet.poll_write(cx, pieces[0]) }
        })
        .await
        .unwrap();
        let mut taken = vec![0; took];
        peer.read_exact(&mut taken).await.unwrap();
        outlet.to.writable().await.unwrap();
        watch.cut(Cause::Revoked);
        drop(outlet);
        drop(ours);
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap();
        (took, rest)
    }

    #[tokio::test]
    async fn what_counts_is_what_the_socket_took_and_not_what_it_was_offered() {
        let frame = [b"\x82\x7F\0\0\0\0\x04\0\0\0".as_slice(), &vec![0; LARGE]].concat();
        for (pieces, vectored) in
            [([frame.as_slice(), b""], false), ([b"\x81\x01x".as_slice(), &frame], true)]
        {
            let offered: usize = pieces.iter().map(|piece| piece.len()).sum();
            let (took, rest) = cut_after(&pieces, vectored).await;
            assert!(took < offered, "the socket took a part");
            assert_eq!(rest, b"", "no frame within a frame");
        }
        for vectored in [false, true] {
            let (took, rest) = cut_after(&[b"\x81\x01x", b""], vectored).await;
            assert_eq!((took, rest.as_slice()), (3, close_for_client(Cause::Revoked)));
        }
        let (_, rest) = cut_after(&[b"\x81", b"\x01x\x01\x00"], true).await;
        assert_eq!(rest, close_for_client(Cause::Revoked), "a frame in two pieces, then a fragment");
    }
}
