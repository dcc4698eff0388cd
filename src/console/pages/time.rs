//! Instants in words: "2 minutes ago", "in 9 h 57 min", "1 Dec, 00:00 CET", each in one person's time zone.
//!
//! Promises that whatever is rounded stands in a `<time>` element whose `datetime` is exact and whose `title` says the
//! instant in UTC. Never reads a clock: "now" is given once, so that one page has one "now".

use std::fmt;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};

use crate::domain::clock::UnixMillis;
use crate::domain::zone::Zone;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Younger than this is "just now": the counts behind "last used" gather that long.
const JUST_NOW_MS: u64 = 45 * SECOND_MS;
/// From this age on a date says more than a number of days.
const DATE_FROM_DAYS: i32 = 30;

/// Words for instants as one person reads them at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    now: UnixMillis,
    zone: TimeZone,
}

/// An instant in words, written as `<time datetime="…" title="…">words</time>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    words: String,
    at: UnixMillis,
}

impl Stamp {
    /// The words without markup.
    pub(crate) fn words(&self) -> &str {
        &self.words
    }

    /// The instant as people in every zone can read it: `2026-11-23 13:02:31 UTC`.
    pub(crate) fn exact(&self) -> String {
        exact(self.at)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, title) = (self.at.to_rfc3339(), self.exact());
        write!(f, "<time datetime=\"{at}\" title=\"{title}\">{}</time>", self.words)
    }
}

/// All parts are digits and words of this module, and abbreviations of the time zone database, which are letters,
/// digits and signs.
impl askama::filters::HtmlSafe for Stamp {}

impl Reading {
    /// A person's reading at `now`: in their own zone if they set one, else their organization's.
    pub(crate) fn new(now: UnixMillis, own: Option<&Zone>, organization: &Zone) -> Reading {
        Reading { now, zone: own.unwrap_or(organization).rules().clone() }
    }

    /// The same person's reading at another moment.
    pub(crate) fn at(&self, now: UnixMillis) -> Reading {
        Reading { now, zone: self.zone.clone() }
    }

    /// The moment of this reading.
    pub(crate) fn now(&self) -> UnixMillis {
        self.now
    }

    /// The zone's name, such as `Europe/Berlin`.
    pub(crate) fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The abbreviation of the zone at `at`, such as `CET`; `UTC-03` where the zone has no letters of its own.
    pub(crate) fn abbreviation(&self, at: UnixMillis) -> String {
        abbreviation(&self.local(at))
    }

    /// How long ago, or how far ahead: "just now", "2 minutes ago", "yesterday", "in 9 h 57 min"; a date from a month on.
    pub(crate) fn relative(&self, at: UnixMillis) -> Stamp {
        let words = match self.now.0.checked_sub(at.0) {
            Some(age_ms) => self.past(at, age_ms),
            None => match self.days_until(at) {
                days if days >= DATE_FROM_DAYS => format!("on {}", self.date_words(at)),
                _ => format!("in {}", span_words(at.0 - self.now.0)),
            },
        };
        Stamp { words, at }
    }

    /// The date alone: "12 Nov 2026".
    pub(crate) fn date(&self, at: UnixMillis) -> Stamp {
        Stamp { words: self.date_words(at), at }
    }

    /// The date alone, with its year where that is another: "30 Nov".
    pub(crate) fn day(&self, at: UnixMillis) -> Stamp {
        let (now, then) = (self.local(self.now), self.local(at));
        let words =
            if now.year() == then.year() { then.strftime("%-d %b").to_string() } else { self.date_words(at) };
        Stamp { words, at }
    }

    /// Date and time with the zone: "23 Nov 2026, 14:02 CET".
    pub(crate) fn date_time(&self, at: UnixMillis) -> Stamp {
        let local = self.local(at);
        let words = format!("{}, {} {}", self.date_words(at), local.strftime("%H:%M"), abbreviation(&local));
        Stamp { words, at }
    }

