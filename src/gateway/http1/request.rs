//! The front door: request heads, read more strictly than any HTTP library does.
//!
//! Promises that an accepted head has one meaning for every recipient (RFC 9112 sections 3, 5 and 6): CRLF line ends,
//! one valid Host, one framing, a target in origin or absolute form. What is ambiguous is refused here, before
//! anything looks at a key, and its connection is closed.

use std::mem::MaybeUninit;

use super::body::Framing;
use super::field::{Field, Meaning, list};
use super::target::{self, Target};
use crate::domain::denial::Denial;

/// Most field lines that can be configured as allowed.
const FIELDS_MAX: usize = 1_000;
/// Longest method; the longest registered one has 17 letters.
const METHOD_BYTES_MAX: usize = 32;

/// Bounds of a head, from the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadBounds {
    pub(crate) head_bytes_max: usize,
    pub(crate) fields_max: usize,
    pub(crate) target_bytes_max: usize,
}

/// A request head that passed every check.
#[derive(Debug)]
pub(crate) struct RequestHead<'b> {
    pub(crate) method: &'b str,
    pub(crate) target: Target<'b>,
    /// The authority that the client meant: Host, equal to an absolute-form target's. Empty for HTTP/1.0 without one.
    pub(crate) host: &'b str,
    /// HTTP/1.1 rather than HTTP/1.0.
    pub(crate) is_http_11: bool,
    pub(crate) fields: Vec<Field<'b>>,
    pub(crate) framing: Framing,
    /// Whether the client wants the connection kept.
    pub(crate) keep_alive: bool,
    /// The protocol that the client wants to change to, where it may.
    pub(crate) upgrade: Option<&'b [u8]>,
    pub(crate) expects_continue: bool,
}

/// Reads one head from the start of `bytes`. `Ok(None)`: not complete yet. Else the head and its length in bytes.
pub(crate) fn parse<'b>(
    bytes: &'b [u8],
    bounds: HeadBounds,
) -> Result<Option<(RequestHead<'b>, usize)>, Denial> {
    let mut storage = [const { MaybeUninit::<httparse::Header<'b>>::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(bytes, &mut storage);
    let length = match status {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return partial(bytes, bounds).map(|()| None),
        Err(httparse::Error::TooManyHeaders) => return Err(Denial::HeadTooLarge),
        Err(httparse::Error::Version) => return Err(Denial::UnsupportedVersion),
        Err(_) => return Err(Denial::BadRequest),
    };
    let text = parsed.path.unwrap_or_default();
    if text.len() > bounds.target_bytes_max {
        return Err(Denial::TargetTooLong);
    }
    if length > bounds.head_bytes_max || parsed.headers.len() > bounds.fields_max {
        return Err(Denial::HeadTooLarge);
    }
    if has_bare_line_end(bytes.get(..length).unwrap_or_default()) {
        return Err(Denial::BadRequest);
    }
    let method = parsed.method.unwrap_or_default();
    if method == "CONNECT" || method == "TRACE" || method.len() > METHOD_BYTES_MAX {
        return Err(Denial::UnsupportedMethod);
    }
    let target = target::parse(text).ok_or(Denial::BadRequest)?;
    let fields: Vec<Field<'b>> =
        parsed.headers.iter().map(|field| Field::new(field.name, field.value)).collect();
    let is_http_11 = parsed.version == Some(1);
    let facts = Facts::gather(&fields, is_http_11)?;
    let host = facts.host(target.authority, is_http_11)?;
    let framing = facts.framing(is_http_11)?;
    let head = RequestHead {
        method,
        target,
        host,
        is_http_11,
        framing,
        keep_alive: if is_http_11 { !facts.close } else { facts.keep_alive && !facts.close },
        upgrade: facts.wished_protocol(is_http_11, framing),
        expects_continue: facts.expects_continue && is_http_11,
        fields,
    };
    Ok(Some((head, length)))
}

/// An incomplete head: still within its bounds, and no bare line end so far?
fn partial(bytes: &[u8], bounds: HeadBounds) -> Result<(), Denial> {
    let first_line_ended = memchr::memchr(b'\n', bytes.trim_ascii_start()).is_some();
    if !first_line_ended && bytes.len() > bounds.target_bytes_max + METHOD_BYTES_MAX + " HTTP/1.1".len() {
        return Err(Denial::TargetTooLong);
    }
    if bytes.len() >= bounds.head_bytes_max {
        return Err(Denial::HeadTooLarge);
    }
    if has_bare_line_end(bytes) { Err(Denial::BadRequest) } else { Ok(()) }
}

/// The tokenizer takes a lone LF for a line end; other parsers do not, and that difference smuggles requests.
pub(crate) fn has_bare_line_end(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head.get(at - 1) != Some(&b'\r'))
}

/// What the fields say about the message itself.
#[derive(Default)]
struct Facts<'b> {
    host: Option<&'b str>,
    content_length: Option<u64>,
    transfer_encoding: Option<&'b [u8]>,
    upgrade: Option<&'b [u8]>,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    expects_continue: bool,
}

