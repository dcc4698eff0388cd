//! The description of the API (OpenAPI 3.1): what handlers and types say of themselves, completed by what holds for all.
//!
//! Owns the rules that no handler repeats: which failures a kind of request may meet, which fields every answer has, who
//! may call. Promises that every answer and every body has a shape and an example.

use serde_json::{Map, Value, json};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, ServerBuilder};

use super::examples;
use super::failures::{self, FAILURES};
use super::problem::{Document, DocumentError};
use super::tidy;
use crate::domain::limit::{Period, Quota, Rate, Window};

/// What is told before the first call.
const INTRODUCTION: &str = "Everything that people do in the console, for programs. JSON over HTTP.";

/// Groups of calls, in the order in which they are shown.
const TAGS: [(&str, &str); 8] = [
    ("session", "Who is calling; signing in and out; one's own name, time zone, password and sessions."),
    ("organizations", "Tenants. Each owns agents, members and keys."),
    ("agents", "Backend programs of an organization, which routes lead to."),
    ("keys", "Credentials that programs send to the gateway."),
    ("members", "People in an organization: organization admins, and agent admins of some of its agents."),
    ("invitations", "What a link that lets somebody in is to, and accepting it."),
    ("audit", "Who did what."),
    ("gateways", "What admits requests, and how far each is in following the changes made here."),
];

/// Parameters of paths: name, what it is, example.
const NAMES: [(&str, &str, &str); 6] = [
    ("org", "The slug or id of an organization.", "acme"),
    ("agent", "The slug or id of an agent.", "echo"),
    ("key", "The id of a key.", examples::KEY_ID),
    ("member", "The id of a member.", examples::MEMBER_ID),
    ("session", "The id of a session.", examples::SESSION_ID),
    ("token", "What the link of an invitation ends with.", examples::INVITATION),
];

/// A document to which handlers add themselves. `public_url` is how clients reach the API.
pub(super) fn blank(public_url: &str) -> OpenApi {
    let information = InfoBuilder::new()
        .title("Keystile management API")
        .description(Some(INTRODUCTION))
        .version(env!("CARGO_PKG_VERSION"));
    let server = ServerBuilder::new().url(public_url).build();
    // What other schemas refer to without containing it.
    let components = ComponentsBuilder::new()
        .schema_from::<Document<'static>>()
        .schema_from::<DocumentError<'static>>()
        .schema_from::<Rate>()
        .schema_from::<Quota>()
        .schema_from::<Period>()
        .schema_from::<Window>()
        .build();
    OpenApiBuilder::new().info(information).servers(Some([server])).components(Some(components)).build()
}

/// The whole description, from what handlers have said.
///
/// `cookie` is the name of the one that holds a session.
pub(super) fn complete(said: &OpenApi, cookie: &str) -> Value {
    // Strings, numbers and lists only: this cannot fail.
    let mut document = tidy::tidied(serde_json::to_value(said).unwrap_or_default());
    let tags = TAGS.map(|(name, description)| json!({"name": name, "description": description}));
    put(&mut document, "tags", json!(tags));
    put(&mut document, "security", json!([{"token": []}, {"session": []}]));
    for (path, calls) in entries(&mut document, "/paths") {
        for (method, call) in calls.as_object_mut().into_iter().flatten() {
            complete_call(path, method, call);
        }
    }
    if let Some(components) = document.get_mut("components") {
        put(components, "securitySchemes", security(cookie));
        put(components, "headers", headers());
        put(components, "parameters", parameters());
        put(components, "responses", failures::responses());
    }
    document
}

