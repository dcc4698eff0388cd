//! What a key has used and may still use, and what became of its requests over time.
//!
//! Promises that limits and counts are exact as of the instant it names: counts in memory are recorded before they are
//! read. Buckets of days and hours follow the calendar of the organization's zone.

use jiff::tz::TimeZone;
use jiff::{RoundMode, Timestamp, ToSpan, Unit, Zoned, ZonedRound};
use serde::{Deserialize, Serialize};

use super::{Caller, Operations, Refused};
use crate::console::view::Instant;
use crate::domain::clock::UnixMillis;
use crate::domain::id::KeyId;
use crate::limits::LimitUse;
use crate::store::UsageCounts;

/// Most buckets of one series.
const BUCKETS_MAX: usize = 1_500;
/// What is shown unless asked otherwise: the last day, by the hour.
const SPAN_MS: u64 = 24 * 60 * 60 * 1_000;
const MINUTE_MS: u32 = 60_000;
/// Every zone of today is off UTC by a multiple of this: it is the coarsest grain that hours and days can be made of.
const QUARTER_MS: u32 = 15 * MINUTE_MS;

/// The length of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// From second 0 of a minute.
    Minute,
    /// From minute 0 of a local hour.
    #[default]
    Hour,
    /// From local midnight.
    Day,
}

/// The time to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageSpan {
    /// From the bucket that holds this instant; a day before `to` unless set.
    pub from: Option<UnixMillis>,
    /// To before this instant; now unless set.
    pub to: Option<UnixMillis>,
    /// In buckets of this length.
    pub step: Step,
}

/// A key's use.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageView {
    /// The instant that all numbers are of.
    pub as_of: Instant,
    /// Each limit in force.
    pub limits: Vec<LimitView>,
    /// The sum of the series.
    pub totals: UsageTotals,
    /// Every bucket of the span, oldest first, empty ones included.
    pub series: Vec<UsagePoint>,
}

/// One limit and its use.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitView {
    /// `rate`, `concurrency` or `quota`.
    pub kind: &'static str,
    /// The period of a rate or the window of a quota.
    pub per: Option<&'static str>,
    /// The most that may be used; a rate's burst.
    pub limit: u64,
    /// Used now.
    pub used: u64,
    /// Left now.
    pub remaining: u64,
    /// When all of it is there again.
    pub resets_at: Option<Instant>,
}

impl From<LimitUse> for LimitView {
    fn from(line: LimitUse) -> LimitView {
        LimitView {
            kind: line.kind.as_str(),
            per: line.per,
            limit: line.limit,
            used: line.used,
            remaining: line.remaining,
            resets_at: line.resets_at.map(Instant),
        }
    }
}

/// Counts of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct UsageTotals {
    /// Admitted and answered.
    pub allowed: u64,
    /// Refused.
    pub denied: u64,
    /// Admitted, then failed.
    pub failed: u64,
}

/// One bucket of the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UsagePoint {
    /// Where it begins.
    pub at: Instant,
    /// Admitted and answered.
    pub allowed: u64,
    /// Refused.
    pub denied: u64,
    /// Admitted, then failed.
    pub failed: u64,
}

impl Operations {
    /// A key's use over `span`.
    ///
    /// # Errors
    /// Where there is no such key, the span has too many buckets, or the database does not answer.
    pub async fn read_usage(
        &self,
        caller: &Caller,
        organization: &str,
        key: &str,
        span: UsageSpan,
    ) -> Result<UsageView, Refused> {
        let parts = &self.0;
        let id: KeyId = key.parse().map_err(|_| Refused::NotFound)?;
        let organization = self.organization_of(organization).await?;
        let reach = caller.reach(organization.id)?;
        let (key, hash) = parts.database.key(organization.id, id).await?.ok_or(Refused::NotFound)?;
        reach.must_cover(&key)?;
        let now = parts.clock.now();
        let to = span.to.unwrap_or(now.unix);
        let from = span.from.unwrap_or(UnixMillis(to.0.saturating_sub(SPAN_MS)));
        let edges = edges(from, to, span.step, organization.zone.rules())?;
        parts.limiter.flush().await;
        let now = parts.clock.now();
        let limits = match parts.keys.lookup(&hash) {
            Some(entry) => {
                parts.limiter.recall(entry.account(), &entry.limits).await;
                entry.account().snapshot(&entry.limits, now).into_iter().map(LimitView::from).collect()
            }
            // Deleted since it was read.
            None => return Err(Refused::NotFound),
        };
        let grain_ms = if span.step == Step::Minute { MINUTE_MS } else { QUARTER_MS };
        let start = edges.first().copied().unwrap_or(from);
        let counts = parts.database.usage(id, start, to, grain_ms).await?;
        let series = series(&edges, &counts);
        let totals = series.iter().fold(UsageTotals::default(), |sum, point| UsageTotals {
            allowed: sum.allowed + point.allowed,
            denied: sum.denied + point.denied,
            failed: sum.failed + point.failed,
        });
        Ok(UsageView { as_of: Instant(now.unix), limits, totals, series })
    }
}

