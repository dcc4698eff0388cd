//! All metrics of the process: what every worker counted, summed when it is asked for.
//!
//! Owns the names, the HELP texts and the bounds of label sets. Promises that a scrape never stops a worker, and
//! that no label holds what a client sent. Never keeps a number that someone else already keeps: those are read
//! through closures.

mod registered;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::TextEncoder;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;

use self::registered::Registered;
use super::exposition::{Family, Kind, histogram};
use super::histogram::{HistogramTotals, OVERHEAD_BOUNDS_NS, UPSTREAM_BOUNDS_NS};
use super::keys::{KeyCounters, KeySeries};
use super::labels::Labels;
use super::readiness::Readiness;
use super::settled::End;
use super::worker::{
    NO_ROUTE, ROUTE_PLACES_MAX, STATUS_CLASSES, UPSTREAM_PLACES_MAX, UpstreamFailure, UpstreamMetrics,
    WorkerMetrics,
};
use crate::domain::denial::Denial;

/// A metric that was to be registered breaks the rules for names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot register the metric {0}")]
pub struct InvalidMetric(String);

/// All metrics of the process.
pub struct Metrics {
    // Locks, because they are taken at start, on reload and by the scrape only; workers hold their own counters.
    workers: Mutex<Vec<Arc<WorkerMetrics>>>,
    registered: Mutex<Vec<Registered>>,
    key_series: Mutex<KeySeries>,
    key_counters: Arc<dyn KeyCounters>,
    routes: Labels,
    upstreams: Labels,
    readiness: Readiness,
    process: ProcessCollector,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Metrics with series for at most `keys_max` keys.
    pub fn new(key_counters: Arc<dyn KeyCounters>, keys_max: usize, readiness: Readiness) -> Metrics {
        let own_process = i32::try_from(std::process::id()).unwrap_or_default();
        Metrics {
            workers: Mutex::new(Vec::new()),
            registered: Mutex::new(Vec::new()),
            key_series: Mutex::new(KeySeries::new(keys_max)),
            key_counters,
            routes: Labels::new(&["none"], ROUTE_PLACES_MAX),
            upstreams: Labels::new(&[], UPSTREAM_PLACES_MAX),
            readiness,
            process: ProcessCollector::new(own_process, "keystile"),
        }
    }

    /// The counters of one more worker.
    pub fn worker(&self) -> Arc<WorkerMetrics> {
        let worker = Arc::new(WorkerMetrics::new());
        lock(&self.workers).push(Arc::clone(&worker));
        worker
    }

    /// The index of a route's counters, for [`super::RouteLabel`]. The same label has the same index for the life of
    /// the process, so a reload resets nothing; beyond 1022 labels they share `other`.
    pub fn intern_route(&self, label: &str) -> usize {
        self.routes.intern(label)
    }

    /// The label that is counted at an index that [`Metrics::intern_route`] gave.
    pub fn route_label(&self, index: usize) -> Arc<str> {
        self.routes.at(index)
    }

    /// The index of an upstream's counters, for [`WorkerMetrics::upstream`]. As for routes; `other` beyond 255.
    pub fn intern_upstream(&self, name: &str) -> usize {
        self.upstreams.intern(name)
    }