    /// Date and time to the second: "23 Nov 2026, 14:02:31 CET".
    pub(crate) fn date_second(&self, at: UnixMillis) -> Stamp {
        Stamp { words: format!("{}, {}", self.date_words(at), self.clock(at).words), at }
    }

    /// The time of day to the second: "14:02:31 CET".
    pub(crate) fn clock(&self, at: UnixMillis) -> Stamp {
        let local = self.local(at);
        Stamp { words: format!("{} {}", local.strftime("%H:%M:%S"), abbreviation(&local)), at }
    }

    /// An instant to the second: "14:02:31 CET", with its date where that is another day.
    pub(crate) fn moment(&self, at: UnixMillis) -> Stamp {
        if self.days_until(at) == 0 { self.clock(at) } else { self.date_second(at) }
    }

    /// When something is whole again: "in 9 h 57 min, at 00:00 CET"; "on 1 Dec, 00:00 CET" from a day on.
    pub(crate) fn reset(&self, at: UnixMillis) -> Stamp {
        let local = self.local(at);
        let ahead_ms = at.0.saturating_sub(self.now.0);
        let zone = abbreviation(&local);
        let words = if ahead_ms < MINUTE_MS {
            format!("in {}, at {} {zone}", span_words(ahead_ms), local.strftime("%H:%M:%S"))
        } else if ahead_ms < DAY_MS {
            format!("in {}, at {} {zone}", span_words(ahead_ms), local.strftime("%H:%M"))
        } else if local.year() == self.local(self.now).year() {
            format!("on {}, {} {zone}", local.strftime("%-d %b"), local.strftime("%H:%M"))
        } else {
            format!("on {}, {} {zone}", local.strftime("%-d %b %Y"), local.strftime("%H:%M"))
        };
        Stamp { words, at }
    }

    /// For the axis of a chart and its table: the time of day, or "Mon 23 Nov" where buckets are days.
    pub(crate) fn tick(&self, at: UnixMillis, days: bool) -> String {
        self.local(at).strftime(if days { "%-d %b" } else { "%H:%M" }).to_string()
    }

    /// A bucket from `at` to before `end`: "Mon 23 Nov, 14:00–15:00", or "Mon 23 Nov" where it is a day.
    pub(crate) fn bucket(&self, at: UnixMillis, end: UnixMillis, days: bool) -> String {
        let start = self.local(at);
        let day = start.strftime("%a %-d %b");
        if days {
            return day.to_string();
        }
        format!("{day}, {}–{}", start.strftime("%H:%M"), self.local(end).strftime("%H:%M"))
    }

    /// The instant that a form's `datetime-local` field names, in this zone.
    pub(crate) fn parse_local(&self, text: &str) -> Option<UnixMillis> {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        let zoned = civil.to_zoned(self.zone.clone()).ok()?;
        u64::try_from(zoned.timestamp().as_millisecond()).ok().map(UnixMillis)
    }

    /// What a `datetime-local` field shows for `at`.
    pub(crate) fn local_field(&self, at: UnixMillis) -> String {
        self.local(at).strftime("%Y-%m-%dT%H:%M").to_string()
    }

    fn past(&self, at: UnixMillis, age_ms: u64) -> String {
        if age_ms < JUST_NOW_MS {
            return "just now".to_owned();
        }
        if age_ms < HOUR_MS {
            return counted((age_ms / MINUTE_MS).max(1), "minute");
        }
        // "Yesterday" is a day of the calendar, and says less than "3 hours ago" does soon after midnight.
        match (self.days_until(at), age_ms < 12 * HOUR_MS) {
            (_, true) | (0, false) => counted(age_ms / HOUR_MS, "hour"),
            (-1, false) => "yesterday".to_owned(),
            (days, false) if days > -DATE_FROM_DAYS => format!("{} days ago", -days),
            _ => self.date_words(at),
        }
    }

