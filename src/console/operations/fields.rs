//! What a change did to the fields of a record, as the audit log tells it.

use crate::domain::limit::Limits;
use crate::store::FieldChange;

/// The fields whose text before and after differ.
pub(super) fn changed<const N: usize>(
    names: [&str; N],
    before: [Option<String>; N],
    after: [Option<String>; N],
) -> Vec<FieldChange> {
    let states = before.into_iter().zip(after);
    let fields = names.into_iter().zip(states).filter(|(_, (from, to))| from != to);
    fields.map(|(name, (from, to))| FieldChange { field: name.to_owned(), from, to }).collect()
}

/// Limits as the API writes them.
pub(super) fn limits_text(limits: &Limits) -> String {
    // Numbers, strings and lists only: this cannot fail.
    serde_json::to_string(limits).unwrap_or_default()
}
