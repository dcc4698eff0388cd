//! WebSocket (RFC 6455) as far as a cut needs it: where frames end, and what a last one looks like.
//!
//! Promises that a stream counts as being between two frames only where that is certain: whatever cannot be a frame of
//! its sender ends the following for good. Never looks at a payload, never copies one.

use super::http1::field::Meaning;
use super::http1::response::ResponseHead;
use super::http1::watch::Cause;

/// Close, unmasked, 1008 (policy violation) and in words what a refused request is told.
const NOT_PERMITTED: &[u8] = b"\x88\x16\x03\xF0access not permitted";
/// Close, unmasked, 1001 (going away).
const GOING_AWAY: &[u8] = b"\x88\x02\x03\xE9";

/// First byte of a frame: nothing of its message follows.
const FINAL: u8 = 0x80;
/// First byte of a frame: what kind it is; from 8 on it is a control frame.
const OPCODE: u8 = 0x0F;
const CONTROL: u8 = 0x08;
const CLOSE: u8 = 0x08;
/// Second byte of a frame: its payload is masked.
const MASKED: u8 = 0x80;
/// Longest payload that the second byte can name, and longest one of a control frame.
const SHORT_BYTES_MAX: u8 = 125;

/// Whether the upstream's 101 turned the connection into a WebSocket, and into nothing else besides.
pub(crate) fn was_chosen(response: &ResponseHead<'_>) -> bool {
    let mut chosen = response.fields.iter().filter(|field| field.meaning == Meaning::Upgrade);
    let first = chosen.next().is_some_and(|field| field.value.eq_ignore_ascii_case(b"websocket"));
    first && chosen.next().is_none()
}

/// The last frame that a client gets when its connection is cut.
pub(crate) fn close_for_client(cause: Cause) -> &'static [u8] {
    match cause {
        Cause::Revoked => NOT_PERMITTED,
        Cause::Leaving => GOING_AWAY,
    }
}

/// The last frame that an upstream gets: 1001, whatever the cause, for the upstream has violated nothing. What a client
/// sends is masked, with a key that nobody can foresee (section 5.3).
pub(crate) fn close_for_upstream(mask: [u8; 4]) -> [u8; 8] {
    let [first, second, third, fourth] = mask;
    [CLOSE | FINAL, 2 | MASKED, first, second, third, fourth, 0x03 ^ first, 0xE9 ^ second]
}

/// Whose frames they are: a client masks all of its frames, a server none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}

/// Where a stream stands after the bytes seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Every frame that began has ended: a control frame may come here, even within a message of several frames.
    Between,
    /// In the middle of a frame: nothing may come between.
    Within,
    /// A Close frame went by: nothing may come any more.
    Closed,
    /// These are not the sender's frames.
    Lost,
}

/// Follows the frames of one direction.
#[derive(Debug)]
pub(crate) struct Frames {
    sender: Sender,
    /// What the next byte is.
    next: Part,
    /// The frame that began last is a Close.
    is_close: bool,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    First,
    Second {
        first: u8,
    },
    /// Of a length in 2 or 8 bytes, `left` of them to come; shorter ones than `least` are not written so.
    Length {
        left: u8,
        least: u64,
        so_far: u64,
    },
    /// Of the mask's 4 bytes, `left` of them to come.
    Mask {
        left: u8,
        payload: u64,
    },
    /// Of the payload, `left` of its bytes to come, at least one.
    Payload {
        left: u64,
    },
    Closed,
    Lost,
}

impl Frames {
    pub(crate) fn new(sender: Sender) -> Frames {
        Frames { sender, next: Part::First, is_close: false }
    }

    pub(crate) fn standing(&self) -> Standing {
        match self.next {
            Part::First => Standing::Between,
            Part::Second { .. } | Part::Length { .. } | Part::Mask { .. } | Part::Payload { .. } => {
                Standing::Within
            }
            Part::Closed => Standing::Closed,
            Part::Lost => Standing::Lost,
        }
    }

