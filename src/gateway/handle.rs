//! THE PATH: what happens to one request, in order, on one screen.
//!
//! Each phase takes what it uses and returns a value or a denial; nothing is looked up twice. Promises that nothing
//! is forwarded before every phase before it said yes.

use std::borrow::Cow;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::authenticate::{Guard, authenticate};
use super::authorize::{Naming, authorize};
use super::client::client_address;
use super::compose::Forwarded;
use super::credential;
use super::forward::{Body, Exchange, ForwardFailure, Forwarding};
use super::http1::body::Framing;
use super::http1::request::RequestHead;
use super::http1::target::host_name;
use super::http1::watch::Watch;
use super::limit::admit;
use super::normalize::canonical;
use super::record::Record;
use super::respond::Refusal;
use super::routes::{CompiledRoute, Found};
use super::snapshot::{Snapshot, UpstreamTarget};
use super::worker::Worker;
use crate::domain::denial::Denial;
use crate::telemetry::{End, RouteLabel};

/// Why a request was not served to its end.
#[derive(Debug)]
pub(crate) enum Unserved {
    /// Refused: there is a response to send.
    Refused(Refusal),
    /// Its response broke off.
    Aborted(End),
}

impl From<Refusal> for Unserved {
    fn from(refusal: Refusal) -> Unserved {
        Unserved::Refused(refusal)
    }
}

impl From<Denial> for Unserved {
    fn from(denial: Denial) -> Unserved {
        Unserved::Refused(denial.into())
    }
}

/// What a request comes with.
pub(crate) struct Arrival<'a, 'b> {
    pub(crate) worker: &'b Worker,
    pub(crate) watch: &'a Watch,
    pub(crate) snapshot: &'b Snapshot,
    pub(crate) head: &'a RequestHead<'b>,
    pub(crate) peer: SocketAddr,
    /// The peer's address, written out once for each connection.
    pub(crate) peer_text: &'a str,
}

/// Takes a request through all phases.
pub(crate) async fn handle<'b>(
    arrival: &Arrival<'_, 'b>,
    downstream: &mut TcpStream,
    body: &mut Body<'_>,
    record: &mut Record<'b>,
) -> Result<Forwarding, Unserved> {
    let Arrival { worker, watch, snapshot, head, .. } = arrival;
    record.client = client_address(snapshot, arrival.peer.ip(), &head.fields);

    let path = canonical(head.target.path)?;
    record.path = match &path.text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.clone().into_bytes()),
    };
    let host = in_lower_case(host_name(head.host));
    let found = snapshot.routes.find(&host, &path.text, head.method);
    let (route, parameters) = enter(arrival, found, path.has_encoded_slash, record)?;
    let entry = record.entry.clone();
    let agent = match &entry {
        Some(entry) => {
            let fields = head.fields.as_slice();
            let naming = Naming { parameters: &parameters, query: head.target.query, fields, host: &host };
            authorize(entry, route, &naming, head.method)?
        }
        None => None,
    };
    record.agent = agent.map(|(id, slug)| (id, slug.to_owned()));
    let agent = agent.map(|(_, slug)| slug);
    body.bytes_max = route.route.body_bytes_max;
    refuse_too_large(head, body)?;
    let upstream = upstream(snapshot, route, &parameters, agent)?;
    record.upstream = Some(&upstream.name);
    if let Some(entry) = &entry {
        watch.set_key(Some(entry.id));
        let (permit, charged) = admit(worker, watch, entry, record.started()).await?;
        record.permit = Some(permit);
        record.charged = charged;
    }
    let request_id = record.request_id;
    watch.set_ceiling(upstream.timeouts.total);
    let forwarded = Forwarded {
        route,
        parameters: &parameters,
        path: &path.text,
        agent,
        entry: entry.as_deref(),
        request_id: request_id.as_str(),
        peer: arrival.peer_text,
        peer_is_trusted: snapshot.trusts(arrival.peer.ip()),
        key_format: &snapshot.key_format,
    };
    let exchange = Exchange { worker, watch, head, upstream, forwarded };
    exchange.run(downstream, body, record).await.map_err(|failure| match failure {
        ForwardFailure::Refused(denial) => denial.into(),
        ForwardFailure::Aborted(end) => Unserved::Aborted(end),
    })
}

