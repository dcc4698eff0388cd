//! A settled request for tests to vary.

use std::net::{IpAddr, Ipv4Addr};

use super::settled::{End, Settled};
use crate::domain::clock::{Moment, UnixMillis};

/// A good request, without a key, that took 12.345 ms and ended whole.
pub(crate) fn settled() -> Settled<'static> {
    let started = Moment { mono_ns: 1_000, unix: UnixMillis(1_763_899_351_007) };
    Settled {
        started,
        ended: Moment { mono_ns: 12_346_000, unix: UnixMillis(1_763_899_351_019) },
        request_id: "r-1",
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        principal: None,
        organization: None,
        agent: None,
        route: None,
        upstream: None,
        method: "GET",
        path: b"/agents/echo/run",
        status: 200,
        bytes_in: 10,
        bytes_out: 20,
        upstream_ns: Some(11_000_000),
        overhead_ns: 15_000,
        denial: None,
        end: End::Complete,
    }
}
