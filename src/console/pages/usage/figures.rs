//! What became of a key's requests, as a chart, as a table and as sums: the same numbers three times.

use crate::console::operations::{DeniedBy, UsagePoint, UsageView};
use crate::console::pages::chart::{BARS_MAX, Chart, Column, counted, grouped, percent};
use crate::console::pages::scope::AgentNames;
use crate::console::pages::time::Reading;
use crate::domain::clock::UnixMillis;

/// Counts in words, as table and legend show them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) allowed: String,
    pub(crate) denied: String,
    pub(crate) failed: String,
    /// Why they were denied: "900 by rate, 304 by quota"; nothing where none was.
    pub(crate) reasons: String,
}

/// A reason for which requests were denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    /// The class that gives its shade, in the bars and in the legend.
    pub(crate) class: &'static str,
    /// "900 by rate".
    pub(crate) words: String,
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) time: String,
    pub(crate) counts: Counts,
}

/// What a key is used for most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Most {
    pub(crate) title: &'static str,
    /// How a name is written.
    pub(crate) class: &'static str,
    pub(crate) uses: Vec<Use>,
}

/// One thing that a key is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) name: String,
    pub(crate) requests: String,
    /// Of the requests of the first in the list.
    pub(crate) percent: u8,
}

/// The sums of a span.
pub(crate) fn totals(usage: &UsageView) -> Counts {
    let totals = &usage.totals;
    counts(totals.allowed, totals.denied, totals.failed, &totals.denied_by)
}

/// Why requests of the span were denied, in the order of the bars' parts; nothing where none was.
pub(crate) fn denied(usage: &UsageView) -> Vec<Reason> {
    reasons(&usage.totals.denied_by).collect()
}

/// A row for every bucket, oldest first.
pub(crate) fn rows(usage: &UsageView, reading: &Reading, bucket_ms: Option<u64>) -> Vec<Row> {
    buckets(usage, bucket_ms)
        .map(|(point, end)| Row {
            time: reading.bucket(point.at.0, end, bucket_ms.is_none()),
            counts: counts(point.allowed, point.denied, point.failed, &point.denied_by),
        })
        .collect()
}

/// The chart of every bucket. `bucket_ms` is the length of one; none where each is a day.
pub(crate) fn chart(usage: &UsageView, reading: &Reading, bucket_ms: Option<u64>) -> Chart {
    let days = bucket_ms.is_none();
    let columns = buckets(usage, bucket_ms).map(|(point, end)| {
        let denied = &point.denied_by;
        let sums = counts(point.allowed, point.denied, point.failed, denied);
        let reasons = if sums.reasons.is_empty() { String::new() } else { format!(" ({})", sums.reasons) };
        Column {
            words: format!(
                "{}: {} allowed, {} denied{reasons}, {} failed",
                reading.bucket(point.at.0, end, days),
                sums.allowed,
                sums.denied,
                sums.failed
            ),
            tick: reading.tick(point.at.0, days),
            parts: std::iter::once(("c-allowed", point.allowed))
                .chain(reasons_of(denied).map(|(class, count, _)| (class, count)))
                .chain([("c-failed", point.failed)])
                .collect(),
        }
    });
    Chart::new(columns.collect())
}

/// Which routes and agents the key is used for most.
pub(crate) fn most(usage: &UsageView, names: &AgentNames) -> [Most; 2] {
    let routes = usage.routes.iter().map(|used| (used.route.to_string(), used.requests));
    let agents = usage.agents.iter().map(|used| (names.name(&used.agent), used.requests));
    [
        Most { title: "Most used routes", class: "mono", uses: uses(routes) },
        Most { title: "Most used agents", class: "tag agent", uses: uses(agents) },
    ]
}

fn uses(used: impl Iterator<Item = (String, u64)>) -> Vec<Use> {
    let used: Vec<(String, u64)> = used.collect();
    let most = used.iter().map(|(_, requests)| *requests).max().unwrap_or(0);
    let shown =
        |(name, requests)| Use { name, requests: grouped(requests), percent: percent(requests, most) };
    used.into_iter().map(shown).collect()
}

/// Each bucket that is shown, with where it ends.
fn buckets(usage: &UsageView, bucket_ms: Option<u64>) -> impl Iterator<Item = (&UsagePoint, UnixMillis)> {
    let length_ms = bucket_ms.unwrap_or(0);
    usage
        .series
        .iter()
        .take(BARS_MAX)
        .map(move |point| (point, UnixMillis(point.at.0.0.saturating_add(length_ms))))
}

/// Every reason: its class, how often it was one, and its words.
fn reasons_of(by: &DeniedBy) -> impl Iterator<Item = (&'static str, u64, &'static str)> + use<> {
    [
        ("c-denied by-rate", by.rate, "by rate"),
        ("c-denied by-quota", by.quota, "by quota"),
        ("c-denied by-concurrency", by.concurrency, "too many in flight"),
        ("c-denied by-other", by.other, "for other reasons"),
    ]
    .into_iter()
}

/// Those that were one.
fn reasons(by: &DeniedBy) -> impl Iterator<Item = Reason> + use<> {
    reasons_of(by)
        .filter(|(_, count, _)| *count > 0)
        .map(|(class, count, words)| Reason { class, words: format!("{} {words}", grouped(count)) })
}

fn counts(allowed: u64, denied: u64, failed: u64, by: &DeniedBy) -> Counts {
    let told: Vec<String> = reasons(by).map(|reason| reason.words).collect();
    Counts {
        allowed: grouped(allowed),
        denied: grouped(denied),
        failed: grouped(failed),
        reasons: told.join(", "),
    }
}

/// How many requests there were in words, for the picture's own label.
pub(crate) fn requests(usage: &UsageView) -> String {
    let totals = &usage.totals;
    counted(totals.allowed + totals.denied + totals.failed, "request", "requests")
}
