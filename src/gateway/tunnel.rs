//! After a 101: bytes both ways until both sides are done (RFC 9110 section 7.8).
//!
//! Promises that a side which ends its sending is told on, while the other may still speak. Never looks at the bytes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use super::http1::body::Framing;
use super::http1::buffer::Buffer;
use super::http1::pump::{Encoding, Pump, PumpFailure};
use super::http1::watch::Watch;
use super::record::Record;
use crate::telemetry::End;

/// The two connections, and what each peer said before the tunnel stood.
pub(crate) struct Sides<'a> {
    pub(crate) downstream: &'a mut TcpStream,
    pub(crate) upstream: &'a mut TcpStream,
    /// From the client, behind its request.
    pub(crate) early: Option<Buffer>,
    /// From the upstream, behind its 101.
    pub(crate) leftover: Option<Buffer>,
}

/// Carries bytes until both directions ended, one broke, or both were silent for `idle`.
pub(crate) async fn run(watch: &Watch, idle: Duration, sides: Sides<'_>, record: &mut Record<'_>) {
    let Sides { downstream, upstream, early, leftover } = sides;
    let mut up = Pump::new(Framing::UntilClose, Encoding::Identity, idle, u64::MAX);
    let mut down = Pump::new(Framing::UntilClose, Encoding::Identity, idle, u64::MAX);
    let (from_client, to_client) = downstream.split();
    let (from_upstream, to_upstream) = upstream.split();
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
    mut to: WriteHalf<'_>,
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
