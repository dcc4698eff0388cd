//! How fields of inputs are read: the difference between a field that is absent and one that is null, and instants.

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::domain::clock::UnixMillis;

/// For `Option<Option<T>>`: absent stays `None`, null is `Some(None)`.
pub(super) fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A password, wiped when dropped.
pub(super) fn password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// An instant in RFC 3339, or null.
pub(super) fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixMillis>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    match UnixMillis::parse_rfc3339(&text) {
        Some(instant) => Ok(Some(instant)),
        None => Err(serde::de::Error::custom("expected an instant such as 2027-01-31T18:00:00Z")),
    }
}

/// Absent, null, or an instant in RFC 3339.
pub(super) fn present_instant<'de, D>(deserializer: D) -> Result<Option<Option<UnixMillis>>, D::Error>
where
    D: Deserializer<'de>,
{
    instant(deserializer).map(Some)
}
