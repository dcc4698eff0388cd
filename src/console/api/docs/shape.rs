//! Schemas as tables: each field with what it may be, in words.

use serde_json::Value;

use super::{list, object, prose, resolved, text};

/// A schema that has a name, or the body of a call.
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) description: String,
    /// What it is, where it is no object.
    pub(super) kind: String,
    /// What it may be; one entry unless it has several forms.
    pub(super) forms: Vec<Vec<Field>>,
    pub(super) example: String,
}

/// A field or a parameter.
pub(super) struct Field {
    pub(super) name: String,
    /// `path`, `query` or `header`; empty for a field.
    pub(super) place: String,
    pub(super) kind: String,
    /// The shape that says more.
    pub(super) more: String,
    pub(super) required: bool,
    pub(super) description: String,
}

/// How `schema` is shown under `name`.
pub(super) fn of(document: &Value, name: &str, schema: &Value) -> Shape {
    let variants = list(schema, "/oneOf");
    let forms: Vec<Vec<Field>> = if variants.is_empty() {
        Vec::from([fields(document, schema)])
    } else {
        variants.iter().map(|variant| fields(document, resolved(document, variant))).collect()
    };
    let forms: Vec<Vec<Field>> = forms.into_iter().filter(|form| !form.is_empty()).collect();
    Shape {
        name: name.to_owned(),
        description: prose(&text(schema, "/description")),
        kind: if forms.is_empty() { kind(schema) } else { String::new() },
        forms,
        example: String::new(),
    }
}

/// How a parameter is shown.
pub(super) fn parameter(document: &Value, parameter: &Value) -> Field {
    let schema = parameter.get("schema").unwrap_or(&Value::Null);
    Field {
        name: text(parameter, "/name"),
        place: text(parameter, "/in"),
        kind: kind(schema),
        more: linked(document, schema),
        required: parameter.get("required").and_then(Value::as_bool).unwrap_or(false),
        description: prose(&text(parameter, "/description")),
    }
}

/// The name by which a schema is referred to; empty where it has none.
pub(super) fn name_of(schema: &Value) -> String {
    let reference = schema.get("$ref").and_then(Value::as_str).unwrap_or_default();
    reference.rsplit('/').next().unwrap_or_default().to_owned()
}

fn fields(document: &Value, schema: &Value) -> Vec<Field> {
    let required = list(schema, "/required");
    let field = |(name, schema): (&String, &Value)| {
        let own = text(schema, "/description");
        let description = if own.is_empty() { text(resolved(document, schema), "/description") } else { own };
        Field {
            name: name.clone(),
            place: String::new(),
            kind: kind(schema),
            more: linked(document, schema),
            required: required.iter().any(|required| required == name),
            description: prose(&description),
        }
    };
    object(schema, "/properties").iter().map(field).collect()
}

/// The shape to which a field's kind leads, directly, in a list, or beside null.
fn linked(document: &Value, schema: &Value) -> String {
    let candidates = [Some(schema), schema.get("items")].into_iter().flatten().chain(list(schema, "/oneOf"));
    let named = candidates.flat_map(|candidate| [Some(candidate), candidate.get("items")]).flatten();
    let mut names = named.map(name_of).filter(|name| !name.is_empty());
    names.find(|name| document.pointer(&format!("/components/schemas/{name}")).is_some()).unwrap_or_default()
}

/// What a value may be, in words.
fn kind(schema: &Value) -> String {
    let name = name_of(schema);
    if !name.is_empty() {
        return name;
    }
    let variants = list(schema, "/oneOf");
    if !variants.is_empty() {
        let mut kinds: Vec<String> = variants.iter().map(kind).collect();
        kinds.sort_by_key(|kind| kind == "null");
        return kinds.join(" or ");
    }
    let values = list(schema, "/enum");
    if !values.is_empty() {
        let quoted: Vec<String> =
            values.iter().map(|value| format!("“{}”", value.as_str().unwrap_or_default())).collect();
        return quoted.join(" or ");
    }
    let types = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["any"],
    };
    let mut words: Vec<String> = types.iter().map(|name| (*name).to_owned()).collect();
    if let (Some(first), Some(items)) = (words.first_mut(), schema.get("items")) {
        *first = format!("list of {}", kind(items));
    }
    let mut said = words.join(" or ");
    for (bound, before) in [("minLength", "at least"), ("maxLength", "at most")] {
        if let Some(number) = schema.get(bound) {
            said.push_str(&format!(", {before} {number} characters"));
        }
    }
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(least), Some(most)) => said.push_str(&format!(", {least} to {most}")),
        (Some(least), None) if least != 0 => said.push_str(&format!(", at least {least}")),
        _ => {}
    }
    said
}