    /// Everything in the text format 0.0.4. Takes time in proportion to the keys that were used: call it where
    /// blocking is allowed.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        if let Err(error) = TextEncoder::new().encode_utf8(&self.families(), &mut text) {
            tracing::error!(%error, "metrics cannot be shown");
        }
        text
    }

    /// All families, sorted by name.
    fn families(&self) -> Vec<MetricFamily> {
        let workers = lock(&self.workers).clone();
        let mut families = self.process.collect();
        families.push(overhead(&workers));
        families.push(upstream_wait(&workers));
        let mut plain = vec![self.requests(&workers), denials(&workers), aborted(&workers), build()];
        plain.extend(connections(&workers));
        plain.extend(traffic(&workers));
        plain.extend(self.upstream_families(&workers));
        plain.extend(self.key_families());
        plain.push(Family::single(
            "keystile_configuration_generation",
            "Generation of the configuration that the data plane runs; it grows by one with each reload taken.",
            Kind::Gauge,
            self.readiness.generation() as f64,
        ));
        plain.push(Family::single(
            "keystile_ready_ratio",
            "Says 1 while /readyz wants requests, 0 while something stands against it.",
            Kind::Gauge,
            if self.readiness.is_ready() { 1.0 } else { 0.0 },
        ));
        families.extend(plain.into_iter().filter_map(Family::into_shape));
        families.extend(lock(&self.registered).iter().filter_map(Registered::family));
        families.sort_by(|one, other| one.name().cmp(other.name()));
        families
    }

    fn requests(&self, workers: &[Arc<WorkerMetrics>]) -> Family {
        let mut family = Family::new(
            "keystile_requests_total",
            "Requests that are over, by route and class of status; route=\"none\" matched no route, and \
             status_class=\"none\" had no response.",
            Kind::Counter,
        );
        for (place, label) in self.routes.all().iter().enumerate() {
            for (class, name) in STATUS_CLASSES.iter().enumerate() {
                let count = sum(workers, |worker| {
                    worker.requests.get(place).and_then(|classes| classes.get(class)).map_or(0, load)
                });
                // Known series begin at 0, so that their first request is seen as growth.
                if count > 0 || (place != self.routes.overflow() && place != NO_ROUTE) {
                    family.push(&[("route", label), ("status_class", name)], count as f64);
                }
            }
        }
        family
    }

    fn upstream_families(&self, workers: &[Arc<WorkerMetrics>]) -> Vec<Family> {
        let mut opened = Family::new(
            "keystile_upstream_connections_opened_total",
            "Connections that were opened to endpoints of an upstream.",
            Kind::Counter,
        );
        let mut reused = Family::new(
            "keystile_upstream_connections_reused_total",
            "Requests that took a kept connection of an upstream instead of opening one.",
            Kind::Counter,
        );
        let mut idle = Family::new(
            "keystile_upstream_idle_connections",
            "Connections to an upstream that are kept for the next request.",
            Kind::Gauge,
        );
        let mut retries = Family::new(
            "keystile_upstream_retries_total",
            "Attempts on an upstream that were made again on another connection.",
            Kind::Counter,
        );
        let mut failures = Family::new(
            "keystile_upstream_failures_total",
            "Attempts on an upstream that failed, by kind of failure, made again or not.",
            Kind::Counter,
        );
        for (place, name) in self.upstreams.all().iter().enumerate() {
            let of = |read: &dyn Fn(&UpstreamMetrics) -> i128| -> i128 {
                workers.iter().map(|worker| self.at(worker, place, read)).sum()
            };
            if place == self.upstreams.overflow() && of(&UpstreamMetrics::uses) == 0 {
                continue;
            }
            let label = ("upstream", &**name);
            opened.push(&[label], of(&|upstream| load(&upstream.opened).into()) as f64);
            reused.push(&[label], of(&|upstream| load(&upstream.reused).into()) as f64);
            idle.push(&[label], of(&|upstream| upstream.idle.load(Ordering::Relaxed).into()).max(0) as f64);
            retries.push(&[label], of(&|upstream| load(&upstream.retries).into()) as f64);
            for failure in UpstreamFailure::ALL {
                let count = of(&|upstream| upstream.failures.get(failure as usize).map_or(0, load).into());
                failures.push(&[("kind", failure.as_str()), label], count as f64);
            }
        }
        vec![opened, reused, idle, retries, failures]
    }

    /// One value of one upstream of one worker; strays count as `other`.
    fn at(&self, worker: &WorkerMetrics, place: usize, read: &dyn Fn(&UpstreamMetrics) -> i128) -> i128 {
        let stray = if place == self.upstreams.overflow() { read(&worker.stray_upstream) } else { 0 };
        worker.upstreams.get(place).map_or(0, read) + stray
    }

    fn key_families(&self) -> [Family; 2] {
        let size = Family::single(
            "keystile_key_table_keys",
            "Keys that this process knows, used or not.",
            Kind::Gauge,
            self.key_counters.key_count() as f64,
        );
        [lock(&self.key_series).collect(&*self.key_counters), size]
    }
}

