//! Calendar windows: which minute, hour, day, week or month an instant belongs to, in a time zone.
//!
//! Promises that the windows of one zone and kind follow each other without gap or overlap, whatever the zone's
//! clocks do: a day may have 23 or 25 hours, and an hour is cut where the clocks change within it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

use super::quota::Span;
use crate::domain::clock::UnixMillis;
use crate::domain::limit::Window;

/// The window that holds `now`.
pub(crate) fn window_at(window: Window, zone: &TimeZone, now: UnixMillis) -> Span {
    // The calendar's own range ends in the year 9999; beyond it windows are counted from 1970 in UTC.
    local_window(window, zone, now)
        .filter(|span| span.start <= now && now < span.end)
        .unwrap_or_else(|| fixed(window.nominal_seconds().unwrap_or(2_678_400), now))
}

fn local_window(window: Window, zone: &TimeZone, now: UnixMillis) -> Option<Span> {
    let at = Timestamp::from_millisecond(now.as_i64()).ok()?;
    let today = || at.to_zoned(zone.clone()).date();
    match window {
        Window::Minute => clock_unit(zone, at, 60),
        Window::Hour => clock_unit(zone, at, 3_600),
        Window::Day => dates(zone, today(), today().tomorrow().ok()?),
        Window::Week => {
            let today = today();
            let since_monday = i64::from(today.weekday().to_monday_zero_offset());
            let monday = today.checked_sub(since_monday.days()).ok()?;
            dates(zone, monday, monday.checked_add(1.week()).ok()?)
        }
        Window::Month => {
            let first = today().first_of_month();
            dates(zone, first, first.checked_add(1.month()).ok()?)
        }
    }
}

/// From the first instant of one date to the first instant of another.
fn dates(zone: &TimeZone, from: Date, to: Date) -> Option<Span> {
    let first_instant = |date: Date| -> Option<Zoned> {
        // Where midnight does not exist, the day begins when the clocks have jumped over it.
        date.to_zoned(zone.clone()).ok()?.start_of_day().ok()
    };
    span(first_instant(from)?.timestamp(), first_instant(to)?.timestamp())
}

/// A minute or an hour: whole units on the local clock, cut where the offset changes within.
fn clock_unit(zone: &TimeZone, at: Timestamp, unit_s: i64) -> Option<Span> {
    let offset = zone.to_offset(at);
    let local_s = at.as_second().checked_add(i64::from(offset.seconds()))?;
    let start_s = at.as_second().checked_sub(local_s.rem_euclid(unit_s))?;
    let start = Timestamp::from_second(start_s).ok()?;
    let end = Timestamp::from_second(start_s.checked_add(unit_s)?).ok()?;
    let instant = 1.nanosecond();
    let changed = zone.preceding(at.checked_add(instant).ok()?).next().map(|change| change.timestamp());
    let changes = zone.following(at).next().map(|change| change.timestamp());
    span(changed.map_or(start, |changed| changed.max(start)), changes.map_or(end, |changes| changes.min(end)))
}

fn span(start: Timestamp, end: Timestamp) -> Option<Span> {
    let millis = |at: Timestamp| u64::try_from(at.as_millisecond()).ok().map(UnixMillis);
    Some(Span { start: millis(start)?, end: millis(end)? })
}

