//! Columns back into domain types. What does not read is a damaged record, named so that an operator can find it.

use std::fmt::Display;
use std::str::FromStr;

use super::error::StoreError;
use crate::domain::limit::Limits;

/// Parses a text column.
pub(super) fn parse<T>(record: &str, column: &str, text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error| StoreError::Damaged {
        record: record.to_owned(),
        detail: format!("{column}: {error}"),
    })
}

/// Reads the limits of a record. Most have none, which is worth a shortcut when a million are loaded.
pub(super) fn limits(record: &str, text: &str) -> Result<Limits, StoreError> {
    if text == "{}" {
        return Ok(Limits::default());
    }
    serde_json::from_str(text).map_err(|error| StoreError::Damaged {
        record: record.to_owned(),
        detail: format!("limits: {error}"),
    })
}

/// Writes the limits of a record.
pub(super) fn limits_text(limits: &Limits) -> String {
    // Numbers, strings and lists only: this cannot fail, and an empty object would be the honest rest.
    serde_json::to_string(limits).unwrap_or_else(|_| "{}".to_owned())
}

/// A revision or count column.
pub(super) fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
