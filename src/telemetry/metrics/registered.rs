//! Metrics of other modules, registered with a way to read them.
//!
//! Promises that a name is taken once and keeps the rules of names. Never keeps a value itself.

use prometheus::proto::MetricFamily;

use super::super::exposition::{Family, Kind, flaw, histogram};
use super::super::histogram::HistogramTotals;
use super::{InvalidMetric, Metrics, lock};

/// A metric, and how it is read at each scrape.
pub(super) struct Registered {
    name: &'static str,
    help: &'static str,
    reading: Reading,
}

enum Reading {
    /// One series.
    Single(Kind, Box<dyn Fn() -> f64 + Send + Sync>),
    /// A series for each value of one label, all of them counters.
    By(&'static str, Box<dyn Fn() -> Vec<(&'static str, f64)> + Send + Sync>),
    /// Durations.
    Histogram(Box<dyn Fn() -> HistogramTotals + Send + Sync>),
}

impl Registered {
    /// Nothing where there is no series yet.
    pub(super) fn family(&self) -> Option<MetricFamily> {
        match &self.reading {
            Reading::Single(kind, read) => Family::single(self.name, self.help, *kind, read()).into_shape(),
            Reading::By(label, read) => {
                let mut family = Family::new(self.name, self.help, Kind::Counter);
                for (value, count) in read() {
                    family.push(&[(label, value)], count);
                }
                family.into_shape()
            }
            Reading::Histogram(read) => Some(histogram(self.name, self.help, &read())),
        }
    }
}

impl Metrics {
    /// Shows a value that goes up and down. `read` is called at each scrape and must be quick.
    ///
    /// # Errors
    /// Where the name or the HELP breaks the rules, or the name is taken.
    pub fn register_gauge(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Result<(), InvalidMetric> {
        self.register(name, help, Reading::Single(Kind::Gauge, Box::new(read)))
    }

    /// Shows a value that only goes up. `read` is called at each scrape and must be quick.
    ///
    /// # Errors
    /// Where the name or the HELP breaks the rules, or the name is taken.
    pub fn register_counter(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Result<(), InvalidMetric> {
        self.register(name, help, Reading::Single(Kind::Counter, Box::new(read)))
    }

    /// Shows values that only go up, one for each value of `label`, of which there must be few. `read` is called at each
    /// scrape and must be quick.
    ///
    /// # Errors
    /// Where the name or the HELP breaks the rules, or the name is taken.
    pub fn register_counters_by(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, f64)> + Send + Sync + 'static,
    ) -> Result<(), InvalidMetric> {
        self.register(name, help, Reading::By(label, Box::new(read)))
    }

    /// Shows durations: `read` gives how many fell under each of `bounds_ns` (not cumulative, and a last one for what lies
    /// above all of them) and their sum in nanoseconds. It is called at each scrape and must be quick.
    ///
    /// # Errors
    /// Where the name or the HELP breaks the rules, or the name is taken.
    pub fn register_histogram(
        &self,
        name: &'static str,
        help: &'static str,
        bounds_ns: &'static [u64],
        read: impl Fn() -> (Vec<u64>, u64) + Send + Sync + 'static,
    ) -> Result<(), InvalidMetric> {
        let read = move || {
            let (mut buckets, sum_ns) = read();
            buckets.resize(bounds_ns.len() + 1, 0);
            HistogramTotals { bounds_ns, buckets, sum_ns: u128::from(sum_ns) }
        };
        self.register(name, help, Reading::Histogram(Box::new(read)))
    }

    fn register(
        &self,
        name: &'static str,
        help: &'static str,
        reading: Reading,
    ) -> Result<(), InvalidMetric> {
        let kind = match &reading {
            Reading::Single(kind, _) => Some(*kind),
            Reading::By(..) => Some(Kind::Counter),
            Reading::Histogram(_) => None,
        };
        if let Some(flaw) = flaw(name, help, kind) {
            return Err(InvalidMetric(flaw));
        }
        let is_taken = |name| self.families().iter().any(|family| family.name() == name);
        if is_taken(name) || lock(&self.registered).iter().any(|known| known.name == name) {
            return Err(InvalidMetric(format!("`{name}`: the name is taken")));
        }
        lock(&self.registered).push(Registered { name, help, reading });
        Ok(())
    }
}
