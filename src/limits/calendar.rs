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
