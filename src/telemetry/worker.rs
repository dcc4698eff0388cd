//! One worker's counters: plain relaxed atomics that only this worker writes and the scrape sums.
//!
//! Promises that settling a request costs about ten uncontended additions and no allocation, lock or lookup. Never
//! counts by anything that a client chooses: every label is an index into a table made beforehand.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::histogram::{Histogram, OVERHEAD_BOUNDS_NS, UPSTREAM_BOUNDS_NS};
use super::settled::{End, Settled};
use crate::domain::denial::Denial;

/// Routes that have counters of their own, reserved labels included; 48 KiB of counters a worker.
pub(crate) const ROUTE_PLACES_MAX: usize = 1024;
/// Upstreams that have counters of their own, `other` included; about 30 KiB of counters a worker.
pub(crate) const UPSTREAM_PLACES_MAX: usize = 256;
/// The place of requests that matched no route.
pub(crate) const NO_ROUTE: usize = 0;
/// Classes of status, the first for responses that never began.
pub(crate) const STATUS_CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Why an attempt on an upstream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpstreamFailure {
    /// Its host name has no address.
    Resolve,
    /// It refused the connection, or cannot be reached.
    Connect,
    /// It did not take the connection in time.
    ConnectTimeout,
    /// It closed or broke the connection before the head of a response.
    Broken,
    /// What it sent is not HTTP, or is ambiguous, or has too large a head.
    Malformed,
    /// It sent no head of a response in time.
    HeadTimeout,
    /// It closed or broke the connection in the middle of a response.
    BodyBroken,
    /// Its response, or the request to it, made no progress for too long or took too long in all.
    BodyTimeout,
}

impl UpstreamFailure {
    /// All of them, for tables of metrics.
    pub const ALL: [UpstreamFailure; 8] = [
        UpstreamFailure::Resolve,
        UpstreamFailure::Connect,
        UpstreamFailure::ConnectTimeout,
        UpstreamFailure::Broken,
        UpstreamFailure::Malformed,
        UpstreamFailure::HeadTimeout,
        UpstreamFailure::BodyBroken,
        UpstreamFailure::BodyTimeout,
    ];

    /// As metrics and logs say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            UpstreamFailure::Resolve => "resolve",
            UpstreamFailure::Connect => "connect",
            UpstreamFailure::ConnectTimeout => "connect_timeout",
            UpstreamFailure::Broken => "broken",
            UpstreamFailure::Malformed => "malformed",
            UpstreamFailure::HeadTimeout => "head_timeout",
            UpstreamFailure::BodyBroken => "body_broken",
            UpstreamFailure::BodyTimeout => "body_timeout",
        }
    }
}

/// One worker's counters of one upstream.
#[derive(Debug, Default)]
pub struct UpstreamMetrics {
    pub(crate) opened: AtomicU64,
    pub(crate) reused: AtomicU64,
    pub(crate) idle: AtomicI64,
    pub(crate) retries: AtomicU64,
    pub(crate) failures: [AtomicU64; UpstreamFailure::ALL.len()],
}