fn complete_call(path: &str, method: &str, call: &mut Value) {
    let changes = method != "get";
    let open = call.get("security").is_some();
    let conditional = has_parameter(call, "header");
    let queried = has_parameter(call, "query");
    let named: Vec<&str> =
        path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
    let takes_body = call.get("requestBody").is_some();

    if !named.is_empty() {
        let references = named.iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")}));
        let others = call.get_mut("parameters").and_then(Value::as_array_mut).map(std::mem::take);
        let all: Vec<Value> = references.chain(others.unwrap_or_default()).collect();
        put(call, "parameters", Value::Array(all));
    }
    if let Some(body) = call.get_mut("requestBody") {
        put(body, "required", json!(true));
        illustrate(body);
    }
    for (status, answer) in entries(call, "/responses") {
        match FAILURES.iter().find(|failure| failure.status.to_string() == *status) {
            Some(failure) => failure.describe(answer),
            None => complete_answer(status, answer),
        }
    }
    let applies = |status: u16| match status {
        400 => takes_body || queried || conditional,
        401 => !open,
        403 | 507 => changes,
        404 => !named.is_empty(),
        412 => conditional,
        413 | 415 | 422 => takes_body,
        500 | 503 => true,
        _ => false,
    };
    let Some(answers) = call.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for failure in FAILURES.iter().filter(|failure| applies(failure.status)) {
        answers.entry(failure.status.to_string()).or_insert_with(|| failure.reference());
    }
}

/// The fields and the example of an answer that tells of no failure.
fn complete_answer(status: &str, answer: &mut Value) {
    let mut fields = vec!["x-request-id"];
    if status == "201" {
        fields.extend(["Location", "ETag"]);
    }
    let said = |name: &&&str| answer.get("headers").is_some_and(|headers| headers.get(**name).is_some());
    fields.extend(["ETag", "Set-Cookie"].iter().filter(said));
    put(answer, "headers", header_references(&fields));
    illustrate(answer);
}

/// Puts an example beside each schema that is named.
fn illustrate(holder: &mut Value) {
    for (_, media) in entries(holder, "/content") {
        let named = media.pointer("/schema/$ref").and_then(Value::as_str);
        let name = named.and_then(|reference| reference.rsplit('/').next()).unwrap_or_default();
        if let Some(example) = examples::of(name) {
            put(media, "example", example);
        }
    }
}

fn has_parameter(call: &Value, place: &str) -> bool {
    let parameters = call.get("parameters").and_then(Value::as_array);
    parameters.into_iter().flatten().any(|parameter| parameter.get("in").is_some_and(|at| at == place))
}

/// References to fields that are described once.
pub(super) fn header_references(names: &[&str]) -> Value {
    let reference = |name: &&str| {
        ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{}", name.to_ascii_lowercase())}))
    };
    Value::Object(names.iter().map(reference).collect())
}

fn headers() -> Value {
    let text = |description: &str| json!({"description": description, "required": true, "schema": {"type": "string"}});
    json!({
        "x-request-id": {
            "description": "The request's id, by which the server's log names it.",
            "required": true, "schema": {"type": "string", "format": "uuid"},
        },
        "location": {
            "description": "Where the record is that was made.",
            "required": true, "schema": {"type": "string", "format": "uri"},
        },
        "etag": text("Tells this state of the record from every other. Send it as `If-Match` with a change."),
        "set-cookie": text("The cookie that holds the session, or its end."),
        "www-authenticate": text("How to present a token (RFC 6750)."),
        "retry-after": {
            "description": "Seconds after which another try is worth it.",
            "required": true, "schema": {"type": "integer", "minimum": 1},
        },
    })
}

fn parameters() -> Value {
    let described = NAMES.iter().map(|(name, description, example)| {
        let parameter = json!({
            "name": name, "in": "path", "required": true, "description": description,
            "schema": {"type": "string", "minLength": 1}, "example": example,
        });
        ((*name).to_owned(), parameter)
    });
    Value::Object(described.collect())
}

fn security(cookie: &str) -> Value {
    json!({
        "token": {
            "type": "http", "scheme": "bearer", "bearerFormat": "ksm_…",
            "description": "A management token, for programs. `keystile operator token` makes one.",
        },
        "session": {
            "type": "apiKey", "in": "cookie", "name": cookie,
            "description": "A person's session, as signing in sets it.",
        },
    })
}

/// The entries of the object at `pointer`; none where there is none.
fn entries<'a>(value: &'a mut Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    value.pointer_mut(pointer).and_then(Value::as_object_mut).into_iter().flatten()
}

/// Sets a field of an object.
pub(super) fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    } else if object.is_null() {
        *object = Value::Object(Map::from_iter([(name.to_owned(), value)]));
    }
}
