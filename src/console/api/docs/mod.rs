//! The API's documentation as a page, `/api/docs`, made from the same description that programs read.
//!
//! Promises to say nothing of its own about a call: what is missing here is missing there. Needs no script.

mod shape;

use std::sync::LazyLock;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value};

use crate::console::pages;
use shape::{Field, Shape};

/// Everything on the page.
#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "api_docs.html")]
pub(super) struct Page {
    server: String,
    groups: Vec<Group>,
    shapes: Vec<Shape>,
    failures: Vec<Answer>,
}

/// Calls that belong together.
struct Group {
    name: String,
    description: String,
    calls: Vec<Call>,
}

struct Call {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    needs_caller: bool,
    parameters: Vec<Field>,
    body: Option<Shape>,
    curl: String,
    answers: Vec<Answer>,
    failures: Vec<Answer>,
}

struct Answer {
    status: String,
    description: String,
    fields: String,
    shape: String,
    example: String,
}

/// The page that shows `document`.
pub(super) fn page(document: &Value, server: &str) -> Page {
    let tags = list(document, "/tags");
    let groups = tags.iter().map(|tag| Group {
        name: text(tag, "/name"),
        description: prose(&text(tag, "/description")),
        calls: calls(document, server, &text(tag, "/name")),
    });
    let schemas = object(document, "/components/schemas");
    let shapes = schemas.iter().map(|(name, schema)| shape::of(document, name, schema));
    let failures = object(document, "/components/responses");
    let mut failures: Vec<Answer> =
        failures.iter().map(|(_, failure)| answer(document, &status_of(failure), failure)).collect();
    failures.sort_by(|one, other| one.status.cmp(&other.status));
    Page { server: server.to_owned(), groups: groups.collect(), shapes: shapes.collect(), failures }
}

/// The page as an answer.
pub(super) fn show(page: &Page) -> Response {
    pages::page(StatusCode::OK, page)
}

fn calls(document: &Value, server: &str, tag: &str) -> Vec<Call> {
    let mut found = Vec::new();
    for (path, methods) in object(document, "/paths") {
        for method in ["get", "post", "put", "patch", "delete"] {
            let Some(said) = methods.get(method) else { continue };
            if list(said, "/tags").iter().any(|own| own == tag) {
                found.push(call(document, server, path, method, said));
            }
        }
    }
    found
}

fn call(document: &Value, server: &str, path: &str, method: &str, said: &Value) -> Call {
    let parameters: Vec<&Value> =
        list(said, "/parameters").iter().map(|parameter| resolved(document, parameter)).collect();
    let media = said.pointer("/requestBody/content/application~1json");
    let body = media.map(|media| {
        let name = shape::name_of(media.get("schema").unwrap_or(&Value::Null));
        let mut body =
            shape::of(document, &name, resolved(document, media.get("schema").unwrap_or(&Value::Null)));
        body.example = media.get("example").map(pretty).unwrap_or_default();
        body
    });
    let needs_caller = said.get("security").is_none();
    let (failures, answers) = object(said, "/responses")
        .iter()
        .map(|(status, said)| answer(document, status, resolved(document, said)))
        .partition(|answer| answer.status.as_str() >= "400");
    Call {
        id: text(said, "/operationId"),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(said, "/summary"),
        description: prose(&text(said, "/description")),
        needs_caller,
        curl: curl(server, path, method, &parameters, needs_caller, media),
        parameters: parameters.iter().map(|parameter| shape::parameter(document, parameter)).collect(),
        body,
        answers,
        failures,
    }
}

fn answer(document: &Value, status: &str, said: &Value) -> Answer {
    let media = object(said, "/content").values().next();
    let names: Vec<String> = object(said, "/headers").keys().map(|name| format!("`{name}`")).collect();
    Answer {
        status: status.to_owned(),
        description: prose(&text(resolved(document, said), "/description")),
        fields: prose(&names.join(", ")),
        shape: media.and_then(|media| media.get("schema")).map(shape::name_of).unwrap_or_default(),
        example: media.and_then(|media| media.get("example")).map(pretty).unwrap_or_default(),
    }
}

/// The status that a described failure has, which its example says.
fn status_of(failure: &Value) -> String {
    failure
        .pointer("/content/application~1problem+json/example/status")
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// The call as a line for a shell, with the examples of its parameters.
fn curl(
    server: &str,
    path: &str,
    method: &str,
    parameters: &[&Value],
    needs_caller: bool,
    media: Option<&Value>,
) -> String {
    let mut address = path.to_owned();
    for parameter in parameters.iter().filter(|parameter| text(parameter, "/in") == "path") {
        address = address.replace(&format!("{{{}}}", text(parameter, "/name")), &text(parameter, "/example"));
    }
    let mut words = vec![String::from("curl")];
    if method != "get" {
        words.push(format!("-X {}", method.to_uppercase()));
    }
    if needs_caller {
        words.push(String::from("-H \"authorization: Bearer $KEYSTILE_TOKEN\""));
    }
    let mut line = words.join(" ");
    if let Some(example) = media.and_then(|media| media.get("example")) {
        let body = pretty(example).replace('\'', r"'\''");
        line.push_str(&format!(" \\\n  -H 'content-type: application/json' -d '{body}'"));
    }
    line.push_str(&format!(" \\\n  {server}{address}"));
    line
}

/// What a reference refers to; anything else is itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
    reference.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn object<'a>(value: &'a Value, pointer: &str) -> &'a Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    value.pointer(pointer).and_then(Value::as_object).unwrap_or_else(|| &NONE)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A sentence as HTML: escaped, with what stands between backticks as code.
fn prose(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    let mut in_code = false;
    for character in text.chars() {
        match character {
            '`' => {
                html.push_str(if in_code { "</code>" } else { "<code>" });
                in_code = !in_code;
            }
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '&' => html.push_str("&amp;"),
            other => html.push(other),
        }
    }
    if in_code {
        html.push_str("</code>");
    }
    html
}

#[cfg(test)]
mod tests {
    use super::prose;

    #[test]
    fn prose_is_escaped_and_what_stands_between_backticks_is_code() {
        assert_eq!(prose("a `b<c` & d"), "a <code>b&lt;c</code> &amp; d");
        assert_eq!(prose("open `end"), "open <code>end</code>");
    }
}
