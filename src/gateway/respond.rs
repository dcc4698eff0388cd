//! Phase 9: response heads to the client, and the one place where a denial becomes a response.
//!
//! Promises that a refusal's bytes depend on its denial and request id alone, and that the gateway's own fields are
//! never an upstream's. Never writes to a socket: it composes.

use super::http1::body::Framing;
use super::http1::field::{Meaning, list};
use super::http1::pump::Encoding;
use super::http1::request::RequestHead;
use super::http1::response::ResponseHead;
use super::record::Record;
use super::worker::Worker;
use crate::domain::denial::Denial;

/// A denial with what its response needs besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) denial: Denial,
    pub(crate) retry_after_s: Option<u64>,
    /// The methods that a 405 names.
    pub(crate) allow: Option<String>,
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Refusal {
        // Overload and leaving pass soon; anything longer would keep clients away from what has recovered.
        let retry_after_s = (denial.status() == 503).then_some(1);
        Refusal { denial, retry_after_s, allow: None }
    }
}

/// Composes a refusal. `to_head`: a HEAD request gets the head alone.
pub(crate) fn refuse(
    refusal: &Refusal,
    record: &mut Record<'_>,
    worker: &Worker,
    to_head: bool,
    close: bool,
    out: &mut Vec<u8>,
) {
    let denial = refusal.denial;
    record.status = denial.status();
    record.denial = Some(denial);
    let mut body = Vec::with_capacity(128);
    body.extend_from_slice(b"{\"statusCode\":");
    push_number(u64::from(denial.status()), &mut body);
    body.extend_from_slice(b",\"message\":\"");
    body.extend_from_slice(denial.message().as_bytes());
    body.extend_from_slice(b"\",\"requestId\":\"");
    body.extend_from_slice(record.request_id.as_str().as_bytes());
    body.extend_from_slice(b"\"}");
    out.extend_from_slice(b"HTTP/1.1 ");
    push_number(u64::from(denial.status()), out);
    out.push(b' ');
    let reason =
        http::StatusCode::from_u16(denial.status()).ok().and_then(|status| status.canonical_reason());
    out.extend_from_slice(reason.unwrap_or("Refused").as_bytes());
    out.extend_from_slice(b"\r\ndate: ");
    out.extend_from_slice(worker.http_date().as_bytes());
    out.extend_from_slice(
        b"\r\ncontent-type: application/json\r\ncache-control: no-store\r\ncontent-length: ",
    );
    push_number(body.len() as u64, out);
    out.extend_from_slice(b"\r\n");
    if denial.status() == 401 {
        out.extend_from_slice(b"www-authenticate: Bearer\r\n");
    }
    if let Some(seconds) = refusal.retry_after_s {
        out.extend_from_slice(b"retry-after: ");
        push_number(seconds, out);
        out.extend_from_slice(b"\r\n");
    }
    if let Some(allow) = &refusal.allow {
        push_field("allow", allow.as_bytes(), out);
    }
    push_gateway_fields(record, worker, close, out);
    out.extend_from_slice(b"\r\n");
    if !to_head {
        record.bytes_out += body.len() as u64;
        out.extend_from_slice(&body);
    }
}

/// How the rest of a response is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) encoding: Encoding,
    /// The connection's end is the body's end, or the connection cannot be kept for another reason.
    pub(crate) close: bool,
}

/// Composes the head of an upstream's response for the client.
pub(crate) fn relay_head(
    request: &RequestHead<'_>,
    response: &ResponseHead<'_>,
    record: &mut Record<'_>,
    worker: &Worker,
    may_keep: bool,
    out: &mut Vec<u8>,
) -> Delivery {
    record.status = response.status;
    push_status_line(response, out);
    push_end_to_end_fields(response, out);
    let unknown_length = matches!(response.framing, Framing::Chunked | Framing::UntilClose);
    let encoding = if unknown_length && request.is_http_11 { Encoding::Chunked } else { Encoding::Identity };
    let close = !may_keep || (unknown_length && !request.is_http_11);
    if encoding == Encoding::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    } else if let Some(length) = response.content_length.filter(|_| response.status != 204) {
        out.extend_from_slice(b"content-length: ");
        push_number(length, out);
        out.extend_from_slice(b"\r\n");
    }
    if !close && !request.is_http_11 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    push_gateway_fields(record, worker, close, out);
    out.extend_from_slice(b"\r\n");
    Delivery { encoding, close }
}

/// Composes an interim response (1xx) as it came, hop-by-hop fields apart.
pub(crate) fn relay_interim(response: &ResponseHead<'_>, out: &mut Vec<u8>) {
    push_status_line(response, out);
    push_end_to_end_fields(response, out);
    out.extend_from_slice(b"\r\n");
}

/// Composes the 101 after which the connection belongs to another protocol.
pub(crate) fn relay_switch(
    response: &ResponseHead<'_>,
    record: &mut Record<'_>,
    worker: &Worker,
    out: &mut Vec<u8>,
) {
    record.status = 101;
    push_status_line(response, out);
    push_end_to_end_fields(response, out);
    for field in response.fields.iter().filter(|field| field.meaning == Meaning::Upgrade) {
        push_field("upgrade", field.value, out);
    }
    out.extend_from_slice(b"connection: upgrade\r\n");
    push_gateway_fields(record, worker, false, out);
    out.extend_from_slice(b"\r\n");
}

fn push_status_line(response: &ResponseHead<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_number(u64::from(response.status), out);
    out.push(b' ');
    out.extend_from_slice(response.reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn push_end_to_end_fields(response: &ResponseHead<'_>, out: &mut Vec<u8>) {
    let nominated = |name: &str| {
        let connections = response.fields.iter().filter(|field| field.meaning == Meaning::Connection);
        connections
            .flat_map(|field| list(field.value))
            .any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
    };
    for field in &response.fields {
        let passes = matches!(
            field.meaning,
            Meaning::EndToEnd | Meaning::Date | Meaning::ForwardedOther | Meaning::Host | Meaning::Expect
        );
        if passes && !nominated(field.name) {
            push_field(field.name, field.value, out);
        }
    }
}

/// What every response of the gateway carries: the request's id, what is left of the key's limits, and the end of the
/// connection where it ends.
fn push_gateway_fields(record: &Record<'_>, worker: &Worker, close: bool, out: &mut Vec<u8>) {
    push_field("x-request-id", record.request_id.as_str().as_bytes(), out);
    let shows_limits = record.permit.is_some() || record.denial.is_some_and(|denial| denial.status() == 429);
    if let Some(entry) = record.entry.as_ref().filter(|_| shows_limits) {
        worker.limiter.write_fields(entry.account(), &entry.limits, record.charged, out);
    }
    if close {
        out.extend_from_slice(b"connection: close\r\n");
    }
}

pub(crate) fn push_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

pub(crate) fn push_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
