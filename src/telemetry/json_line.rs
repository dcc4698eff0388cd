//! One settled request as one line of JSON, written without a serializer and without allocation.
//!
//! Owns the fields of the access log. Promises one valid JSON object and one line feed whatever the client sent,
//! and that every text went through redaction. Never writes a query string.

use std::io::Write;
use std::net::IpAddr;

use super::redaction::Redaction;
use super::settled::Settled;
use crate::domain::clock::UnixMillis;

const NANOS_PER_MILLI: u64 = 1_000_000;
const NANOS_PER_MICRO: u64 = 1_000;
const REPLACEMENT: &str = "\u{FFFD}";
/// `2026-11-23T14:02:31`, the part of an instant that a second's lines share.
const SECOND_BYTES: usize = 19;

/// Formats lines; remembers the text of the last second, since a second has many lines.
#[derive(Debug)]
pub(crate) struct LineFormat {
    redaction: Redaction,
    second: u64,
    second_text: String,
}

impl LineFormat {
    pub(crate) fn new(redaction: Redaction) -> LineFormat {
        LineFormat { redaction, second: u64::MAX, second_text: String::new() }
    }

    /// Appends the line of `settled`.
    pub(crate) fn write(&mut self, settled: &Settled<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        self.write_time(settled.started.unix, out);
        out.push(b'"');
        self.text(out, "requestId", Some(settled.request_id.as_bytes()));
        match settled.principal {
            // Writing to a vector cannot fail.
            Some(principal) => drop(write!(out, ",\"keyId\":\"{}\"", principal.key)),
            None => out.extend_from_slice(b",\"keyId\":null"),
        }
        self.text(out, "organization", settled.organization.map(str::as_bytes));
        self.text(out, "agent", settled.agent.map(str::as_bytes));
        self.text(out, "route", settled.route.map(|route| route.label.as_bytes()));
        self.text(out, "upstream", settled.upstream.map(str::as_bytes));
        self.text(out, "method", Some(settled.method.as_bytes()));
        self.text(out, "path", Some(without_query(settled.path)));
        number(out, "status", (settled.status != 0).then_some(u64::from(settled.status)));
        number(out, "bytesIn", Some(settled.bytes_in));
        number(out, "bytesOut", Some(settled.bytes_out));
        millis(out, "durationMs", Some(settled.ended.nanos_since(settled.started)));
        millis(out, "overheadMs", Some(settled.overhead_ns));
        millis(out, "upstreamMs", settled.upstream_ns);
        address(out, "client", settled.client);
        self.text(out, "end", Some(settled.end.as_str().as_bytes()));
        self.text(out, "denial", settled.denial.map(|denial| denial.reason().as_bytes()));
        out.extend_from_slice(b"}\n");
    }

    fn write_time(&mut self, at: UnixMillis, out: &mut Vec<u8>) {
        let second = at.0 / 1000;
        if second != self.second {
            self.second_text = at.to_rfc3339();
            self.second_text.truncate(SECOND_BYTES);
            self.second = second;
        }
        out.extend_from_slice(self.second_text.as_bytes());
        thousandths(out, at.0 % 1000);
        out.push(b'Z');
    }

    fn text(&self, out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
        field(out, name);
        let Some(value) = value else {
            out.extend_from_slice(b"null");
            return;
        };
        out.push(b'"');
        escape(out, &self.redaction.apply(value));
        out.push(b'"');
    }
}

/// What stands before the first `?` or `#`: the path that is handed in has neither, unless it was refused as it came.
fn without_query(path: &[u8]) -> &[u8] {
    let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
    path.get(..end).unwrap_or_default()
}

fn field(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(out: &mut Vec<u8>, name: &str, value: Option<u64>) {
    field(out, name);
    match value {
        Some(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
}

/// Nanoseconds as milliseconds with three decimals.
fn millis(out: &mut Vec<u8>, name: &str, nanos: Option<u64>) {
    number(out, name, nanos.map(|nanos| nanos / NANOS_PER_MILLI));
    if let Some(nanos) = nanos {
        thousandths(out, nanos % NANOS_PER_MILLI / NANOS_PER_MICRO);
    }
}

/// A point and three digits.
fn thousandths(out: &mut Vec<u8>, value: u64) {
    let digit = |place: u64| b'0' + u8::try_from(value / place % 10).unwrap_or(0);
    out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
}

fn address(out: &mut Vec<u8>, name: &str, address: IpAddr) {
    field(out, name);
    out.push(b'"');
    match address {
        // By hand, because the standard library's way through the formatter takes a tenth of the whole line.
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
    out.push(b'"');
}

/// `text` as the inside of a JSON string (RFC 8259 section 7). What is not UTF-8 becomes U+FFFD; DEL and the controls
/// above it, and the line separators that terminals and JavaScript break lines at, are escaped as well.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|byte| matches!(byte, 0x20..=0x7e) && *byte != b'"' && *byte != b'\\') {
        out.extend_from_slice(text);
        return;
    }
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(|character| escape_char(out, character));
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(REPLACEMENT.as_bytes());
        }
    }
}

fn escape_char(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
            drop(write!(out, "\\u{:04x}", u32::from(character)));
        }
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests;
