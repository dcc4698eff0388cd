//! The description of the API, `/api/v1/openapi.json`, and the page made of it: complete, and true.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use http::Request;
use serde_json::{Map, Value};

use crate::harness::Console;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

async fn description(console: &Console) -> Value {
    let request = Request::get("/api/v1/openapi.json").body(Body::empty()).unwrap();
    let answer = console.send(request).await.is(200);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json
}

/// Every call with its path and its method in upper case.
fn calls(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let calls = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, call)| (path.clone(), method.to_uppercase(), call))
    });
    calls.collect()
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => value,
    }
}

#[tokio::test]
async fn the_description_is_openapi_3_1_and_names_who_may_call_and_where() {
    let console = Console::start().await;
    let document = description(&console).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    assert_eq!(document["servers"][0]["url"], "https://keys.example.com");
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(
        (&schemes["token"]["scheme"], &schemes["session"]["in"]),
        (&"bearer".into(), &"cookie".into())
    );
    assert_eq!(schemes["session"]["name"], "__Host-keystile");
}

#[tokio::test]
async fn what_is_served_is_described_and_what_is_described_is_served() {
    let console = Console::start().await;
    let document = description(&console).await;
    let mut described: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in calls(&document) {
        described.entry(path).or_default().insert(method);
    }
    for (path, methods) in &described {
        let target = path.strip_prefix("/api/v1").unwrap().replace(['{', '}'], "");
        let other = METHODS.iter().find(|method| !methods.contains(**method)).unwrap();
        let answer = console.send(console.request(other, &target).body(Body::empty()).unwrap()).await;
        answer.is_problem(405);
        let allowed = answer.header("allow").split(',').filter(|method| *method != "HEAD");
        assert_eq!(&allowed.map(str::to_owned).collect::<BTreeSet<_>>(), methods, "{path}");
    }
    // The router is made of handlers that describe themselves; besides them it has the description and its page.
    let source = include_str!("../../src/console/api/mod.rs");
    assert_eq!(source.matches(".route(").count(), 2);
}

#[tokio::test]
async fn every_call_says_what_it_is_takes_and_answers() {
    let console = Console::start().await;
    let document = description(&console).await;
    let tags: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut ids = BTreeSet::new();
    for (path, method, call) in calls(&document) {
        let id = call["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        assert!(!call["summary"].as_str().unwrap().is_empty(), "{id}");
        assert!(tags.contains(call["tags"][0].as_str().unwrap()), "{id}");
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameters = call["parameters"].as_array().unwrap().iter();
            let mut names =
                parameters.map(|parameter| resolved(&document, parameter)["name"].as_str().unwrap());
            assert!(names.any(|own| own == name), "{id} says nothing of {name}");
        }
        if let Some(body) = call.get("requestBody") {
            has_example(body, id);
        }
        for (status, answer) in call["responses"].as_object().unwrap() {
            let answer = resolved(&document, answer);
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{id} {status}");
            assert!(answer["headers"].get("x-request-id").is_some(), "{id} {status}");
            if status != "204" {
                has_example(answer, &format!("{id} {status}"));
            }
            if status.as_str() >= "400" {
                assert!(answer["content"].get("application/problem+json").is_some(), "{id} {status}");
            }
        }
    }
    assert!(ids.len() >= 33, "{ids:?}");
}

#[track_caller]
fn has_example(holder: &Value, what: &str) {
    let media = holder["content"].as_object().unwrap_or_else(|| panic!("{what} has no content")).values();
    for media in media {
        assert!(media.get("example").is_some(), "{what} has no example: {}", media["schema"]);
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_schema_is_described() {
    let console = Console::start().await;
    let document = description(&console).await;
    walk(&document, &document);
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name}");
        for (field, said) in schema["properties"].as_object().unwrap_or(&Map::new()) {
            let said = said.get("description").or_else(|| resolved(&document, said).get("description"));
            assert!(said.is_some(), "{name}.{field}");
        }
    }
}