impl<'b> Facts<'b> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "fields that say nothing of the message are passed over"
    )]
    fn gather(fields: &[Field<'b>], is_http_11: bool) -> Result<Facts<'b>, Denial> {
        let mut facts = Facts::default();
        for field in fields {
            match field.meaning {
                Meaning::Host => {
                    let text = std::str::from_utf8(field.value).map_err(|_| Denial::BadRequest)?;
                    once(&mut facts.host, target::host(text).ok_or(Denial::BadRequest)?)?;
                }
                Meaning::ContentLength => once(&mut facts.content_length, content_length(field.value)?)?,
                Meaning::TransferEncoding => once(&mut facts.transfer_encoding, field.value)?,
                Meaning::Upgrade => once(&mut facts.upgrade, field.value)?,
                Meaning::Connection => facts.connection(field.value),
                Meaning::Expect => {
                    if !field.value.eq_ignore_ascii_case(b"100-continue") {
                        return Err(Denial::ExpectationFailed);
                    }
                    facts.expects_continue = true;
                }
                _ => {}
            }
        }
        // An HTTP/1.0 recipient on the way would not have understood the coding (RFC 9112 section 6.1).
        let coding_in_10 = facts.transfer_encoding.is_some() && !is_http_11;
        let both_framings = facts.transfer_encoding.is_some() && facts.content_length.is_some();
        if coding_in_10 || both_framings { Err(Denial::BadRequest) } else { Ok(facts) }
    }

    fn connection(&mut self, value: &[u8]) {
        for option in list(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }

    /// What the client wants to change to. Never HTTP/2: a tunnel to an upstream that speaks it would carry requests
    /// that no phase has seen (RFC 9113 has dropped `h2c` for the same reason).
    fn wished_protocol(&self, is_http_11: bool, framing: Framing) -> Option<&'b [u8]> {
        let may = is_http_11 && self.connection_upgrade && framing == Framing::Empty;
        let is_http = |protocol: &[u8]| {
            protocol.eq_ignore_ascii_case(b"h2c")
                || protocol.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"http"))
        };
        self.upgrade.filter(|wish| may && !list(wish).any(is_http))
    }

    /// One Host, the same as an absolute-form target's authority.
    fn host(&self, authority: Option<&'b str>, is_http_11: bool) -> Result<&'b str, Denial> {
        match (self.host, authority) {
            (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => Err(Denial::BadRequest),
            (Some(host), _) => Ok(host),
            (None, _) if is_http_11 => Err(Denial::BadRequest),
            (None, authority) => Ok(authority.unwrap_or_default()),
        }
    }

    fn framing(&self, is_http_11: bool) -> Result<Framing, Denial> {
        debug_assert!(is_http_11 || self.transfer_encoding.is_none());
        let Some(codings) = self.transfer_encoding else {
            return Ok(match self.content_length {
                None | Some(0) => Framing::Empty,
                Some(length) => Framing::Length(length),
            });
        };
        let chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
        if chunked(codings) {
            return Ok(Framing::Chunked);
        }
        let named: Vec<&[u8]> = list(codings).collect();
        // `chunked` twice or not last is malformed; another coding is one that we do not implement.
        let misplaced = named.iter().rev().skip(1).any(|coding| chunked(coding));
        let only_chunked = named.iter().all(|coding| chunked(coding));
        if misplaced || only_chunked { Err(Denial::BadRequest) } else { Err(Denial::UnknownTransferCoding) }
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Denial> {
    if slot.replace(value).is_some() { Err(Denial::BadRequest) } else { Ok(()) }
}

/// Digits only, once (RFC 9110 section 8.6): no sign, no list, no white space.
pub(crate) fn content_length(value: &[u8]) -> Result<u64, Denial> {
    let digits = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).map_err(|_| Denial::BadRequest)?;
    if digits { text.parse().map_err(|_| Denial::BadRequest) } else { Err(Denial::BadRequest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: HeadBounds = HeadBounds { head_bytes_max: 2_000, fields_max: 10, target_bytes_max: 200 };

    fn refused(text: &str) -> Option<Denial> {
        parse(text.as_bytes(), BOUNDS).err()
    }

    #[test]
    fn a_plain_request_is_read() {
        let wire = b"POST /a?b HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\n\r\nabc";
        let (head, length) = parse(wire, BOUNDS).unwrap().unwrap();
        assert_eq!(
            (head.method, head.target.path, head.target.query, head.host),
            ("POST", "/a", Some("b"), "h:1")
        );
        assert_eq!((head.framing, head.keep_alive, length), (Framing::Length(3), true, wire.len() - 3));
        assert!(parse(&wire[..length - 1], BOUNDS).unwrap().is_none());
    }

    #[test]
    fn whatever_two_parsers_could_read_differently_is_refused() {
        use Denial::{
            BadRequest, ExpectationFailed, HeadTooLarge, TargetTooLong, UnknownTransferCoding,
            UnsupportedMethod, UnsupportedVersion,
        };
        let long_target = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(300));
        let long_head = format!("GET / HTTP/1.1\r\nHost: h\r\nx: {}\r\n\r\n", "a".repeat(3_000));
        let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "x: y\r\n".repeat(20));
        for (text, denial) in [
            ("GET / HTTP/1.1\r\n\r\n", BadRequest),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", BadRequest),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BadRequest),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", BadRequest),
            ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", BadRequest),
            ("GET / HTTP/1.1\nHost: h\n\n", BadRequest),
            ("GET / HTTP/1.1\r\nHost: h\r\n x: y\r\n\r\n", BadRequest),
            ("GET / HTTP/1.1\r\nHost: h\r\nx : y\r\n\r\n", BadRequest),
            ("GET / HTTP/1.1\r\nHost: h\r\nx: a\0b\r\n\r\n", BadRequest),
            ("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", BadRequest),
            ("GET * HTTP/1.1\r\nHost: h\r\n\r\n", BadRequest),
            ("GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n", BadRequest),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                BadRequest,
            ),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", BadRequest),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\n", BadRequest),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\n", BadRequest),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", BadRequest),
            (
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                BadRequest,
            ),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", BadRequest),
            ("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", BadRequest),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", UnknownTransferCoding),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", UnknownTransferCoding),
            ("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", UnsupportedMethod),
            ("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", UnsupportedMethod),
            ("GET / HTTP/1.1\r\nHost: h\r\nExpect: cake\r\n\r\n", ExpectationFailed),
            ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", UnsupportedVersion),
            (long_target.as_str(), TargetTooLong),
            (long_head.as_str(), HeadTooLarge),
            (many.as_str(), HeadTooLarge),
        ] {
            assert_eq!(refused(text), Some(denial), "{text:?}");
        }
    }

    #[test]
    fn a_change_to_another_http_is_never_passed_on() {
        let wish = |protocol: &str| {
            let text =
                format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\n");
            parse(text.as_bytes(), BOUNDS).unwrap().unwrap().0.upgrade.map(<[u8]>::to_vec)
        };
        assert_eq!(wish("websocket").as_deref(), Some(b"websocket".as_slice()));
        for http in ["h2c", "websocket, h2c", "HTTP/2.0"] {
            assert_eq!(wish(http), None, "{http}");
        }
    }

    #[test]
    fn an_endless_head_is_refused_before_it_ends() {
        assert_eq!(refused(&format!("GET /{}", "a".repeat(400))), Some(Denial::TargetTooLong));
        assert_eq!(
            refused(&format!("GET / HTTP/1.1\r\nx: {}", "a".repeat(2_000))),
            Some(Denial::HeadTooLarge)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_front_door_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes, BOUNDS);
        }
    }
}
