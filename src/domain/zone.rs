//! An IANA time zone by name: what an organization's calendar windows follow.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// A time zone that exists, with its name as the time zone database spells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

/// The text names no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time zone: expected an IANA name such as `Europe/Berlin` or `UTC`")]
pub struct UnknownZone;

impl Zone {
    /// Coordinated universal time: an organization's zone unless it says otherwise.
    pub fn utc() -> Zone {
        Zone(TimeZone::UTC)
    }

    /// The name, such as `Europe/Berlin`.
    pub fn as_str(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The rules.
    pub fn rules(&self) -> &TimeZone {
        &self.0
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Zone, UnknownZone> {
        let zone = TimeZone::get(text).map_err(|_| UnknownZone)?;
        // `Etc/Unknown` parses as a placeholder, and a zone without a name could not be stored.
        if zone.is_unknown() || zone.iana_name().is_none() {
            return Err(UnknownZone);
        }
        Ok(Zone(zone))
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;

    fn try_from(text: String) -> Result<Zone, UnknownZone> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.as_str().to_owned()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_keeps_the_databases_spelling_and_an_unknown_one_is_refused() {
        assert_eq!("europe/berlin".parse::<Zone>().unwrap().as_str(), "Europe/Berlin");
        assert_eq!("UTC".parse::<Zone>().unwrap(), Zone::utc());
        for bad in ["", "Mars/Olympus", "Etc/Unknown", "+02:00", "../etc/passwd"] {
            assert!(bad.parse::<Zone>().is_err(), "{bad}");
        }
    }
}