/// A host has no case (RFC 9110 section 4.2.3), but an agent that is named by one has.
fn in_lower_case(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// The route, once whoever asks may know of it: without a good key there is only the 401, whatever was found.
fn enter<'b, 'p>(
    arrival: &Arrival<'_, 'b>,
    found: Found<'b, 'p>,
    has_encoded_slash: bool,
    record: &mut Record<'b>,
) -> Result<(&'b CompiledRoute, Vec<&'p str>), Unserved> {
    let mut is_public = false;
    if let Found::Route(route, place, _) = &found {
        let place = arrival.snapshot.route_place(*place);
        record.route = place.map(|place| RouteLabel { index: place.index, label: &route.route.label });
        record.route_place = place;
        is_public = !route.needs_key();
    }
    if !is_public {
        identify(arrival, &found, record)?;
    }
    match found {
        // After the key: which routes there are is nobody's business without one.
        Found::Route(route, ..) if has_encoded_slash && !route.route.encoded_slash => {
            Err(Denial::BadRequest.into())
        }
        Found::Route(route, _, parameters) => Ok((route, parameters)),
        Found::OtherMethods(allow) => Err(not_allowed(allow)),
        Found::Nothing => Err(Denial::NoRoute.into()),
    }
}

/// Credential and authentication; what fails here is counted against the client's address.
fn identify(
    arrival: &Arrival<'_, '_>,
    found: &Found<'_, '_>,
    record: &mut Record<'_>,
) -> Result<(), Unserved> {
    let Arrival { worker, snapshot, head, .. } = arrival;
    let allowed: &[String] = match found {
        Found::Route(route, ..) => &route.route.query_credentials,
        Found::OtherMethods(_) | Found::Nothing => &[],
    };
    let format = &snapshot.key_format;
    let identified = credential::find(&head.fields, head.target.path, head.target.query, allowed, format)
        .and_then(|credential| {
            authenticate(credential, format, &worker.keys, &worker.clock, record.started().unix)
        });
    match identified {
        Ok(entry) => {
            record.entry = Some(entry);
            Ok(())
        }
        Err(denial) => {
            let guard = worker.guard.as_deref();
            if guard.is_some_and(|guard| guard.has_failed_too_often(record.client)) {
                let retry_after_s = Some(Guard::RETRY_AFTER_S);
                let denial = Denial::TooManyFailures;
                return Err(Unserved::Refused(Refusal { denial, retry_after_s, allow: None }));
            }
            Err(denial.into())
        }
    }
}

fn not_allowed(allow: String) -> Unserved {
    Unserved::Refused(Refusal { denial: Denial::MethodNotAllowed, retry_after_s: None, allow: Some(allow) })
}

/// A length that is known to be too large is refused before anything is sent on.
fn refuse_too_large(head: &RequestHead<'_>, body: &Body<'_>) -> Result<(), Denial> {
    if let Framing::Length(length) = head.framing
        && length > body.bytes_max
    {
        return Err(Denial::BodyTooLarge);
    }
    Ok(())
}

fn upstream<'s>(
    snapshot: &'s Snapshot,
    route: &CompiledRoute,
    parameters: &[&str],
    agent: Option<&str>,
) -> Result<&'s UpstreamTarget, Denial> {
    let found = match route.upstream.literal() {
        Some(name) => snapshot.upstream(name),
        None => snapshot.upstream(&route.upstream.expand(parameters, agent)),
    };
    found.ok_or(Denial::Unavailable)
}
