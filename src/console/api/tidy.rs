//! Schemas as they read best: what is generated is right, and here made plain.
//!
//! Promises to change how a schema is written, never what it says.

use serde_json::{Map, Value, json};

/// How generated names of pages of lists begin.
const PAGE: &str = "Page_";

/// `document` with pages of lists that refer to what they hold, descriptions beside what they describe, and sentences
/// that are not broken where lines of code are.
pub(super) fn tidied(mut document: Value) -> Value {
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        *schemas = std::mem::take(schemas).into_iter().map(|(name, schema)| named(name, schema)).collect();
    }
    tidy(&mut document);
    document
}

fn named(name: String, mut schema: Value) -> (String, Value) {
    let Some(item) = name.strip_prefix(PAGE).map(str::to_owned) else { return (name, schema) };
    if let Some(items) = schema.pointer_mut("/properties/items/items") {
        *items = json!({"$ref": format!("#/components/schemas/{item}")});
    }
    (page_name(&item), schema)
}

fn page_name(item: &str) -> String {
    format!("{item}Page")
}

fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            rename_page(fields);
            lift_description(fields);
            for (name, field) in fields.iter_mut() {
                match field {
                    Value::String(text) if name == "description" || name == "summary" => {
                        *text = text.replace('\n', " ")
                    }
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
                    Value::Array(_) | Value::Object(_) => tidy(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn rename_page(fields: &mut Map<String, Value>) {
    let Some(Value::String(reference)) = fields.get_mut("$ref") else { return };
    if let Some((before, item)) = reference.split_once(PAGE) {
        *reference = format!("{before}{}", page_name(item));
    }
}

/// What may be null is described as a whole, not in one of its forms.
fn lift_description(fields: &mut Map<String, Value>) {
    let described_as_a_whole = fields.contains_key("description");
    let Some(Value::Array(forms)) = fields.get_mut("oneOf") else { return };
    if described_as_a_whole || !forms.iter().any(|form| form.get("type").is_some_and(|kind| kind == "null")) {
        return;
    }
    let described =
        forms.iter_mut().filter_map(Value::as_object_mut).find_map(|form| form.remove("description"));
    if let Some(description) = described {
        fields.insert("description".to_owned(), description);
    }
}