/// Where the buckets of a span begin.
fn edges(from: UnixMillis, to: UnixMillis, step: Step, zone: &TimeZone) -> Result<Vec<UnixMillis>, Refused> {
    let out_of_range =
        |name| move |_| Refused::Parameter { name, detail: "expected a year up to 9998".to_owned() };
    if from >= to {
        return Err(Refused::Parameter {
            name: "from",
            detail: "expected an instant before `to`".to_owned(),
        });
    }
    Timestamp::from_millisecond(to.plus(std::time::Duration::from_millis(SPAN_MS)).as_i64())
        .map_err(out_of_range("to"))?;
    let first = Timestamp::from_millisecond(from.as_i64()).map_err(out_of_range("from"))?;
    let mut at = floor(&first.to_zoned(zone.clone()), step).map_err(out_of_range("from"))?;
    let mut edges = Vec::new();
    while millis(&at) < to {
        if edges.len() == BUCKETS_MAX {
            let detail =
                format!("expected at most {BUCKETS_MAX} buckets; take a longer step or a shorter span");
            return Err(Refused::Parameter { name: "step", detail });
        }
        edges.push(millis(&at));
        at = following(&at, step).map_err(out_of_range("to"))?;
    }
    Ok(edges)
}

fn millis(at: &Zoned) -> UnixMillis {
    UnixMillis::from_i64(at.timestamp().as_millisecond())
}

fn floor(at: &Zoned, step: Step) -> Result<Zoned, jiff::Error> {
    let unit = match step {
        Step::Minute => Unit::Minute,
        Step::Hour => Unit::Hour,
        Step::Day => return at.start_of_day(),
    };
    at.round(ZonedRound::new().smallest(unit).mode(RoundMode::Trunc))
}

fn following(at: &Zoned, step: Step) -> Result<Zoned, jiff::Error> {
    match step {
        Step::Minute => at.checked_add(1.minute()),
        Step::Hour => at.checked_add(1.hour()),
        // A day is from midnight to midnight, be it 23, 24 or 25 hours long.
        Step::Day => at.tomorrow()?.start_of_day(),
    }
}

/// Puts counts into the buckets that begin at `edges`.
fn series(edges: &[UnixMillis], counts: &[UsageCounts]) -> Vec<UsagePoint> {
    let empty = |at: &UnixMillis| UsagePoint { at: Instant(*at), allowed: 0, denied: 0, failed: 0 };
    let mut points: Vec<UsagePoint> = edges.iter().map(empty).collect();
    for count in counts {
        let behind = edges.partition_point(|edge| *edge <= count.at);
        if let Some(point) = behind.checked_sub(1).and_then(|at| points.get_mut(at)) {
            point.allowed += count.allowed;
            point.denied += count.denied;
            point.failed += count.failed;
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn days_of_a_series_follow_the_calendar_through_the_change_of_clocks() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let days = edges(at("2026-10-24T12:00:00Z"), at("2026-10-27T00:00:00Z"), Step::Day, &berlin).unwrap();
        let texts: Vec<String> = days.iter().map(|edge| edge.to_rfc3339()).collect();
        assert_eq!(
            texts,
            [
                "2026-10-23T22:00:00.000Z",
                "2026-10-24T22:00:00.000Z",
                "2026-10-25T23:00:00.000Z",
                "2026-10-26T23:00:00.000Z"
            ]
        );
    }

    #[test]
    fn a_span_with_too_many_buckets_or_none_is_refused() {
        let zone = TimeZone::UTC;
        let (from, to) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
        assert!(edges(from, to, Step::Minute, &zone).is_err());
        assert!(edges(to, from, Step::Day, &zone).is_err());
        assert!(edges(from, UnixMillis(u64::MAX), Step::Day, &zone).is_err());
        assert_eq!(edges(from, to, Step::Day, &zone).unwrap().len(), 31);
    }

    #[test]
    fn counts_fall_into_the_bucket_that_holds_them() {
        let edges = [UnixMillis(0), UnixMillis(100)];
        let counts = [
            UsageCounts { at: UnixMillis(0), allowed: 1, denied: 2, failed: 3 },
            UsageCounts { at: UnixMillis(99), allowed: 10, denied: 0, failed: 0 },
            UsageCounts { at: UnixMillis(100), allowed: 5, denied: 0, failed: 0 },
        ];
        let points = series(&edges, &counts);
        assert_eq!((points[0].allowed, points[0].denied, points[0].failed), (11, 2, 3));
        assert_eq!(points[1].allowed, 5);
    }
}
