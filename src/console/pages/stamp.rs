//! Instants as people read them: relative in tables, exact where it matters, always with the exact one on hover.
//!
//! Promises that the machine-readable instant stands beside the words. Never reads a clock.

use askama::Template;
use jiff::Timestamp;

use crate::domain::clock::UnixMillis;
use crate::domain::zone::Zone;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// An instant in words: a `<time>` element where it is put into a template.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(
    config = "src/console/templates/askama.toml",
    source = r#"<time datetime="{{ utc }}" title="{{ exact }}">{{ text }}</time>"#,
    ext = "html"
)]
pub(crate) struct Stamp {
    /// What is read.
    pub(crate) text: String,
    /// To the second, in the reader's zone, and in UTC.
    pub(crate) exact: String,
    /// RFC 3339.
    pub(crate) utc: String,
}

impl askama::filters::HtmlSafe for Stamp {}

impl Stamp {
    /// How long ago: "2 minutes ago", "yesterday", "12 days ago", then the date.
    pub(crate) fn ago(at: UnixMillis, now: UnixMillis, zone: &Zone) -> Stamp {
        let past = now.0.saturating_sub(at.0);
        let text = match past {
            0..MINUTE_MS => "just now".to_owned(),
            MINUTE_MS..HOUR_MS => some(past / MINUTE_MS, "minute"),
            HOUR_MS..DAY_MS => some(past / HOUR_MS, "hour"),
            _ if past < 2 * DAY_MS => "yesterday".to_owned(),
            _ if past < 30 * DAY_MS => some(past / DAY_MS, "day"),
            _ => strftime(at, zone, "%-d %b %Y"),
        };
        Stamp { text, ..Stamp::exact(at, zone) }
    }

    /// The date: "12 Nov 2026".
    pub(crate) fn date(at: UnixMillis, zone: &Zone) -> Stamp {
        Stamp { text: strftime(at, zone, "%-d %b %Y"), ..Stamp::exact(at, zone) }
    }

    /// Date, time and zone: "12 Nov 2026, 14:02 CET".
    pub(crate) fn minute(at: UnixMillis, zone: &Zone) -> Stamp {
        Stamp { text: strftime(at, zone, "%-d %b %Y, %H:%M %Z"), ..Stamp::exact(at, zone) }
    }

    /// To the second: "12 Nov 2026, 14:02:31 CET".
    pub(crate) fn exact(at: UnixMillis, zone: &Zone) -> Stamp {
        let text = strftime(at, zone, "%-d %b %Y, %H:%M:%S %Z");
        let utc = strftime(at, &Zone::utc(), "%H:%M:%S UTC");
        let exact = if *zone == Zone::utc() { text.clone() } else { format!("{text} ({utc})") };
        Stamp { text, exact, utc: at.to_rfc3339() }
    }
}

fn some(count: u64, unit: &str) -> String {
    if count == 1 { format!("1 {unit} ago") } else { format!("{count} {unit}s ago") }
}

/// An instant in a zone, by jiff's format.
pub(crate) fn strftime(at: UnixMillis, zone: &Zone, format: &str) -> String {
    match Timestamp::from_millisecond(at.as_i64()) {
        Ok(instant) => instant.to_zoned(zone.rules().clone()).strftime(format).to_string(),
        Err(_) => at.to_rfc3339(),
    }
}

/// A number with its thousands apart: "24,217".
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_relative_in_words_and_exact_on_hover() {
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let now = UnixMillis::parse_rfc3339("2026-11-23T13:02:31Z").unwrap();
        let said = |ago_ms: u64| Stamp::ago(UnixMillis(now.0 - ago_ms), now, &zone).text;
        assert_eq!(said(0), "just now");
        assert_eq!(said(MINUTE_MS), "1 minute ago");
        assert_eq!(said(5 * HOUR_MS), "5 hours ago");
        assert_eq!(said(DAY_MS), "yesterday");
        assert_eq!(said(9 * DAY_MS), "9 days ago");
        assert_eq!(said(60 * DAY_MS), "24 Sep 2026");
        let stamp = Stamp::exact(now, &zone);
        assert_eq!(stamp.exact, "23 Nov 2026, 14:02:31 CET (13:02:31 UTC)");
        assert!(stamp.to_string().starts_with("<time datetime=\"2026-11-23T13:02:31.000Z\""));
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (24_217, "24,217"), (1_204_882, "1,204,882")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
