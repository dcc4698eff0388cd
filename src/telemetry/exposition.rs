//! Families of metrics as the text format shows them.
//!
//! Owns the way from sums to the `prometheus` crate's shapes, and the rules that every name and HELP keep. Never
//! reads a counter itself.

use prometheus::proto;

use super::histogram::HistogramTotals;

/// How a family's values move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only up.
    Counter,
    /// Up and down.
    Gauge,
}

/// All series of one name.
#[derive(Debug)]
pub(crate) struct Family {
    shape: proto::MetricFamily,
    kind: Kind,
}

impl Family {
    pub(crate) fn new(name: &str, help: &str, kind: Kind) -> Family {
        let mut shape = proto::MetricFamily::default();
        shape.set_name(name.to_owned());
        shape.set_help(help.to_owned());
        shape.set_field_type(match kind {
            Kind::Counter => proto::MetricType::COUNTER,
            Kind::Gauge => proto::MetricType::GAUGE,
        });
        Family { shape, kind }
    }

    /// A family of one series without labels.
    pub(crate) fn single(name: &str, help: &str, kind: Kind, value: f64) -> Family {
        let mut family = Family::new(name, help, kind);
        family.push(&[], value);
        family
    }

    /// Adds a series.
    pub(crate) fn push(&mut self, labels: &[(&str, &str)], value: f64) {
        let mut metric =
            proto::Metric::from_label(labels.iter().map(|(name, value)| pair(name, value)).collect());
        match self.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.shape.mut_metric().push(metric);
    }

    /// As the encoder takes it; nothing where there is no series, which the text format has no form for.
    pub(crate) fn into_shape(self) -> Option<proto::MetricFamily> {
        (!self.shape.get_metric().is_empty()).then_some(self.shape)
    }
}

/// The family of one histogram of nanoseconds, shown in seconds.
pub(crate) fn histogram(name: &str, help: &str, totals: &HistogramTotals) -> proto::MetricFamily {
    let mut cumulative = 0;
    let mut buckets = Vec::with_capacity(totals.bounds_ns.len());
    for (bound_ns, count) in totals.bounds_ns.iter().zip(&totals.buckets) {
        cumulative += count;
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(*bound_ns as f64 / 1e9);
        bucket.set_cumulative_count(cumulative);
        buckets.push(bucket);
    }
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(totals.buckets.iter().sum());
    histogram.set_sample_sum(totals.sum_ns as f64 / 1e9);
    let mut metric = proto::Metric::default();
    metric.set_histogram(histogram);
    let mut shape = proto::MetricFamily::default();
    shape.set_name(name.to_owned());
    shape.set_help(help.to_owned());
    shape.set_field_type(proto::MetricType::HISTOGRAM);
    shape.mut_metric().push(metric);
    shape
}

fn pair(name: &str, value: &str) -> proto::LabelPair {
    let mut pair = proto::LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

/// Last words of a name: a unit, or the thing that is counted.
const UNITS: &[&str] = &[
    "total",
    "seconds",
    "bytes",
    "ratio",
    "info",
    "connections",
    "requests",
    "keys",
    "fds",
    "threads",
    "generation",
    "leases",
    "lines",
    "rows",
    "sequence",
    "epoch",
    "changes",
    "gateways",
    "silent",
    "waiting",
];

/// What is wrong with a metric's name or HELP, if anything.
pub(crate) fn flaw(name: &str, help: &str, kind: Option<Kind>) -> Option<String> {
    let unit = name.rsplit('_').next().unwrap_or_default();
    if !name.starts_with("keystile_")
        || name.bytes().any(|b| !(b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
    {
        return Some(format!("`{name}`: begin the name with keystile_ and use a-z, 0-9 and _ only"));
    }
    if !UNITS.contains(&unit) {
        return Some(format!("`{name}`: end the name with what is measured, one of {}", UNITS.join(", ")));
    }
    if kind.is_some_and(|kind| (kind == Kind::Counter) != (unit == "total")) {
        return Some(format!("`{name}`: counters, and only they, end in _total"));
    }
    if !help.ends_with('.') || help.split_whitespace().count() < 4 || !help.starts_with(char::is_uppercase) {
        return Some(format!("`{name}`: write a HELP that is a sentence and ends with a full stop"));
    }
    None
}