fn walk(document: &Value, value: &Value) {
    match value {
        Value::Object(fields) => {
            resolved(document, value);
            fields.values().for_each(|field| walk(document, field));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(document, item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn unknown_fields_are_refused_where_a_body_says_so_which_each_does() {
    let console = Console::start().await;
    let document = description(&console).await;
    for (path, method, call) in calls(&document) {
        let Some(schema) = call.pointer("/requestBody/content/application~1json/schema") else { continue };
        assert_eq!(resolved(&document, schema)["additionalProperties"], false, "{method} {path}");
    }
}

/// Sends the example of a call's body and answers what came, which must be as the description's example is.
async fn send_example(console: &Console, document: &Value, id: &str, target: &str) -> Value {
    let (path, method, call) = calls(document)
        .into_iter()
        .find(|(_, _, call)| call["operationId"] == id)
        .unwrap_or_else(|| panic!("no {id}"));
    let example = call.pointer("/requestBody/content/application~1json/example").map(Value::to_string);
    let answer = console.json(&method, target, &example.unwrap_or_default(), None).await;
    let status = answer.status.as_str().to_owned();
    assert!(answer.status.is_success(), "{id}: {}", answer.json);
    let said = call["responses"].get(&status).unwrap_or_else(|| panic!("{id} does not say {status}, {path}"));
    if let Some(told) = said.pointer("/content/application~1json/example") {
        same_fields(told, &answer.json, id);
    }
    answer.json
}

/// Fails unless both have the same fields, down to the leaves. Lists may differ, and what one leaves null.
#[track_caller]
fn same_fields(told: &Value, came: &Value, at: &str) {
    if let (Value::Object(told), Value::Object(came)) = (told, came) {
        let (names, others): (BTreeSet<_>, BTreeSet<_>) = (told.keys().collect(), came.keys().collect());
        assert_eq!(names, others, "{at}");
        for (name, told) in told {
            // A record shows the limits that it was given.
            if name != "limits" && name != "scope" {
                same_fields(told, &came[name], &format!("{at}/{name}"));
            }
        }
    }
}

#[tokio::test]
async fn the_examples_work_as_printed_one_after_the_other() {
    let console = Console::start().await;
    let document = description(&console).await;
    let acme = "/organizations/acme";
    send_example(&console, &document, "createOrganization", "/organizations").await;
    send_example(&console, &document, "listOrganizations", "/organizations").await;
    send_example(&console, &document, "changeOrganization", acme).await;
    send_example(&console, &document, "readOrganization", acme).await;
    send_example(&console, &document, "createAgent", &format!("{acme}/agents")).await;
    send_example(&console, &document, "changeAgent", &format!("{acme}/agents/echo")).await;
    let key = send_example(&console, &document, "createKey", &format!("{acme}/keys")).await;
    let key = format!("{acme}/keys/{}", key["key"]["id"].as_str().unwrap());
    send_example(&console, &document, "changeKey", &key).await;
    send_example(&console, &document, "listKeys", &format!("{acme}/keys")).await;
    send_example(&console, &document, "readKeyUsage", &format!("{key}/usage")).await;
    let invited = send_example(&console, &document, "createMember", &format!("{acme}/members")).await;
    let member = format!("{acme}/members/{}", invited["member"]["id"].as_str().unwrap());
    let renewed = send_example(&console, &document, "renewInvitation", &format!("{member}/invitation")).await;
    let link = renewed["inviteUrl"].as_str().unwrap();
    let invitation = link.strip_prefix("https://keys.example.com").unwrap().to_owned();
    send_example(&console, &document, "readInvitation", &invitation).await;
    send_example(&console, &document, "acceptInvitation", &invitation).await;
    send_example(&console, &document, "changeMember", &member).await;
    send_example(&console, &document, "listGateways", "/gateways").await;
    send_example(&console, &document, "listAudit", &format!("{acme}/audit")).await;
    send_example(&console, &document, "deleteKey", &key).await;
    send_example(&console, &document, "deleteMember", &member).await;
}

#[tokio::test]
async fn the_page_shows_every_call_and_every_shape_and_needs_no_script() {
    let console = Console::start().await;
    let document = description(&console).await;
    let request = Request::get("/api/docs").body(Body::empty()).unwrap();
    let answer = console.send(request).await.is(200);
    assert!(answer.header("content-type").starts_with("text/html"));
    let page = String::from_utf8(answer.bytes.to_vec()).unwrap();
    for (path, method, call) in calls(&document) {
        let id = call["operationId"].as_str().unwrap();
        assert!(page.contains(&format!("id=\"{id}\"")) && page.contains(&path), "{method} {path}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("id=\"shape-{name}\"")), "{name}");
    }
    for link in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        let before = page.split_once(&format!("id=\"{link}\"")).map(|(before, _)| before);
        let before = before.unwrap_or_else(|| panic!("#{link} leads nowhere"));
        let is_folded = before.matches("<details").count() > before.matches("</details>").count();
        assert!(!is_folded, "#{link} leads to what is folded away");
    }
    // Nothing inline, nothing from elsewhere: the policy of pages forbids both.
    for forbidden in ["<style", "style=\"", "onclick", "src=\"http", "<script>"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}
