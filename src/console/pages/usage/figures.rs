//! What became of a key's requests, as a chart, as a table and as sums: the same numbers three times.

use crate::console::operations::{DeniedBy, UsagePoint, UsageView};
use crate::console::pages::chart::{BARS_MAX, Chart, Column, counted, grouped, percent};
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
            parts: vec![
                ("c-allowed", point.allowed),
                ("c-denied by-rate", denied.rate),
                ("c-denied by-quota", denied.quota),
                ("c-denied by-concurrency", denied.concurrency),
                ("c-denied by-other", denied.other),
                ("c-failed", point.failed),
            ],
        }
    });
    Chart::new(columns.collect())
}

/// Which routes and agents the key is used for most.
pub(crate) fn most(usage: &UsageView) -> [Most; 2] {
    let routes = usage.routes.iter().map(|used| (used.route.to_string(), used.requests));
    let agents = usage.agents.iter().map(|used| (used.agent.to_string(), used.requests));
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

fn counts(allowed: u64, denied: u64, failed: u64, by: &DeniedBy) -> Counts {
    let reasons = [
        (by.rate, "by rate"),
        (by.quota, "by quota"),
        (by.concurrency, "too many in flight"),
        (by.other, "for other reasons"),
    ];
    let told: Vec<String> = reasons
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, reason)| format!("{} {reason}", grouped(count)))
        .collect();
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