impl UpstreamMetrics {
    /// A new connection stands.
    pub fn connection_opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// A request took a connection out of the pool.
    pub fn connection_reused(&self) {
        self.reused.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection went into the pool.
    pub fn idle_added(&self) {
        self.idle.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection left the pool, to be used or to be closed.
    pub fn idle_removed(&self) {
        self.idle.fetch_sub(1, Ordering::Relaxed);
    }

    /// An attempt is made again on another connection.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was used or tried at all: 0 where it can be left out.
    pub(crate) fn uses(&self) -> i128 {
        let counters = [&self.opened, &self.reused, &self.retries].into_iter().chain(&self.failures);
        counters.map(|counter| i128::from(counter.load(Ordering::Relaxed))).sum()
    }

    /// An attempt failed, whether or not it is made again.
    pub fn failed(&self, failure: UpstreamFailure) {
        if let Some(counter) = self.failures.get(failure as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One worker's counters. Made by [`super::Metrics::worker`].
#[derive(Debug)]
#[repr(align(128))] // two cache lines: no two workers' counters share one, nor a pair that is fetched together
pub struct WorkerMetrics {
    pub(crate) connections_accepted: AtomicU64,
    pub(crate) connections_closed: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) requests_started: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) overhead: Histogram,
    pub(crate) upstream_wait: Histogram,
    pub(crate) denials: [AtomicU64; Denial::ALL.len()],
    pub(crate) ends: [AtomicU64; End::ALL.len()],
    pub(crate) requests: Box<[[AtomicU64; STATUS_CLASSES.len()]]>,
    pub(crate) upstreams: Box<[UpstreamMetrics]>,
    /// Where an index beyond the table counts, so that [`WorkerMetrics::upstream`] always has an answer.
    pub(crate) stray_upstream: UpstreamMetrics,
}

impl WorkerMetrics {
    pub(crate) fn new() -> WorkerMetrics {
        WorkerMetrics {
            connections_accepted: AtomicU64::new(0),
            connections_closed: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            requests_started: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            overhead: Histogram::new(OVERHEAD_BOUNDS_NS),
            upstream_wait: Histogram::new(UPSTREAM_BOUNDS_NS),
            denials: std::array::from_fn(|_| AtomicU64::new(0)),
            ends: std::array::from_fn(|_| AtomicU64::new(0)),
            requests: (0..ROUTE_PLACES_MAX).map(|_| std::array::from_fn(|_| AtomicU64::new(0))).collect(),
            upstreams: (0..UPSTREAM_PLACES_MAX).map(|_| UpstreamMetrics::default()).collect(),
            stray_upstream: UpstreamMetrics::default(),
        }
    }

    /// A downstream connection was accepted and is served.
    pub fn connection_opened(&self) {
        self.connections_accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// A downstream connection that was counted as opened is gone.
    pub fn connection_closed(&self) {
        self.connections_closed.fetch_add(1, Ordering::Relaxed);
    }

    /// A downstream connection was closed at once because there are `connections_max` of them.
    pub fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A request's head began to arrive. Exactly one [`WorkerMetrics::settle`] must follow.
    pub fn request_started(&self) {
        self.requests_started.fetch_add(1, Ordering::Relaxed);
    }

    /// The counters of the upstream to which [`super::Metrics::intern_upstream`] gave `index`.
    pub fn upstream(&self, index: usize) -> &UpstreamMetrics {
        self.upstreams.get(index).unwrap_or(&self.stray_upstream)
    }

    /// Counts a request that is over.
    pub fn settle(&self, settled: &Settled<'_>) {
        let route = settled.route.map_or(NO_ROUTE, |route| route.index);
        let classes = self.requests.get(route).or_else(|| self.requests.first());
        if let Some(counter) = classes.and_then(|classes| classes.get(status_class(settled.status))) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if settled.bytes_in > 0 {
            self.bytes_in.fetch_add(settled.bytes_in, Ordering::Relaxed);
        }
        if settled.bytes_out > 0 {
            self.bytes_out.fetch_add(settled.bytes_out, Ordering::Relaxed);
        }
        self.overhead.observe(settled.overhead_ns);
        if let Some(nanos) = settled.upstream_ns {
            self.upstream_wait.observe(nanos);
        }
        if let Some(counter) = settled.denial.and_then(|denial| self.denials.get(denial.index())) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if settled.end != End::Complete
            && let Some(counter) = self.ends.get(settled.end.index())
        {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many requests were settled: the sum over routes and classes, so that the two can never disagree.
    pub(crate) fn requests_settled(&self) -> u64 {
        self.requests.iter().flatten().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }
}

/// The place of a status in [`STATUS_CLASSES`].
fn status_class(status: u16) -> usize {
    let class = usize::from(status / 100);
    if (1..=5).contains(&class) { class } else { 0 }
}
