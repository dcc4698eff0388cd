//! The calendar's buckets that series of counts are made of.
//!
//! Promises that hours and days are those of the zone that was asked for, through every change of clocks. Never reads
//! the clock or the store.

use jiff::tz::TimeZone;
use jiff::{RoundMode, Timestamp, ToSpan, Unit, Zoned, ZonedRound};

use super::Refused;
use super::usage::{SPAN_MS, Step};
use crate::domain::clock::UnixMillis;

/// Most buckets of one series.
const BUCKETS_MAX: usize = 1_500;
pub(super) const HOUR_MS: u32 = 3_600_000;

/// Where the buckets of a span begin.
pub(super) fn edges(
    from: UnixMillis,
    to: UnixMillis,
    step: Step,
    zone: &TimeZone,
) -> Result<Vec<UnixMillis>, Refused> {
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

/// Where the local hour, or day, that holds `at` begins.
pub(super) fn began(at: UnixMillis, step: Step, zone: &TimeZone) -> Result<UnixMillis, Refused> {
    let of_range = |_| Refused::Parameter { name: "to", detail: "expected a year up to 9998".to_owned() };
    let local = Timestamp::from_millisecond(at.as_i64()).map_err(of_range)?.to_zoned(zone.clone());
    Ok(millis(&floor(&local, step).map_err(of_range)?))
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
    fn a_day_and_an_hour_begin_by_the_calendar_of_their_zone() {
        let began = |text: &str, step, zone: &str| {
            began(at(text), step, &TimeZone::get(zone).unwrap()).unwrap().to_rfc3339()
        };
        // The day on which clocks go back in Berlin begins in summer time.
        assert_eq!(began("2026-10-25T20:10:00Z", Step::Day, "Europe/Berlin"), "2026-10-24T22:00:00.000Z");
        // Both hours called two.
        assert_eq!(began("2026-10-25T00:10:00Z", Step::Hour, "Europe/Berlin"), "2026-10-25T00:00:00.000Z");
        assert_eq!(began("2026-10-25T01:10:00Z", Step::Hour, "Europe/Berlin"), "2026-10-25T01:00:00.000Z");
        assert_eq!(began("2026-10-25T01:10:00Z", Step::Hour, "Asia/Kolkata"), "2026-10-25T00:30:00.000Z");
    }
}
