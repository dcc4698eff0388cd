//! Which lines of the audit log are asked for: the query of its addresses, read and written.

use serde::Deserialize;

use crate::console::operations::AuditFilter;
use crate::console::pages::time::Reading;
use crate::domain::clock::UnixMillis;
use crate::domain::id::AuditId;

/// The query as it came.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    person: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    /// Where the page before ended; text, so that one that does not read takes no filter with it.
    #[serde(default)]
    before: String,
}

/// The fields of the form as they were written, and which times do not read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) person: String,
    pub(super) key: String,
    pub(super) action: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) from_wrong: bool,
    pub(super) to_wrong: bool,
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) filter: AuditFilter,
    pub(super) written: Written,
}

impl Wanted {
    /// Where the page before ended.
    pub(super) fn before(&self) -> Option<AuditId> {
        self.before.parse().ok()
    }

    /// What the query asks for. Times are those of the person's zone, or RFC 3339; what does not read does not filter.
    pub(super) fn read(&self, reading: &Reading) -> Read {
        let text = |written: &str| Some(written.trim().to_owned()).filter(|text| !text.is_empty());
        let instant = |written: &str| instant(reading, written.trim());
        let (from, to) = (instant(&self.from), instant(&self.to));
        let is_wrong = |read: Option<UnixMillis>, written: &str| read.is_none() && !written.trim().is_empty();
        Read {
            filter: AuditFilter {
                actor: text(&self.person),
                subject: text(&self.key),
                action: text(&self.action),
                from,
                to,
            },
            written: Written {
                person: self.person.trim().to_owned(),
                key: self.key.trim().to_owned(),
                action: self.action.trim().to_owned(),
                from_wrong: is_wrong(from, &self.from),
                to_wrong: is_wrong(to, &self.to),
                from: self.from.clone(),
                to: self.to.clone(),
            },
        }
    }
}

impl Read {
    /// The query of the same filter, from before the line `before`.
    pub(super) fn query(&self, before: Option<&str>) -> String {
        let written = &self.written;
        let pairs = [
            ("person", written.person.as_str()),
            ("key", written.key.as_str()),
            ("action", written.action.as_str()),
            ("from", if written.from_wrong { "" } else { written.from.as_str() }),
            ("to", if written.to_wrong { "" } else { written.to.as_str() }),
            ("before", before.unwrap_or_default()),
        ];
        let pairs: Vec<(&str, &str)> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        // Pairs of text always write; without a query everything is shown.
        serde_html_form::to_string(pairs).unwrap_or_default()
    }
}

fn instant(reading: &Reading, written: &str) -> Option<UnixMillis> {
    UnixMillis::parse_rfc3339(written).or_else(|| reading.parse_local(written))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Reading {
        let now = UnixMillis::parse_rfc3339("2026-11-23T13:00:00Z").unwrap();
        Reading::new(now, None, &"Europe/Berlin".parse().unwrap())
    }

    #[test]
    fn times_are_the_readers_and_a_query_survives_its_own_address() {
        let query = "person=ada%40x&key=a%26b&action=key.created&from=2026-11-01T10%3A30&to=";
        let read = serde_html_form::from_str::<Wanted>(query).unwrap().read(&reading());
        assert_eq!(read.filter.actor.as_deref(), Some("ada@x"));
        assert_eq!(read.filter.from, UnixMillis::parse_rfc3339("2026-11-01T09:30:00Z"));
        assert_eq!(read.filter.to, None);
        let again = serde_html_form::from_str::<Wanted>(&read.query(None)).unwrap().read(&reading());
        assert_eq!(again.filter, read.filter);
    }

    #[test]
    fn a_time_that_does_not_read_is_told_and_filters_nothing() {
        let read = serde_html_form::from_str::<Wanted>("from=yesterday").unwrap().read(&reading());
        assert!(read.written.from_wrong && read.filter.from.is_none());
        assert_eq!(read.query(None), "");
    }
}
