//! One request that is over, as metrics and the access log are told of it.
//!
//! Owns the words for how a response ended. Borrows everything, so settling allocates nothing; holds no query
//! string and no header field, so neither can reach a log by oversight.

use std::net::IpAddr;

use crate::domain::clock::Moment;
use crate::domain::denial::Denial;
use crate::domain::principal::Principal;

/// A route as metrics and the access log name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteLabel<'a> {
    /// Its counter, as [`super::Metrics::intern_route`] gave it.
    pub index: usize,
    /// Its name, or its path pattern where it has none.
    pub label: &'a str,
}

/// A request that is over: its response ended, or will never come.
#[derive(Debug, Clone, Copy)]
pub struct Settled<'a> {
    /// When the first byte of the head was read.
    pub started: Moment,
    /// When the last byte of the response was written, or the exchange was given up.
    pub ended: Moment,
    /// As in `x-request-id`.
    pub request_id: &'a str,
    /// The client's address: the peer's, or what a trusted proxy said.
    pub client: IpAddr,
    /// The key, where one was authenticated.
    pub principal: Option<Principal>,
    /// The organization's slug.
    pub organization: Option<&'a str>,
    /// The agent's slug.
    pub agent: Option<&'a str>,
    /// The route, where one matched.
    pub route: Option<RouteLabel<'a>>,
    /// The upstream's name, where one was chosen.
    pub upstream: Option<&'a str>,
    /// The method as it came.
    pub method: &'a str,
    /// The canonical path without its query; as it came where it was refused before it had a canonical form. Bytes,
    /// because what was refused need not be UTF-8.
    pub path: &'a [u8],
    /// The response's status; 0 where no response was begun.
    pub status: u16,
    /// Bytes of the request's body, without framing; what a tunnel carried upstream counts too.
    pub bytes_in: u64,
    /// Bytes of the response's body, without framing; what a tunnel carried downstream counts too.
    pub bytes_out: u64,
    /// Nanoseconds from turning to the upstream until its response's head was there: connecting and waiting.
    pub upstream_ns: Option<u64>,
    /// Nanoseconds that the gateway itself took, from the head read until it was sent on or refused.
    pub overhead_ns: u64,
    /// Why it was refused, where it was.
    pub denial: Option<Denial>,
    /// How the response ended.
    pub end: End,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// Whole.
    Complete,
    /// The client closed or broke its connection.
    ClientGone,
    /// The upstream broke off in the middle of its response.
    UpstreamBroke,
    /// The key was revoked or disabled while the response ran.
    Cut,
    /// It made no progress for too long, or took too long in all.
    TimedOut,
}

impl End {
    /// All of them, for tables of metrics.
    pub const ALL: [End; 5] = [End::Complete, End::ClientGone, End::UpstreamBroke, End::Cut, End::TimedOut];

    /// Its place in [`End::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// As metrics and the access log say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            End::Complete => "complete",
            End::ClientGone => "client_gone",
            End::UpstreamBroke => "upstream_broke",
            End::Cut => "cut",
            End::TimedOut => "timed_out",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_stands_at_its_own_place() {
        for (place, end) in End::ALL.iter().enumerate() {
            assert_eq!(end.index(), place);
        }
    }
}
