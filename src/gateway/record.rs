//! What is known of the request that runs on a connection, and its settlement.
//!
//! The guard that lives as long as the response's body: promises that every request is settled exactly once, with
//! metrics, access log and the key's counters told the same, whether it ends, breaks, or is dropped where it stands.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use super::snapshot::RoutePlace;
use super::worker::Worker;
use crate::domain::clock::Moment;
use crate::domain::denial::Denial;
use crate::domain::id::AgentId;
use crate::keytable::KeyEntry;
use crate::limits::{Outcome, Path, Permit};
use crate::telemetry::{End, RouteLabel, Settled};

/// A request that runs.
pub(crate) struct Record<'b> {
    worker: &'b Worker,
    started: Moment,
    pub(crate) request_id: RequestId,
    pub(crate) client: IpAddr,
    pub(crate) method: &'b str,
    /// Canonical, or as it came where it was refused before.
    pub(crate) path: Cow<'b, [u8]>,
    pub(crate) route: Option<RouteLabel<'b>>,
    /// Where the key's use counts the route.
    pub(crate) route_place: Option<&'b RoutePlace>,
    /// The key, once it was authenticated.
    pub(crate) entry: Option<Arc<KeyEntry>>,
    pub(crate) agent: Option<(AgentId, String)>,
    pub(crate) upstream: Option<&'b str>,
    /// When it was charged to the key's limits; when it began, where it was not.
    pub(crate) charged: Moment,
    /// Held until the end: what concurrency counts.
    pub(crate) permit: Option<Permit>,
    pub(crate) status: u16,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) upstream_ns: Option<u64>,
    /// From the head until it was sent on; the whole time where it was not.
    pub(crate) overhead_ns: Option<u64>,
    pub(crate) denial: Option<Denial>,
    /// Cut, unless something else is said before the end: only a dropped task says nothing.
    pub(crate) end: End,
}

impl<'b> Record<'b> {
    pub(crate) fn begin(worker: &'b Worker, started: Moment, client: IpAddr) -> Record<'b> {
        worker.metrics.request_started();
        Record {
            worker,
            started,
            charged: started,
            request_id: worker.next_request_id(),
            client,
            method: "",
            path: Cow::Borrowed(b""),
            route: None,
            route_place: None,
            entry: None,
            agent: None,
            upstream: None,
            permit: None,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            upstream_ns: None,
            overhead_ns: None,
            denial: None,
            end: End::Cut,
        }
    }

    pub(crate) fn started(&self) -> Moment {
        self.started
    }

    fn count(&self, entry: &KeyEntry, outcome: Outcome) {
        let Worker { limiter, paths, .. } = self.worker;
        match self.route_place {
            Some(RoutePlace { index, label }) => {
                let agent = self.agent.as_ref().map(|(id, slug)| (*id, slug.as_str()));
                limiter.count_path(paths, entry.account(), outcome, &Path { route: *index, label, agent });
            }
            None => limiter.count(entry.account(), outcome),
        }
    }

    fn outcome(&self, admitted: bool) -> Outcome {
        match (self.denial, self.end) {
            (Some(denial), _) if admitted => Outcome::Failed(denial),
            (Some(denial), _) => Outcome::Denied(denial),
            (None, End::UpstreamBroke | End::TimedOut) => Outcome::Failed(Denial::BadGateway),
            (None, End::Complete | End::ClientGone | End::Cut) => Outcome::Allowed,
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let ended = self.worker.clock.now();
        // The slot is free before the key's numbers say that the request is over.
        let admitted = self.permit.take().is_some();
        if let Some(entry) = &self.entry {
            self.count(entry, self.outcome(admitted));
        }
        let total_ns = ended.nanos_since(self.started);
        let settled = Settled {
            started: self.started,
            ended,
            request_id: self.request_id.as_str(),
            client: self.client,
            principal: self.entry.as_ref().map(|entry| entry.principal()),
            organization: self.entry.as_ref().map(|entry| entry.organization.slug.as_str()),
            agent: self.agent.as_ref().map(|(_, slug)| slug.as_str()),
            route: self.route,
            upstream: self.upstream,
            method: self.method,
            path: &self.path,
            status: self.status,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            upstream_ns: self.upstream_ns,
            overhead_ns: self.overhead_ns.unwrap_or(total_ns),
            denial: self.denial,
            end: self.end,
        };
        self.worker.metrics.settle(&settled);
        self.worker.access_log.write(&settled);
    }
}

/// Names a request in responses, logs and to the upstream: 32 hex digits, of which 16 are the worker's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId([u8; 32]);

impl RequestId {
    pub(crate) fn new(worker: u64, count: u64) -> RequestId {
        let mut digits = [b'0'; 32];
        let value = (u128::from(worker) << 64) | u128::from(count);
        for (digit, byte) in digits.chunks_exact_mut(2).zip(value.to_be_bytes()) {
            for (place, nibble) in digit.iter_mut().zip([byte >> 4, byte & 0xf]) {
                *place = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            }
        }
        RequestId(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_names_worker_and_count() {
        let id = RequestId::new(0xfeed_0000_0000_0001, 255);
        assert_eq!(id.as_str(), "feed00000000000100000000000000ff");
    }
}
