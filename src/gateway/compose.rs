//! Phase 8, first half: the request as the upstream will read it.
//!
//! Promises that it is one well-formed request whatever came in: one Host, one framing, no hop-by-hop field, no
//! credential, no client's copy of what the gateway injects (DESIGN guarantee G5).

use super::credential::{is_bearer_of_key, without_credentials};
use super::http1::body::Framing;
use super::http1::field::{Field, Meaning, list};
use super::http1::request::RequestHead;
use super::respond::{push_field, push_number};
use super::routes::CompiledRoute;
use crate::domain::secret::SecretFormat;
use crate::keytable::KeyEntry;

/// What composing needs to know besides the head.
pub(crate) struct Forwarded<'a> {
    pub(crate) route: &'a CompiledRoute,
    pub(crate) parameters: &'a [&'a str],
    /// The canonical path.
    pub(crate) path: &'a str,
    pub(crate) agent: Option<&'a str>,
    pub(crate) entry: Option<&'a KeyEntry>,
    pub(crate) request_id: &'a str,
    /// The connection's other end.
    pub(crate) peer: &'a str,
    /// The peer may say for whom it asks.
    pub(crate) peer_is_trusted: bool,
    pub(crate) key_format: &'a SecretFormat,
}

/// Composes the head for the endpoint of that authority.
pub(crate) fn compose(head: &RequestHead<'_>, forwarded: &Forwarded<'_>, authority: &str, out: &mut Vec<u8>) {
    push_request_line(head, forwarded, out);
    push_field("host", authority.as_bytes(), out);
    let nominated = nominated(&head.fields);
    for field in &head.fields {
        if passes(field, forwarded)
            && !nominated.iter().any(|name| field.name.as_bytes().eq_ignore_ascii_case(name))
        {
            push_field(field.name, field.value, out);
        }
    }
    match head.framing {
        Framing::Empty => {
            // A method that usually has a body says so when it has none (RFC 9110 section 8.6).
            if matches!(head.method, "POST" | "PUT" | "PATCH") {
                out.extend_from_slice(b"content-length: 0\r\n");
            }
        }
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            push_number(length, out);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked | Framing::UntilClose => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if head.expects_continue && head.framing != Framing::Empty {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
    push_connection(head, out);
    push_injected(head, forwarded, out);
    out.extend_from_slice(b"\r\n");
}

fn push_request_line(head: &RequestHead<'_>, forwarded: &Forwarded<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    match &forwarded.route.rewrite {
        Some(rewrite) => {
            out.extend_from_slice(rewrite.expand(forwarded.parameters, forwarded.agent).as_bytes())
        }
        None => out.extend_from_slice(forwarded.path.as_bytes()),
    }
    if let Some(query) = head.target.query {
        let credentials = &forwarded.route.route.query_credentials;
        if credentials.is_empty() {
            out.push(b'?');
            out.extend_from_slice(query.as_bytes());
        } else {
            let kept = without_credentials(query, credentials);
            if !kept.is_empty() {
                out.push(b'?');
                out.extend_from_slice(kept.as_bytes());
            }
        }
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// The fields that `Connection` names: they end here (RFC 9110 section 7.6.1).
fn nominated<'b>(fields: &[Field<'b>]) -> Vec<&'b [u8]> {
    let connections = fields.iter().filter(|field| field.meaning == Meaning::Connection);
    connections.flat_map(|field| list(field.value)).collect()
}

fn passes(field: &Field<'_>, forwarded: &Forwarded<'_>) -> bool {
    match field.meaning {
        Meaning::EndToEnd | Meaning::Date | Meaning::Answered => true,
        Meaning::Authorization => {
            // With a key, any bearer token is the credential; without one, only what looks like a key is.
            let is_bearer = field.value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"));
            let is_credential = is_bearer && forwarded.entry.is_some();
            !(is_credential || is_bearer_of_key(field.value, forwarded.key_format))
        }
        Meaning::ForwardedOther => forwarded.peer_is_trusted && field.name.eq_ignore_ascii_case("forwarded"),
        Meaning::ForwardedFor
        | Meaning::Host
        | Meaning::ContentLength
        | Meaning::TransferEncoding
        | Meaning::Connection
        | Meaning::Upgrade
        | Meaning::Expect
        | Meaning::Te
        | Meaning::ApiKey
        | Meaning::HopByHop
        | Meaning::Injected => false,
    }
}

fn push_connection(head: &RequestHead<'_>, out: &mut Vec<u8>) {
    let wants_trailers = head.fields.iter().any(|field| {
        field.meaning == Meaning::Te
            && list(field.value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    });
    match (head.upgrade, wants_trailers) {
        (Some(protocol), _) => {
            push_field("upgrade", protocol, out);
            out.extend_from_slice(b"connection: upgrade\r\n");
        }
        (None, true) => out.extend_from_slice(b"te: trailers\r\nconnection: te\r\n"),
        (None, false) => {}
    }
}

fn push_injected(head: &RequestHead<'_>, forwarded: &Forwarded<'_>, out: &mut Vec<u8>) {
    if let Some(entry) = forwarded.entry {
        let principal = entry.principal();
        push_displayed("x-keystile-key-id", principal.key, out);
        push_field("x-keystile-organization", entry.organization.slug.as_str().as_bytes(), out);
        push_field("x-keystile-scope", principal.scope.as_str().as_bytes(), out);
        if let Some(agent) = forwarded.agent {
            push_field("x-keystile-agent", agent.as_bytes(), out);
        }
    }
    push_field("x-request-id", forwarded.request_id.as_bytes(), out);
    out.extend_from_slice(b"x-forwarded-for: ");
    if forwarded.peer_is_trusted {
        for field in head.fields.iter().filter(|field| field.meaning == Meaning::ForwardedFor) {
            out.extend_from_slice(field.value);
            out.extend_from_slice(b", ");
        }
    }
    out.extend_from_slice(forwarded.peer.as_bytes());
    out.extend_from_slice(b"\r\n");
    let said = |name: &str| {
        let mut fields = head.fields.iter().filter(|_| forwarded.peer_is_trusted);
        fields.find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    };
    push_field("x-forwarded-proto", said("x-forwarded-proto").unwrap_or(b"http"), out);
    if !head.host.is_empty() {
        push_field("x-forwarded-host", said("x-forwarded-host").unwrap_or(head.host.as_bytes()), out);
    }
    out.extend_from_slice(b"via: 1.1 keystile\r\n");
}

fn push_displayed(name: &str, value: impl std::fmt::Display, out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{name}: {value}\r\n");
}
