//! JSON Schema of the configuration file, for editors and generators.
//!
//! Promises to know exactly the fields that are read, because both come from the declarations in `file`. Says less
//! than `keystile check`: rules that join two settings are not in it.

use serde_json::{Value, json};

use super::file::File;
use super::setting::Setting;

/// The schema, draft 2020-12.
pub fn schema() -> Value {
    let mut schema = File::schema();
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        fields.insert("title".into(), json!("Keystile configuration"));
    }
    schema
}