    /// Midnights between now and `at` in this zone.
    fn days_until(&self, at: UnixMillis) -> i32 {
        let (today, then): (Date, Date) = (self.local(self.now).date(), self.local(at).date());
        today.until(then).map_or(0, |span| span.get_days())
    }

    fn date_words(&self, at: UnixMillis) -> String {
        self.local(at).strftime("%-d %b %Y").to_string()
    }

    fn local(&self, at: UnixMillis) -> Zoned {
        timestamp(at).to_zoned(self.zone.clone())
    }
}

/// A length of time in at most two units: "12 s", "4 min", "9 h 57 min", "3 days".
pub(crate) fn span_words(span_ms: u64) -> String {
    let minutes = span_ms / MINUTE_MS;
    match (minutes / (24 * 60), minutes / 60, minutes % 60) {
        (0, 0, 0) => format!("{} s", span_ms.div_ceil(SECOND_MS)),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (1, _, _) => "1 day".to_owned(),
        (days, _, _) => format!("{days} days"),
    }
}

/// Every time zone that a person may choose, in groups by region: ("Europe", ["Europe/Amsterdam", …]).
pub(crate) fn zones() -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = vec![("UTC".to_owned(), vec!["UTC".to_owned()])];
    let names = TimeZoneDatabase::bundled();
    let mut names: Vec<String> = names.available().map(|name| name.as_str().to_owned()).collect();
    names.sort_unstable();
    for name in names {
        // What stands outside the regions are spellings of long ago and offsets, whose signs mislead.
        let Some((region, _)) = name.split_once('/') else { continue };
        if !REGIONS.contains(&region) {
            continue;
        }
        match groups.iter_mut().find(|(known, _)| known == region) {
            Some((_, group)) => group.push(name),
            None => groups.push((region.to_owned(), vec![name])),
        }
    }
    groups
}

const REGIONS: [&str; 10] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
];

fn counted(count: u64, unit: &str) -> String {
    if count == 1 { format!("1 {unit} ago") } else { format!("{count} {unit}s ago") }
}

fn abbreviation(at: &Zoned) -> String {
    let letters = at.strftime("%Z").to_string();
    if letters.starts_with(['+', '-']) { format!("UTC{letters}") } else { letters }
}

