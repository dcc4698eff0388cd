//! Body framing: where a message's body ends, and nothing beyond it (RFC 9112 sections 6 and 7).
//!
//! The decoder works in place on a [`Buffer`]. Promises that a body ends cleanly only where its framing says so, that
//! chunk sizes are digits and nothing else, and that extensions and trailers are bounded. Never buffers a body.

use super::buffer::Buffer;

/// How a message's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body.
    Empty,
    /// Exactly this many bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// A response that ends with its connection.
    UntilClose,
}

/// The framing was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What [`Decoder::step`] found at the start of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// This many bytes of the buffer's unread part are body; consume them and step again.
    Content(usize),
    /// More bytes are needed.
    More,
    /// The body is complete; what is unread belongs to the next message.
    End,
}

/// Longest chunk-size line: 16 hex digits and a bounded extension, which is dropped.
const SIZE_LINE_BYTES_MAX: usize = 256;
/// Largest trailer section.
const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Finds a body's pieces in a stream of bytes.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    /// The trailer section as it came, line ends included.
    trailers: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Content(u64),
    UntilClose,
    ChunkSize,
    ChunkContent(u64),
    ChunkEnd,
    Trailers,
    Done,
}

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Decoder {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Content(length),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Decoder { state, trailers: Vec::new() }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The trailer section that came with a chunked body, for those who pass it on.
    pub(crate) fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    /// Whether the peer may close now without having cut the body short.
    pub(crate) fn may_end_here(&self) -> bool {
        matches!(self.state, State::Done | State::UntilClose)
    }

    /// Looks at the buffer's start and says what is there. Consumes framing, never content.
    pub(crate) fn step(&mut self, buffer: &mut Buffer) -> Result<Step, Malformed> {
        loop {
            let available = buffer.unread().len();
            match self.state {
                State::Done => return Ok(Step::End),
                _ if available == 0 => return Ok(Step::More),
                State::UntilClose => return Ok(Step::Content(available)),
                State::Content(left) => {
                    let count = at_most(left, available);
                    let left = left - count as u64;
                    self.state = if left == 0 { State::Done } else { State::Content(left) };
                    return Ok(Step::Content(count));
                }
                State::ChunkContent(left) => {
                    let count = at_most(left, available);
                    let left = left - count as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::ChunkContent(left) };
                    return Ok(Step::Content(count));
                }
                State::ChunkSize => {
                    let Some(line) = line(buffer.unread(), SIZE_LINE_BYTES_MAX)? else {
                        return Ok(Step::More);
                    };
                    let size = chunk_size(line)?;
                    let used = line.len() + 2;
                    buffer.consume(used);
                    self.state = if size == 0 { State::Trailers } else { State::ChunkContent(size) };
                }
                State::ChunkEnd => {
                    let Some(line) = line(buffer.unread(), 0)? else { return Ok(Step::More) };
                    let used = line.len() + 2;
                    buffer.consume(used);
                    self.state = State::ChunkSize;
                }
                State::Trailers => {
                    let room = TRAILER_BYTES_MAX.saturating_sub(self.trailers.len());
                    let Some(line) = line(buffer.unread(), room)? else { return Ok(Step::More) };
                    let used = line.len() + 2;
                    if line.is_empty() {
                        self.state = State::Done;
                    } else {
                        self.trailers.extend_from_slice(line);
                        self.trailers.extend_from_slice(b"\r\n");
                    }
                    buffer.consume(used);
                }
            }
        }
    }
}

fn at_most(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}

/// The bytes before the next CRLF; `None` where it has not come yet. A lone CR or LF, or a line over `bytes_max`, is
/// malformed.
fn line(bytes: &[u8], bytes_max: usize) -> Result<Option<&[u8]>, Malformed> {
    match memchr::memchr2(b'\r', b'\n', bytes) {
        Some(at) if at > bytes_max => Err(Malformed),
        Some(at) => match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'\r'), Some(b'\n')) => Ok(bytes.get(..at)),
            (Some(b'\r'), None) => Ok(None),
            _ => Err(Malformed),
        },
        None if bytes.len() > bytes_max => Err(Malformed),
        None => Ok(None),
    }
}

