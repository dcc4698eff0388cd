//! Reading into lent buffers and writing all of several pieces, within the connection's deadline.

use std::io;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;

use super::buffer::Buffer;
use super::watch::{TimedOut, Watch};

/// Why a read or write did not happen.
#[derive(Debug)]
pub(crate) enum IoFailure {
    /// The deadline passed.
    TimedOut,
    /// The connection broke.
    Broken,
}

impl From<TimedOut> for IoFailure {
    fn from(_: TimedOut) -> IoFailure {
        IoFailure::TimedOut
    }
}

impl From<io::Error> for IoFailure {
    fn from(_: io::Error) -> IoFailure {
        IoFailure::Broken
    }
}

/// Reads what is there into `slot`, borrowing a buffer from `lend` only once there is something to read. 0 is the
/// peer's end. The buffer must have room if there is one.
pub(crate) async fn read_some(
    watch: &Watch,
    from: &mut ReadHalf<'_>,
    slot: &mut Option<Buffer>,
    lend: fn() -> Buffer,
) -> Result<usize, IoFailure> {
    if slot.as_ref().is_some_and(Buffer::is_empty) {
        *slot = None;
    }
    let count = watch
        .wait(|cx| {
            if from.as_ref().poll_read_ready(cx)?.is_pending() {
                return Poll::Pending;
            }
            let buffer = slot.get_or_insert_with(lend);
            let mut room = ReadBuf::new(buffer.spare());
            let read = Pin::new(&mut *from).poll_read(cx, &mut room);
            let count = room.filled().len();
            match read {
                Poll::Ready(Ok(())) => {
                    buffer.filled(count);
                    Poll::Ready(io::Result::Ok(count))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => {
                    if buffer.is_empty() {
                        *slot = None;
                    }
                    Poll::Pending
                }
            }
        })
        .await??;
    Ok(count)
}

/// Writes every byte of `pieces`, in order, with as few system calls as the socket allows.
pub(crate) async fn write_all(
    watch: &Watch,
    to: &mut (impl AsyncWrite + Unpin),
    pieces: [&[u8]; 3],
) -> Result<(), IoFailure> {
    let mut rest = pieces;
    while rest.iter().any(|piece| !piece.is_empty()) {
        let [first, second, third] = rest;
        let slices = [io::IoSlice::new(first), io::IoSlice::new(second), io::IoSlice::new(third)];
        let one_piece = second.is_empty() && third.is_empty();
        let written = watch
            .wait(|cx| {
                let to = Pin::new(&mut *to);
                if one_piece { to.poll_write(cx, first) } else { to.poll_write_vectored(cx, &slices) }
            })
            .await??;
        if written == 0 {
            return Err(IoFailure::Broken);
        }
        let mut left = written;
        for piece in &mut rest {
            let taken = left.min(piece.len());
            *piece = piece.get(taken..).unwrap_or_default();
            left -= taken;
        }
    }
    Ok(())
}

/// Waits until the peer closes or breaks its side. Bytes that arrive are left alone, and end the watching: the peer
/// has more to say, so it is there.
pub(crate) async fn peer_gone(from: &ReadHalf<'_>) {
    let stream: &TcpStream = from.as_ref();
    if let Ok(1..) = stream.peek(&mut [0_u8; 1]).await {
        std::future::pending::<()>().await;
    }
}
