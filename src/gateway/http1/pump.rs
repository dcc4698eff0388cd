//! Moves one body from one side to the other as it arrives, re-framed.
//!
//! Promises that nothing is held back while waiting for more, that at most one buffer is in use, and that the sink
//! sees an end only where the source's framing had one. Never buffers a body, never alters its content.

use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::tcp::ReadHalf;

use super::body::{Decoder, Framing, Step};
use super::buffer::Buffer;
use super::field::{Field, Meaning};
use super::io::{IoFailure, read_some, write_all};
use super::watch::Watch;

/// Pieces up to this size are gathered into one write; larger ones are written where they lie.
const GATHER_BYTES_MAX: usize = 4 * 1024;
/// What is gathered is written once it is this long.
const GATHERED_BYTES_MAX: usize = 32 * 1024;
/// Most trailer fields passed on.
const TRAILERS_MAX: usize = 32;

/// How the sink is told where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// The head named the length, or the connection's end will tell.
    Identity,
    /// Chunks and trailers.
    Chunked,
}

/// Why a body did not arrive whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PumpFailure {
    /// The source closed or broke before the end.
    SourceClosed,
    /// The source's framing is wrong.
    SourceMalformed,
    /// The source said nothing for too long.
    SourceTimedOut,
    /// The sink broke.
    SinkClosed,
    /// The sink took nothing for too long.
    SinkTimedOut,
    /// The body is over its bound.
    TooLarge,
}

/// One body on its way.
#[derive(Debug)]
pub(crate) struct Pump {
    decoder: Decoder,
    encoding: Encoding,
    /// Longest wait for progress on either side.
    idle: Duration,
    content_bytes_max: u64,
    /// Content moved so far.
    pub(crate) content_bytes: u64,
}

impl Pump {
    pub(crate) fn new(framing: Framing, encoding: Encoding, idle: Duration, content_bytes_max: u64) -> Pump {
        Pump { decoder: Decoder::new(framing), encoding, idle, content_bytes_max, content_bytes: 0 }
    }

    /// Whether the whole body went through.
    pub(crate) fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Moves the body. `slot` may hold bytes already read, `out` bytes to be written first (a head). At the end,
    /// what `slot` holds belongs to the source's next message.
    pub(crate) async fn run(
        &mut self,
        watch: &Watch,
        from: &mut ReadHalf<'_>,
        slot: &mut Option<Buffer>,
        to: &mut (impl AsyncWrite + Unpin),
        out: &mut Vec<u8>,
    ) -> Result<(), PumpFailure> {
        loop {
            if self.drain(watch, slot, to, out).await? {
                return self.finish(watch, to, out).await;
            }
            flush(watch, to, out).await?;
            watch.set_deadline(self.idle);
            match read_some(watch, from, slot, Buffer::large).await {
                Ok(0) | Err(IoFailure::Broken) if !self.decoder.may_end_here() => {
                    return Err(PumpFailure::SourceClosed);
                }
                Ok(0) => return self.finish(watch, to, out).await,
                Ok(_) => watch.set_deadline(self.idle),
                Err(IoFailure::Broken) => return Err(PumpFailure::SourceClosed),
                Err(IoFailure::TimedOut) => return Err(PumpFailure::SourceTimedOut),
            }
        }
    }