fn exact(at: UnixMillis) -> String {
    timestamp(at).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn timestamp(at: UnixMillis) -> Timestamp {
    Timestamp::from_millisecond(at.as_i64()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis::parse_rfc3339(text).unwrap()
    }

    fn reading(now: &str, zone: &str) -> Reading {
        Reading::new(at(now), None, &zone.parse().unwrap())
    }

    #[test]
    fn ages_are_told_in_the_unit_that_people_use() {
        let berlin = reading("2026-11-23T13:02:31Z", "Europe/Berlin");
        let told = |text: &str| berlin.relative(at(text)).words().to_owned();
        assert_eq!(told("2026-11-23T13:02:30Z"), "just now");
        assert_eq!(told("2026-11-23T13:01:31Z"), "1 minute ago");
        assert_eq!(told("2026-11-23T13:00:31Z"), "2 minutes ago");
        assert_eq!(told("2026-11-23T12:02:32Z"), "59 minutes ago");
        assert_eq!(told("2026-11-23T12:02:31Z"), "1 hour ago");
        assert_eq!(told("2026-11-23T03:00:00Z"), "10 hours ago");
        assert_eq!(told("2026-11-22T20:00:00Z"), "yesterday");
        assert_eq!(told("2026-11-14T20:00:00Z"), "9 days ago");
        assert_eq!(told("2026-09-14T20:00:00Z"), "14 Sep 2026");
    }

    #[test]
    fn the_day_of_yesterday_is_the_readers_own() {
        let instant = "2026-11-22T23:30:00Z";
        let now = "2026-11-23T13:00:00Z";
        assert_eq!(reading(now, "UTC").relative(at(instant)).words(), "yesterday");
        assert_eq!(reading(now, "Europe/Berlin").relative(at(instant)).words(), "13 hours ago");
    }

    #[test]
    fn a_day_names_its_year_only_where_that_is_another() {
        let reading = reading("2026-11-23T13:02:31Z", "Europe/Berlin");
        assert_eq!(reading.day(at("2026-11-30T23:30:00Z")).words(), "1 Dec");
        assert_eq!(reading.day(at("2026-12-31T23:30:00Z")).words(), "1 Jan 2027");
    }

    #[test]
    fn a_reset_names_the_wait_and_the_instant_with_the_zones_abbreviation() {
        let berlin = reading("2026-11-23T13:02:31Z", "Europe/Berlin");
        assert_eq!(berlin.reset(at("2026-11-23T23:00:00Z")).words(), "in 9 h 57 min, at 00:00 CET");
        assert_eq!(berlin.reset(at("2026-11-30T23:00:00Z")).words(), "on 1 Dec, 00:00 CET");
        assert_eq!(berlin.reset(at("2026-12-31T23:00:00Z")).words(), "on 1 Jan 2027, 00:00 CET");
        assert_eq!(berlin.reset(at("2026-11-23T13:02:43Z")).words(), "in 12 s, at 14:02:43 CET");
        let summer = reading("2026-07-01T13:02:31Z", "Europe/Berlin");
        assert_eq!(summer.clock(at("2026-07-01T13:02:31Z")).words(), "15:02:31 CEST");
    }

    #[test]
    fn a_zone_without_letters_is_named_by_its_offset() {
        let reader = reading("2026-11-23T13:02:31Z", "America/Sao_Paulo");
        assert_eq!(reader.clock(at("2026-11-23T13:02:31Z")).words(), "10:02:31 UTC-03");
    }

    #[test]
    fn a_persons_own_zone_goes_before_their_organizations() {
        let (own, organization) = ("Asia/Tokyo".parse().unwrap(), "Europe/Berlin".parse().unwrap());
        let reader = Reading::new(at("2026-11-23T13:00:00Z"), Some(&own), &organization);
        assert_eq!(reader.zone(), "Asia/Tokyo");
        assert_eq!(reader.clock(at("2026-11-23T13:00:00Z")).words(), "22:00:00 JST");
    }

    #[test]
    fn the_element_carries_the_exact_instant_in_utc() {
        let berlin = reading("2026-11-23T13:02:31Z", "Europe/Berlin");
        assert_eq!(
            berlin.date(at("2026-11-12T23:30:00Z")).to_string(),
            "<time datetime=\"2026-11-12T23:30:00.000Z\" title=\"2026-11-12 23:30:00 UTC\">13 Nov 2026</time>"
        );
    }

    #[test]
    fn instants_beyond_every_calendar_are_told_and_do_not_fail() {
        let berlin = reading("2026-11-23T13:02:31Z", "Europe/Berlin");
        assert!(!berlin.relative(UnixMillis(u64::MAX)).to_string().is_empty());
        assert!(!berlin.relative(UnixMillis(0)).to_string().is_empty());
    }

    #[test]
    fn a_local_field_reads_back_as_the_instant_it_shows() {
        let berlin = reading("2026-11-23T13:02:31Z", "Europe/Berlin");
        let instant = at("2026-11-01T09:30:00Z");
        assert_eq!(berlin.local_field(instant), "2026-11-01T10:30");
        assert_eq!(berlin.parse_local("2026-11-01T10:30"), Some(instant));
        assert_eq!(berlin.parse_local("tomorrow"), None);
    }

    #[test]
    fn the_zones_to_choose_from_all_exist_and_include_the_usual() {
        let zones = zones();
        let all: Vec<&str> = zones.iter().flat_map(|(_, names)| names.iter().map(String::as_str)).collect();
        assert!(all.iter().all(|name| name.parse::<Zone>().is_ok()));
        for usual in ["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"] {
            assert!(all.contains(&usual), "{usual}");
        }
    }
}
