//! `keystile schema`: the JSON Schema of the configuration file.

use crate::config;

/// The schema as it is printed, with a line end.
pub(super) fn schema() -> String {
    format!("{:#}\n", config::schema())
}