    /// Moves what is in the buffer. True at the body's end.
    async fn drain(
        &mut self,
        watch: &Watch,
        slot: &mut Option<Buffer>,
        to: &mut (impl AsyncWrite + Unpin),
        out: &mut Vec<u8>,
    ) -> Result<bool, PumpFailure> {
        let Some(buffer) = slot.as_mut() else { return Ok(self.decoder.is_done()) };
        loop {
            let count = match self.decoder.step(buffer).map_err(|_| PumpFailure::SourceMalformed)? {
                Step::Content(count) => count,
                Step::More => return Ok(false),
                Step::End => return Ok(true),
            };
            self.content_bytes += count as u64;
            if self.content_bytes > self.content_bytes_max {
                return Err(PumpFailure::TooLarge);
            }
            let content = buffer.unread().get(..count).unwrap_or_default();
            let line_end: &[u8] = match self.encoding {
                Encoding::Identity => b"",
                Encoding::Chunked => {
                    push_chunk_size(count, out);
                    b"\r\n"
                }
            };
            if count <= GATHER_BYTES_MAX {
                out.extend_from_slice(content);
                out.extend_from_slice(line_end);
                if out.len() > GATHERED_BYTES_MAX {
                    flush(watch, to, out).await?;
                }
            } else {
                write_all(watch, to, [out, content, line_end]).await.map_err(sink)?;
                out.clear();
                watch.set_deadline(self.idle);
            }
            buffer.consume(count);
        }
    }

    async fn finish(
        &mut self,
        watch: &Watch,
        to: &mut (impl AsyncWrite + Unpin),
        out: &mut Vec<u8>,
    ) -> Result<(), PumpFailure> {
        if self.encoding == Encoding::Chunked {
            out.extend_from_slice(b"0\r\n");
            push_trailers(self.decoder.trailers(), out)?;
            out.extend_from_slice(b"\r\n");
        }
        flush(watch, to, out).await
    }
}

async fn flush(
    watch: &Watch,
    to: &mut (impl AsyncWrite + Unpin),
    out: &mut Vec<u8>,
) -> Result<(), PumpFailure> {
    if out.is_empty() {
        return Ok(());
    }
    write_all(watch, to, [out, b"", b""]).await.map_err(sink)?;
    out.clear();
    Ok(())
}

fn sink(failure: IoFailure) -> PumpFailure {
    match failure {
        IoFailure::TimedOut => PumpFailure::SinkTimedOut,
        IoFailure::Broken => PumpFailure::SinkClosed,
    }
}

/// The size line of a chunk, lower-case hex.
pub(crate) fn push_chunk_size(size: usize, out: &mut Vec<u8>) {
    let bits = usize::BITS - size.leading_zeros();
    let digits = bits.div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let nibble = (size >> (place * 4)) & 0xf;
        out.push(b"0123456789abcdef".get(nibble).copied().unwrap_or(b'0'));
    }
    out.extend_from_slice(b"\r\n");
}

/// Passes on the trailers that mean something to the end alone: framing, routing, credentials and what the gateway
/// injects have no place in a trailer (RFC 9110 section 6.5.1).
fn push_trailers(section: &[u8], out: &mut Vec<u8>) -> Result<(), PumpFailure> {
    if section.is_empty() {
        return Ok(());
    }
    let mut whole = section.to_vec();
    whole.extend_from_slice(b"\r\n");
    let mut storage = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(&whole, &mut storage) else {
        return Err(PumpFailure::SourceMalformed);
    };
    for field in fields.iter().map(|field| Field::new(field.name, field.value)) {
        if field.meaning == Meaning::EndToEnd {
            out.extend_from_slice(field.name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value);
            out.extend_from_slice(b"\r\n");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_sizes_are_lower_case_hex() {
        for (size, line) in
            [(0, "0\r\n"), (1, "1\r\n"), (16, "10\r\n"), (131_072, "20000\r\n"), (255, "ff\r\n")]
        {
            let mut out = Vec::new();
            push_chunk_size(size, &mut out);
            assert_eq!(out, line.as_bytes());
        }
    }

    #[test]
    fn credentials_and_framing_are_cut_from_trailers() {
        let mut out = Vec::new();
        push_trailers(
            b"x-sum: 1\r\nx-api-key: k\r\ncontent-length: 3\r\nx_keystile_agent: a\r\nauthorization: b\r\n",
            &mut out,
        )
        .unwrap();
        assert_eq!(out, b"x-sum: 1\r\n");
        assert!(push_trailers(b"no colon\r\n", &mut out).is_err());
    }
}