/// RFC 9112 section 7.1: 1*HEXDIG [ chunk-ext ]. At most 15 digits, so that no sum can overflow.
fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    if digits == 0 || digits > 15 {
        return Err(Malformed);
    }
    let (digits, extension) = line.split_at(digits);
    let visible = |b: &u8| *b == b'\t' || (0x20..0x7f).contains(b) || *b >= 0x80;
    let after_space = extension.trim_ascii_start();
    // Space is allowed before an extension and nowhere else.
    let well_formed = extension.is_empty() || after_space.first() == Some(&b';');
    if !well_formed || !extension.iter().all(visible) {
        return Err(Malformed);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Malformed)?;
    u64::from_str_radix(text, 16).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Body, trailers, and what is left.
    type Decoded = (Vec<u8>, Vec<u8>, Vec<u8>);

    /// Decodes `wire`, fed in pieces of `piece` bytes.
    fn decode(framing: Framing, wire: &[u8], piece: usize) -> Result<Decoded, Malformed> {
        let mut decoder = Decoder::new(framing);
        let mut buffer = Buffer::small();
        let mut body = Vec::new();
        let mut fed = 0;
        loop {
            match decoder.step(&mut buffer)? {
                Step::Content(count) => {
                    body.extend_from_slice(&buffer.unread()[..count]);
                    buffer.consume(count);
                }
                Step::More if fed == wire.len() => return Err(Malformed),
                Step::More => {
                    let next = (fed + piece).min(wire.len());
                    buffer.append(&wire[fed..next]);
                    fed = next;
                }
                Step::End => {
                    let mut rest = buffer.unread().to_vec();
                    rest.extend_from_slice(&wire[fed..]);
                    return Ok((body, decoder.trailers().to_vec(), rest));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_chunked_body_decodes_the_same_however_it_is_cut(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..8),
            piece in 1_usize..40,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:X};ext=1\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\nx-sum: 7\r\n\r\nGET");
            let (body, trailers, rest) = decode(Framing::Chunked, &wire, piece).unwrap();
            prop_assert_eq!(body, chunks.concat());
            prop_assert_eq!(trailers, b"x-sum: 7\r\n");
            prop_assert_eq!(rest, b"GET");
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(wire in proptest::collection::vec(any::<u8>(), 0..300), piece in 1_usize..50) {
            let _ = decode(Framing::Chunked, &wire, piece);
        }
    }

    #[test]
    fn sloppy_chunk_framing_is_malformed() {
        let long_extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(300));
        for wire in [
            "1\na\r\n0\r\n\r\n",
            "1\r\nab\r\n0\r\n\r\n",
            "1 \r\na\r\n0\r\n\r\n",
            "+1\r\na\r\n0\r\n\r\n",
            "0x1\r\na\r\n0\r\n\r\n",
            "-1\r\na\r\n0\r\n\r\n",
            "\r\n",
            "1000000000000000\r\n",
            "1;a\rb\r\na\r\n0\r\n\r\n",
            "1\r\na\n0\r\n\r\n",
            long_extension.as_str(),
        ] {
            assert_eq!(decode(Framing::Chunked, wire.as_bytes(), 1_000), Err(Malformed), "{wire:?}");
        }
    }

    #[test]
    fn a_body_cut_short_never_ends() {
        assert!(decode(Framing::Length(5), b"1234", 2).is_err());
        assert!(decode(Framing::Chunked, b"5\r\n12345\r\n0\r\n", 3).is_err());
        assert_eq!(decode(Framing::Length(3), b"1234", 2).unwrap().2, b"4");
    }
}
