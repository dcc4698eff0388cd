//! Response heads of upstreams: read as strictly as requests, because a client's parser must not be fooled either.
//!
//! Promises that what is accepted has one framing (RFC 9112 section 6.3). Everything else is a bad gateway, and the
//! connection it came on is never used again.

use std::mem::MaybeUninit;

use super::body::{Framing, Malformed};
use super::field::{Field, Meaning, list};
use super::request::{content_length, has_bare_line_end};

/// Largest response head: twice what common servers send at most.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most field lines in a response.
const FIELDS_MAX: usize = 256;

/// A response head that passed every check.
#[derive(Debug)]
pub(crate) struct ResponseHead<'b> {
    pub(crate) status: u16,
    pub(crate) reason: &'b str,
    pub(crate) fields: Vec<Field<'b>>,
    pub(crate) framing: Framing,
    /// The length it names, even where no body follows (HEAD, 304).
    pub(crate) content_length: Option<u64>,
    /// Whether the upstream keeps the connection.
    pub(crate) keep_alive: bool,
}

/// Reads one head from the start of `bytes`; `Ok(None)` where it is not complete. `to_head`: answers a HEAD request.
pub(crate) fn parse(bytes: &[u8], to_head: bool) -> Result<Option<(ResponseHead<'_>, usize)>, Malformed> {
    let mut storage = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        bytes,
        &mut storage,
    );
    let length = match status {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() >= HEAD_BYTES_MAX => return Err(Malformed),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Malformed),
    };
    if length > HEAD_BYTES_MAX || has_bare_line_end(bytes.get(..length).unwrap_or_default()) {
        return Err(Malformed);
    }
    let fields: Vec<Field<'_>> =
        parsed.headers.iter().map(|field| Field::new(field.name, field.value)).collect();
    let status = parsed.code.filter(|code| (100..=599).contains(code)).ok_or(Malformed)?;
    let is_http_11 = parsed.version == Some(1);
    let mut facts = Facts::default();
    for field in &fields {
        facts.take(field)?;
    }
    let head = ResponseHead {
        status,
        reason: parsed.reason.unwrap_or_default(),
        framing: facts.framing(status, to_head, is_http_11)?,
        content_length: facts.content_length,
        keep_alive: if is_http_11 { !facts.close } else { facts.keep_alive && !facts.close },
        fields,
    };
    Ok(Some((head, length)))
}

#[derive(Default)]
struct Facts {
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl Facts {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "fields that say nothing of the message are passed over"
    )]
    fn take(&mut self, field: &Field<'_>) -> Result<(), Malformed> {
        match field.meaning {
            Meaning::ContentLength => {
                let length = content_length(field.value).map_err(|_| Malformed)?;
                if self.content_length.replace(length).is_some() {
                    return Err(Malformed);
                }
            }
            Meaning::TransferEncoding => {
                if self.chunked || !field.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed);
                }
                self.chunked = true;
            }
            Meaning::Connection => {
                for option in list(field.value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn framing(&self, status: u16, to_head: bool, is_http_11: bool) -> Result<Framing, Malformed> {
        if self.chunked && (self.content_length.is_some() || !is_http_11) {
            return Err(Malformed);
        }
        if to_head || status < 200 || status == 204 || status == 304 {
            return Ok(Framing::Empty);
        }
        Ok(match self.content_length {
            Some(length) => Framing::Length(length),
            None if self.chunked => Framing::Chunked,
            None => Framing::UntilClose,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framing(text: &str, to_head: bool) -> Result<Framing, Malformed> {
        parse(text.as_bytes(), to_head).map(|head| head.unwrap().0.framing)
    }

    #[test]
    fn a_responses_framing_is_read_as_rfc_9112_says() {
        assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false), Ok(Framing::Length(5)));
        assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true), Ok(Framing::Empty));
        assert_eq!(framing("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", false), Ok(Framing::Empty));
        assert_eq!(
            framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false),
            Ok(Framing::Chunked)
        );
        assert_eq!(framing("HTTP/1.0 200 OK\r\n\r\n", false), Ok(Framing::UntilClose));
    }

    #[test]
    fn a_response_with_two_meanings_is_malformed() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
            "HTTP/1.1 99 OK\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n\r\n",
        ] {
            assert!(parse(text.as_bytes(), false).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_response_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, false);
        }
    }
}
