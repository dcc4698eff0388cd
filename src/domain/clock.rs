//! Time as a parameter: one reading serves a whole decision, and tests set it by hand.
//!
//! Owns the only calls to the machine's clocks. Promises a monotonic reading that never goes back and a wall
//! reading in UTC. Never lets code elsewhere read a clock (the lint configuration forbids it).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, as kept in every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// This instant in RFC 3339, UTC, with milliseconds: `2026-11-23T14:02:31.123Z`.
    pub fn to_rfc3339(self) -> String {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(timestamp) => format!("{timestamp:.3}"),
            Err(_) => String::from("9999-12-31T23:59:59.999Z"),
        }
    }

    /// Reads an RFC 3339 instant with any offset. `None` where it is not one or lies before 1970.
    pub fn parse_rfc3339(text: &str) -> Option<UnixMillis> {
        if !has_form_of_rfc3339(text.as_bytes()) {
            return None;
        }
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(timestamp.as_millisecond()).ok().map(UnixMillis)
    }

    /// As SQL's signed 64-bit integer.
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// From SQL's signed 64-bit integer; what lies before 1970 becomes 1970.
    pub fn from_i64(value: i64) -> UnixMillis {
        UnixMillis(u64::try_from(value).unwrap_or(0))
    }

    /// `self + duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Whether a text has the form of RFC 3339 section 5.6. The parser also takes other forms of ISO 8601.
fn has_form_of_rfc3339(text: &[u8]) -> bool {
    let marks = [(4, b"--"), (7, b"--"), (10, b"Tt"), (13, b"::"), (16, b"::")];
    let marked = marks.iter().all(|(at, either)| text.get(*at).is_some_and(|byte| either.contains(byte)));
    let (Some(time), Some(rest)) = (text.get(17..19), text.get(19..)) else { return false };
    let offset = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            fraction.get(digits..).filter(|_| digits > 0)
        }
        offset => Some(offset),
    };
    let offset_is_whole = match offset {
        Some([b'Z' | b'z']) => true,
        Some([b'+' | b'-', hour @ .., b':', one, other]) => {
            hour.len() == 2 && [one, other].iter().all(|b| b.is_ascii_digit())
        }
        _ => false,
    };
    marked && time.iter().all(u8::is_ascii_digit) && offset_is_whole
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds on the monotonic clock since an arbitrary point before this process began.
    pub mono_ns: u64,
    /// The wall clock.
    pub unix: UnixMillis,
}

impl Moment {
    /// Nanoseconds that passed from `earlier` to this moment, 0 if none did.
    pub fn nanos_since(self, earlier: Moment) -> u64 {
        self.mono_ns.saturating_sub(earlier.mono_ns)
    }
}

/// Where the time comes from. Cheap to clone; clones of a manual clock move together.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System { anchor: Instant },
    Manual(Arc<ManualTime>),
}

#[derive(Debug)]
struct ManualTime {
    mono_ns: AtomicU64,
    unix_ms: AtomicU64,
}

/// The monotonic reading starts here rather than at 0, so that "an hour ago" is a number at start-up too.
const MONO_BASE_NS: u64 = 1 << 60;

impl Clock {
    /// The machine's clocks.
    #[expect(clippy::disallowed_methods, reason = "this module is where the clock is read")]
    pub fn system() -> Clock {
        Clock(Source::System { anchor: Instant::now() })
    }

    /// A clock that stands still at `start` until it is advanced.
    pub fn manual(start: UnixMillis) -> Clock {
        Clock(Source::Manual(Arc::new(ManualTime {
            mono_ns: AtomicU64::new(MONO_BASE_NS),
            unix_ms: AtomicU64::new(start.0),
        })))
    }

    /// Reads both clocks.
    #[expect(clippy::disallowed_methods, reason = "this module is where the clock is read")]
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::System { anchor } => {
                let since_anchor = u64::try_from(anchor.elapsed().as_nanos()).unwrap_or(u64::MAX);
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Moment {
                    mono_ns: MONO_BASE_NS.saturating_add(since_anchor),
                    unix: UnixMillis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)),
                }
            }
            Source::Manual(time) => Moment {
                mono_ns: time.mono_ns.load(Ordering::Acquire),
                unix: UnixMillis(time.unix_ms.load(Ordering::Acquire)),
            },
        }
    }

    /// The monotonic reading alone, for measuring durations.
    pub fn mono_ns(&self) -> u64 {
        match &self.0 {
            Source::System { anchor } => {
                MONO_BASE_NS.saturating_add(u64::try_from(anchor.elapsed().as_nanos()).unwrap_or(u64::MAX))
            }
            Source::Manual(time) => time.mono_ns.load(Ordering::Acquire),
        }
    }

    /// Moves a manual clock forward; does nothing to the machine's.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(time) = &self.0 {
            let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            time.mono_ns.fetch_add(nanos, Ordering::AcqRel);
            time.unix_ms.fetch_add(nanos / 1_000_000, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_survives_a_round_trip_through_rfc_3339() {
        let instant = UnixMillis(1_795_442_551_123);
        assert_eq!(UnixMillis::parse_rfc3339(&instant.to_rfc3339()), Some(instant));
        assert_eq!(UnixMillis(0).to_rfc3339(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn an_instant_is_read_in_rfc_3339_and_in_no_other_form() {
        for good in ["1970-01-01T01:00:00+01:00", "1970-01-01t00:00:00z", "1970-01-01T00:00:00.000000Z"] {
            assert_eq!(UnixMillis::parse_rfc3339(good), Some(UnixMillis(0)), "{good}");
        }
        for bad in [
            "",
            "1970-01-01",
            "1970-01-01T00Z",
            "1970-01-01T00:00Z",
            "1970-01-01 00:00:00Z",
            "19700101T000000Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00+01",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00Z[UTC]",
            "1970-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "+001970-01-01T00:00:00Z",
        ] {
            assert_eq!(UnixMillis::parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = Clock::manual(UnixMillis(1_000));
        let clone = clock.clone();
        let before = clone.now();
        clock.advance(Duration::from_millis(5));
        assert_eq!(clone.now().unix, UnixMillis(1_005));
        assert_eq!(clone.now().nanos_since(before), 5_000_000);
    }
}