fn fixed(unit_s: u64, now: UnixMillis) -> Span {
    let unit_ms = unit_s.max(1) * 1_000;
    let start = now.0 - now.0 % unit_ms;
    Span { start: UnixMillis(start), end: UnixMillis(start.saturating_add(unit_ms)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn window(kind: Window, zone_name: &str, at: &str) -> (String, String) {
        let now = UnixMillis::parse_rfc3339(at).unwrap();
        let span = window_at(kind, &zone(zone_name), now);
        let shown = |at: UnixMillis| at.to_rfc3339().replace(":00.000Z", "Z");
        (shown(span.start), shown(span.end))
    }

    fn hours(kind: Window, zone_name: &str, at: &str) -> f64 {
        let span = window_at(kind, &zone(zone_name), UnixMillis::parse_rfc3339(at).unwrap());
        f64::from(u32::try_from(span.end.0 - span.start.0).unwrap()) / 3_600_000.0
    }

    #[test]
    fn days_last_as_long_as_the_local_clocks_say() {
        assert_eq!(hours(Window::Day, "Europe/Berlin", "2026-03-29T12:00:00Z"), 23.0);
        assert_eq!(hours(Window::Day, "Europe/Berlin", "2026-10-25T12:00:00Z"), 25.0);
        assert_eq!(hours(Window::Day, "America/New_York", "2026-03-08T12:00:00Z"), 23.0);
        assert_eq!(hours(Window::Day, "America/New_York", "2026-11-01T12:00:00Z"), 25.0);
        assert_eq!(hours(Window::Day, "Australia/Lord_Howe", "2026-04-05T00:00:00Z"), 24.5);
        assert_eq!(hours(Window::Day, "Australia/Lord_Howe", "2026-10-04T00:00:00Z"), 23.5);
        assert_eq!(
            window(Window::Day, "Europe/Berlin", "2026-03-29T21:59:59.999Z"),
            ("2026-03-28T23:00Z".into(), "2026-03-29T22:00Z".into())
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        // 2026-11-29 is a Sunday.
        assert_eq!(
            window(Window::Week, "UTC", "2026-11-29T23:59:59Z"),
            ("2026-11-23T00:00Z".into(), "2026-11-30T00:00Z".into())
        );
        assert_eq!(
            window(Window::Week, "America/New_York", "2026-11-30T04:59:59Z"),
            ("2026-11-23T05:00Z".into(), "2026-11-30T05:00Z".into())
        );
        assert_eq!(
            window(Window::Month, "Europe/Berlin", "2028-02-29T12:00:00Z"),
            ("2028-01-31T23:00Z".into(), "2028-02-29T23:00Z".into())
        );
        assert_eq!(
            window(Window::Month, "UTC", "2026-12-31T23:59:59Z"),
            ("2026-12-01T00:00Z".into(), "2027-01-01T00:00Z".into())
        );
    }

    #[test]
    fn hours_follow_the_local_clock_and_are_cut_where_it_is_changed() {
        assert_eq!(
            window(Window::Hour, "Asia/Kathmandu", "2026-11-23T10:20:00Z"),
            ("2026-11-23T10:15Z".into(), "2026-11-23T11:15Z".into())
        );
        // At 02:00 local the clocks of Lord Howe go back to 01:30: half an hour of the hour 01 comes again.
        assert_eq!(
            window(Window::Hour, "Australia/Lord_Howe", "2026-04-04T15:10:00Z"),
            ("2026-04-04T15:00Z".into(), "2026-04-04T15:30Z".into())
        );
        assert_eq!(
            window(Window::Minute, "Europe/Berlin", "2026-10-25T01:00:30Z"),
            ("2026-10-25T01:00Z".into(), "2026-10-25T01:01Z".into())
        );
    }

    #[test]
    fn a_day_whose_midnight_does_not_exist_begins_when_the_clocks_have_jumped() {
        // Beirut goes from 00:00 to 01:00.
        assert_eq!(
            window(Window::Day, "Asia/Beirut", "2026-03-29T12:00:00Z"),
            ("2026-03-28T22:00Z".into(), "2026-03-29T21:00Z".into())
        );
    }

    proptest! {
        #[test]
        fn windows_follow_each_other_without_gap_or_overlap(
            at_ms in 0_u64..4_102_444_800_000,
            zone_name in prop_oneof![
                Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe"),
                Just("America/Havana"), Just("Pacific/Apia"), Just("Africa/Casablanca"), Just("Asia/Kathmandu"),
            ],
            kind in prop::sample::select(&Window::ALL[..]),
        ) {
            let zone = zone(zone_name);
            let span = window_at(kind, &zone, UnixMillis(at_ms));
            prop_assert!(span.start.0 <= at_ms && at_ms < span.end.0);
            prop_assert_eq!(window_at(kind, &zone, span.start), span);
            prop_assert_eq!(window_at(kind, &zone, UnixMillis(span.end.0 - 1)), span);
            prop_assert_eq!(window_at(kind, &zone, span.end).start, span.end);
        }
    }
}