    /// Takes the bytes that come next.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, behind)) = bytes.split_first() {
            if matches!(self.next, Part::Closed | Part::Lost) {
                return;
            }
            if let Part::Payload { left } = self.next {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                self.next = self.payload(left - here as u64);
                bytes = bytes.get(here..).unwrap_or_default();
            } else {
                self.next = self.head(byte);
                bytes = behind;
            }
        }
    }

    /// Takes a byte outside of a payload.
    fn head(&mut self, byte: u8) -> Part {
        match self.next {
            Part::First => {
                self.is_close = byte & OPCODE == CLOSE;
                Part::Second { first: byte }
            }
            Part::Second { first } => self.second(first, byte),
            Part::Length { left, least, so_far } => {
                let so_far = (so_far << 8) | u64::from(byte);
                match left {
                    2.. => Part::Length { left: left - 1, least, so_far },
                    // The highest bit is 0, and a length is written in as few bytes as can be (section 5.2).
                    _ if so_far < least || so_far > u64::MAX / 2 => Part::Lost,
                    _ => self.mask(so_far),
                }
            }
            Part::Mask { left: left @ 2.., payload } => Part::Mask { left: left - 1, payload },
            Part::Mask { payload, .. } => self.payload(payload),
            part @ (Part::Payload { .. } | Part::Closed | Part::Lost) => part,
        }
    }

    fn second(&self, first: u8, second: u8) -> Part {
        let is_masked = second & MASKED != 0;
        let short = second & !MASKED;
        let control_is_wrong = first & CONTROL != 0 && (first & FINAL == 0 || short > SHORT_BYTES_MAX);
        if is_masked != (self.sender == Sender::Client) || control_is_wrong {
            return Part::Lost;
        }
        match short {
            126 => Part::Length { left: 2, least: u64::from(SHORT_BYTES_MAX) + 1, so_far: 0 },
            127 => Part::Length { left: 8, least: u64::from(u16::MAX) + 1, so_far: 0 },
            length => self.mask(u64::from(length)),
        }
    }

    /// What comes behind the length.
    fn mask(&self, payload: u64) -> Part {
        match self.sender {
            Sender::Client => Part::Mask { left: 4, payload },
            Sender::Server => self.payload(payload),
        }
    }

    fn payload(&self, left: u64) -> Part {
        match left {
            0 if self.is_close => Part::Closed,
            0 => Part::First,
            left => Part::Payload { left },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::denial::Denial;

    fn standing(sender: Sender, bytes: &[u8]) -> Standing {
        let mut frames = Frames::new(sender);
        frames.follow(bytes);
        frames.standing()
    }

    /// A frame as section 5.2 draws it.
    fn frame(sender: Sender, first: u8, payload: usize) -> Vec<u8> {
        let mask_bit = if sender == Sender::Client { 0x80 } else { 0 };
        let mut bytes = vec![first];
        match payload {
            0..=125 => bytes.push(mask_bit | u8::try_from(payload).unwrap()),
            126..=65_535 => {
                bytes.push(mask_bit | 126);
                bytes.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(mask_bit | 127);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        if sender == Sender::Client {
            bytes.extend([1, 2, 3, 4]);
        }
        bytes.resize(bytes.len() + payload, b'x');
        bytes
    }

    /// Reads all that is there from its first byte, frame by frame, as a parser with everything in memory would.
    fn read_anew(sender: Sender, bytes: &[u8]) -> Standing {
        let mut rest = bytes;
        while !rest.is_empty() {
            let [first, second, behind @ ..] = rest else { return Standing::Within };
            let masked = second >> 7 == 1;
            let (is_final, opcode, short) = (first >> 7 == 1, first & 15, second & 127);
            if masked != matches!(sender, Sender::Client) || (opcode >= 8 && (!is_final || short > 125)) {
                return Standing::Lost;
            }
            let (length, width) = match short {
                126 => match behind.first_chunk::<2>() {
                    Some(length) => (u64::from(u16::from_be_bytes(*length)), 2),
                    None => return Standing::Within,
                },
                127 => match behind.first_chunk::<8>() {
                    Some(length) => (u64::from_be_bytes(*length), 8),
                    None => return Standing::Within,
                },
                short => (u64::from(short), 0),
            };
            if (width == 2 && length <= 125) || (width == 8 && (length <= 65_535 || length >> 63 == 1)) {
                return Standing::Lost;
            }
            let whole = 2 + width as u64 + if masked { 4 } else { 0 } + length;
            if (rest.len() as u64) < whole {
                return Standing::Within;
            }
            if opcode == 8 {
                return Standing::Closed;
            }
            rest = &rest[usize::try_from(whole).unwrap()..];
        }
        Standing::Between
    }

    /// Follows `bytes` in pieces and compares with the other reading after each.
    fn agrees(sender: Sender, bytes: &[u8], pieces: &[usize]) {
        let mut frames = Frames::new(sender);
        let mut at = 0;
        for piece in pieces.iter().cycle() {
            let end = (at + piece).min(bytes.len());
            frames.follow(&bytes[at..end]);
            assert_eq!(frames.standing(), read_anew(sender, &bytes[..end]), "after {end} bytes");
            at = end;
            if at == bytes.len() {
                return;
            }
        }
    }

    fn senders() -> impl Strategy<Value = Sender> {
        prop_oneof![Just(Sender::Client), Just(Sender::Server)]
    }

    fn lengths() -> impl Strategy<Value = usize> {
        prop_oneof![0..4_usize, 120..130_usize, 65_530..65_540_usize, 0..3_000_usize]
    }

    /// First bytes: fragments, whole messages, control frames; a Close is the rarest.
    fn firsts() -> impl Strategy<Value = u8> {
        prop::sample::select(vec![0x01, 0x00, 0x80, 0x81, 0x82, 0xC1, 0x89, 0x8A, 0x01, 0x82, 0x88, 0x08])
    }

    proptest! {
        #[test]
        fn frames_are_followed_in_whatever_pieces_they_pass(
            sender in senders(),
            frames in prop::collection::vec((firsts(), lengths()), 1..6),
            pieces in prop::collection::vec(1..9_000_usize, 1..8),
        ) {
            let bytes: Vec<u8> =
                frames.into_iter().flat_map(|(first, length)| frame(sender, first, length)).collect();
            agrees(sender, &bytes, &pieces);
        }

        #[test]
        fn every_byte_of_short_frames_is_followed(
            sender in senders(),
            frames in prop::collection::vec((firsts(), 0..200_usize), 1..5),
        ) {
            let bytes: Vec<u8> =
                frames.into_iter().flat_map(|(first, length)| frame(sender, first, length)).collect();
            agrees(sender, &bytes, &[1]);
        }

        #[test]
        fn bytes_that_mean_nothing_are_read_alike(
            sender in senders(),
            bytes in prop::collection::vec(any::<u8>(), 1..400),
            pieces in prop::collection::vec(1..20_usize, 1..8),
        ) {
            agrees(sender, &bytes, &pieces);
        }
    }

    #[test]
    fn between_two_frames_of_a_message_is_between() {
        for sender in [Sender::Client, Sender::Server] {
            let (begun, ping) = (frame(sender, 0x01, 5), frame(sender, 0x89, 0));
            assert_eq!(standing(sender, &begun), Standing::Between);
            assert_eq!(standing(sender, &begun[..begun.len() - 1]), Standing::Within);
            assert_eq!(standing(sender, &[begun, ping].concat()), Standing::Between);
            assert_eq!(standing(sender, b""), Standing::Between);
        }
    }

    #[test]
    fn what_cannot_be_the_senders_frame_ends_the_following_for_good() {
        let wrong: [(&str, Sender, &[u8]); 7] = [
            ("a server that masks", Sender::Server, b"\x81\x80"),
            ("a client that does not", Sender::Client, b"\x81\x00"),
            ("a fragment of a ping", Sender::Server, b"\x09\x00"),
            ("a ping of 126 bytes", Sender::Server, b"\x89\x7E"),
            ("125 in two bytes", Sender::Server, b"\x82\x7E\x00\x7D"),
            ("65535 in eight bytes", Sender::Server, b"\x82\x7F\0\0\0\0\0\0\xFF\xFF"),
            ("more than 63 bits", Sender::Server, b"\x82\x7F\x80\0\0\0\0\0\0\0"),
        ];
        for (what, sender, bytes) in wrong {
            assert_eq!(standing(sender, bytes), Standing::Lost, "{what}");
            let (before, last) = bytes.split_at(bytes.len() - 1);
            assert_eq!(standing(sender, before), Standing::Within, "{what}, not yet {last:?}");
            let then = [bytes, &frame(sender, 0x81, 3)].concat();
            assert_eq!(standing(sender, &then), Standing::Lost, "{what}, then a good frame");
        }
    }

    #[test]
    fn the_last_frames_are_whole_and_close() {
        for cause in [Cause::Revoked, Cause::Leaving] {
            assert_eq!(standing(Sender::Server, close_for_client(cause)), Standing::Closed);
        }
        let frame = close_for_client(Cause::Revoked);
        assert_eq!(frame[2..4], 1008_u16.to_be_bytes());
        assert_eq!(&frame[4..], Denial::UnknownKey.message().as_bytes());
        assert_eq!(close_for_client(Cause::Leaving)[2..], 1001_u16.to_be_bytes());
        let frame = close_for_upstream([9, 8, 7, 6]);
        assert_eq!(standing(Sender::Client, &frame), Standing::Closed);
        assert_eq!([frame[6] ^ 9, frame[7] ^ 8], 1001_u16.to_be_bytes());
    }
}