fn overhead(workers: &[Arc<WorkerMetrics>]) -> MetricFamily {
    let mut totals = HistogramTotals::new(OVERHEAD_BOUNDS_NS);
    workers.iter().for_each(|worker| worker.overhead.add_to(&mut totals));
    histogram(
        "keystile_gateway_overhead_seconds",
        "Time that the gateway itself took for a request, from its head read until it was sent on or refused.",
        &totals,
    )
}

fn upstream_wait(workers: &[Arc<WorkerMetrics>]) -> MetricFamily {
    let mut totals = HistogramTotals::new(UPSTREAM_BOUNDS_NS);
    workers.iter().for_each(|worker| worker.upstream_wait.add_to(&mut totals));
    histogram(
        "keystile_upstream_wait_seconds",
        "Time from turning to the upstream until the head of its response was there, connecting included.",
        &totals,
    )
}

fn denials(workers: &[Arc<WorkerMetrics>]) -> Family {
    let mut family = Family::new(
        "keystile_denials_total",
        "Requests that the gateway refused or could not complete, by reason; clients are told less.",
        Kind::Counter,
    );
    for denial in Denial::ALL {
        let count = sum(workers, |worker| worker.denials.get(denial.index()).map_or(0, load));
        family.push(&[("reason", denial.reason())], count as f64);
    }
    family
}

fn aborted(workers: &[Arc<WorkerMetrics>]) -> Family {
    let mut family = Family::new(
        "keystile_responses_aborted_total",
        "Responses that did not reach their end, by who or what broke them off.",
        Kind::Counter,
    );
    for end in End::ALL.into_iter().filter(|end| *end != End::Complete) {
        let count = sum(workers, |worker| worker.ends.get(end.index()).map_or(0, load));
        family.push(&[("end", end.as_str())], count as f64);
    }
    family
}

fn connections(workers: &[Arc<WorkerMetrics>]) -> [Family; 3] {
    // What closed is read first: a connection that comes and goes in between cannot make the difference negative.
    let closed = sum(workers, |worker| load(&worker.connections_closed));
    let accepted = sum(workers, |worker| load(&worker.connections_accepted));
    let refused = sum(workers, |worker| load(&worker.connections_refused));
    [
        Family::single(
            "keystile_connections_accepted_total",
            "Connections that the gateway accepted from clients and served.",
            Kind::Counter,
            accepted as f64,
        ),
        Family::single(
            "keystile_connections_refused_total",
            "Connections from clients that were closed at once because gateway.connections_max were open.",
            Kind::Counter,
            refused as f64,
        ),
        Family::single(
            "keystile_open_connections",
            "Connections from clients that are open now.",
            Kind::Gauge,
            accepted.saturating_sub(closed) as f64,
        ),
    ]
}

fn traffic(workers: &[Arc<WorkerMetrics>]) -> [Family; 3] {
    let settled = sum(workers, |worker| worker.requests_settled());
    let started = sum(workers, |worker| load(&worker.requests_started));
    [
        Family::single(
            "keystile_in_flight_requests",
            "Requests that have begun and whose response has not ended yet.",
            Kind::Gauge,
            started.saturating_sub(settled) as f64,
        ),
        Family::single(
            "keystile_request_body_bytes_total",
            "Bytes of request bodies and of what tunnels carried to upstreams, without framing.",
            Kind::Counter,
            sum(workers, |worker| load(&worker.bytes_in)) as f64,
        ),
        Family::single(
            "keystile_response_body_bytes_total",
            "Bytes of response bodies and of what tunnels carried to clients, without framing.",
            Kind::Counter,
            sum(workers, |worker| load(&worker.bytes_out)) as f64,
        ),
    ]
}

fn build() -> Family {
    let mut family =
        Family::new("keystile_build_info", "Version of this build; the value is always 1.", Kind::Gauge);
    family.push(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    family
}

fn sum(workers: &[Arc<WorkerMetrics>], read: impl Fn(&WorkerMetrics) -> u64) -> u64 {
    workers.iter().map(|worker| read(worker)).sum()
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
