//! Numbers with units as operators write them: durations, sizes, rates.
//!
//! Promises that a unit is never guessed: a duration without one is refused, and so is `KB`, which means two things.
//! Never rounds.

use std::time::Duration;

use crate::domain::limit::Period;

/// Reads `10ms`, `10s`, `10m`, `2h` or `1d`; a lone `0` needs no unit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if number == 0 => 1,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

/// Writes a duration as [`duration`] reads it, in the largest unit that it is a whole number of.
pub(crate) fn duration_text(millis: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.into_iter().find(|(unit_ms, _)| millis > 0 && millis.is_multiple_of(*unit_ms)) {
        Some((unit_ms, unit)) => format!("{}{unit}", millis / unit_ms),
        None if millis == 0 => "0s".into(),
        None => format!("{millis}ms"),
    }
}

/// Reads a number of bytes: `4096`, `64KiB`, `1MiB`, `64kB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let unit_bytes = match unit {
        "" | "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit_bytes)
}

/// Writes a size as [`size`] reads it, in the largest binary unit that it is a whole number of.
pub(crate) fn size_text(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit_bytes, _)| bytes > 0 && bytes.is_multiple_of(*unit_bytes)) {
        Some((unit_bytes, unit)) => format!("{}{unit}", bytes / unit_bytes),
        None => bytes.to_string(),
    }
}

/// Reads `100/s`: requests and the time they are counted per.
pub(crate) fn rate(text: &str) -> Option<(u64, Period)> {
    let (number, per) = text.split_once('/')?;
    let per = match per.trim() {
        "s" | "second" => Period::Second,
        "m" | "minute" => Period::Minute,
        "h" | "hour" => Period::Hour,
        "d" | "day" => Period::Day,
        _ => return None,
    };
    Some((whole(number.trim())?, per))
}

/// Reads a whole number in decimal digits, and nothing else (no sign, no separators).
pub(crate) fn whole(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((whole(number)?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(duration("10ms"), Some(Duration::from_millis(10)));
        assert_eq!(duration("2h"), Some(Duration::from_secs(7_200)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        for bad in ["", "10", "s", "10 s", "1.5s", "-1s", "10S", "1h30m", "99999999999999999d"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        for text in ["1ms", "1500ms", "90s", "10m", "2h", "1d"] {
            let millis = duration(text).unwrap().as_millis();
            assert_eq!(duration_text(u64::try_from(millis).unwrap()), text);
        }
    }

    #[test]
    fn a_size_is_bytes_or_has_a_unit_that_means_one_thing() {
        assert_eq!(size("4096"), Some(4_096));
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("64kB"), Some(64_000));
        for bad in ["", "64KB", "64k", "64K", "64 KiB", "1e3", "-1", "99999999999TiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
        assert_eq!(size_text(8_192), "8KiB");
        assert_eq!(size_text(1_000), "1000");
    }

    #[test]
    fn a_rate_is_requests_over_a_time() {
        assert_eq!(rate("100/s"), Some((100, Period::Second)));
        assert_eq!(rate("5 / day"), Some((5, Period::Day)));
        for bad in ["100", "100/", "/s", "100/w", "100/month", "1.5/s", "100/S"] {
            assert_eq!(rate(bad), None, "{bad}");
        }
    }
}
