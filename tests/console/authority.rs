//! Who may do what: every call of the API by every role, in their own organization, in another and in one that is not.
//!
//! A change that is permitted is asked for with an `If-Match` that nothing matches, so that 412 says "you may" and
//! nothing changes. What one may not know of must look, byte for byte, like what does not exist.

use std::collections::BTreeSet;

use http::Request;
use serde_json::Value;

use crate::harness::{Answer, Console};
use crate::pages_visitor::{PASSWORD, Visitor};

const NOTHING: &str = "\"nothing\"";
/// An id that is nobody's.
const UNKNOWN: &str = "0190b5c8-7d1e-7c3a-9a55-3a1f0c9d2b11";

/// Acme with agents echo and clock, its admin and echo's; Umbrella with an admin of its own.
struct World<'a> {
    console: &'a Console,
    admin: Visitor<'a>,
    clerk: Visitor<'a>,
    stranger: Visitor<'a>,
    ids: Vec<(&'static str, String)>,
}

impl<'a> World<'a> {
    async fn build(console: &'a Console) -> World<'a> {
        console.post("/organizations/acme/agents", r#"{"slug":"clock","name":"Clock"}"#).await.is(201);
        console.post("/organizations", r#"{"slug":"umbrella","name":"Umbrella"}"#).await.is(201);
        console.post("/organizations/umbrella/agents", r#"{"slug":"bell","name":"Bell"}"#).await.is(201);
        let admin = joined(console, "acme", "admin@acme.example", "organization-admin", None).await;
        let clerk = joined(console, "acme", "clerk@acme.example", "agent-admin", Some("echo")).await;
        let stranger =
            joined(console, "umbrella", "admin@umbrella.example", "organization-admin", None).await;
        let mut ids = Vec::new();
        for (name, organization, scope) in [
            ("WIDE", "acme", r#"{"type":"organization"}"#),
            ("ECHO", "acme", r#"{"type":"agent","agent":"echo"}"#),
            ("CLOCK", "acme", r#"{"type":"agent","agent":"clock"}"#),
            ("FOREIGN", "umbrella", r#"{"type":"agent","agent":"bell"}"#),
        ] {
            let body = format!(r#"{{"name":"{name}","scope":{scope}}}"#);
            let made = console.post(&format!("/organizations/{organization}/keys"), &body).await.is(201);
            ids.push((name, made.json["key"]["id"].as_str().unwrap().to_owned()));
        }
        let members = console.get("/organizations/acme/members").await.is(200);
        ids.push(("MEMBER", members.json["items"][0]["id"].as_str().unwrap().to_owned()));
        World { console, admin, clerk, stranger, ids }
    }

    fn path(&self, written: &str) -> String {
        let named = self.ids.iter().fold(written.to_owned(), |path, (name, id)| path.replace(name, id));
        named.replace("UNKNOWN", UNKNOWN)
    }

    /// The answers to operator, organization admin, agent admin, another organization's admin, and nobody.
    async fn ask(&self, method: &str, path: &str, body: &str) -> [Answer; 5] {
        let path = format!("/api/v1{}", self.path(path));
        let request = || {
            Request::builder()
                .method(method)
                .uri(&path)
                .header("if-match", NOTHING)
                .header("content-type", "application/json")
        };
        // Names that are taken once are told apart by who asks.
        let own = |caller: &str| body.replace("CALLER", caller);
        let token = format!("Bearer {}", self.console.token);
        let operator = Visitor::stranger(self.console);
        [
            operator.send(request().header("authorization", token), own("operator")).await,
            self.admin.send(request(), own("admin")).await,
            self.clerk.send(request(), own("clerk")).await,
            self.stranger.send(request(), own("stranger")).await,
            Visitor::stranger(self.console).send(request(), own("nobody")).await,
        ]
    }
}

async fn joined<'a>(
    console: &'a Console,
    organization: &str,
    email: &str,
    role: &str,
    agent: Option<&str>,
) -> Visitor<'a> {
    let agents = agent.map(|agent| format!(r#","agents":["{agent}"]"#)).unwrap_or_default();
    let body = format!(r#"{{"email":"{email}","role":"{role}"{agents}}}"#);
    let made = console.post(&format!("/organizations/{organization}/members"), &body).await.is(201);
    let token = made.json["inviteUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let visitor = Visitor::stranger(console);
    let request =
        Request::post(format!("/api/v1/invitations/{token}")).header("content-type", "application/json");
    visitor.send(request, format!(r#"{{"password":"{PASSWORD}"}}"#)).await.is(200);
    visitor
}

/// A call, its body, and the statuses for operator, organization admin, agent admin and another organization's admin.
type Row = (&'static str, &'static str, &'static str, [u16; 4]);

const KEY: &str = r#"{"name":"CALLER","scope":{"type":"organization"}}"#;
const ECHO_KEY: &str = r#"{"name":"CALLER","scope":{"type":"agent","agent":"echo"}}"#;
const CLOCK_KEY: &str = r#"{"name":"CALLER","scope":{"type":"agent","agent":"clock"}}"#;
const NO_KEY: &str = r#"{"name":"CALLER","scope":{"type":"agent","agent":"bell"}}"#;
const AGENT: &str = r#"{"slug":"by-CALLER","name":"CALLER"}"#;
const MEMBER: &str = r#"{"email":"by-CALLER@acme.example","role":"organization-admin"}"#;
const NAME: &str = r#"{"name":"Renamed"}"#;
const ROLE: &str = r#"{"disabled":true}"#;

const ROWS: &[Row] = &[
    ("GET", "/organizations/acme", "", [200, 200, 200, 404]),
    ("PATCH", "/organizations/acme", NAME, [412, 403, 403, 404]),
    ("DELETE", "/organizations/acme", "", [412, 403, 403, 404]),
    ("GET", "/organizations/acme/agents", "", [200, 200, 200, 404]),
    ("POST", "/organizations/acme/agents", AGENT, [201, 201, 403, 404]),
    ("GET", "/organizations/acme/agents/echo", "", [200, 200, 200, 404]),
    ("PATCH", "/organizations/acme/agents/echo", NAME, [412, 412, 403, 404]),
    ("DELETE", "/organizations/acme/agents/echo", "", [412, 412, 403, 404]),
    ("GET", "/organizations/acme/agents/clock", "", [200, 200, 404, 404]),
    ("PATCH", "/organizations/acme/agents/clock", NAME, [412, 412, 404, 404]),
    ("DELETE", "/organizations/acme/agents/clock", "", [412, 412, 404, 404]),
    ("GET", "/organizations/acme/agents/bell", "", [404, 404, 404, 404]),
    ("PATCH", "/organizations/acme/agents/bell", NAME, [404, 404, 404, 404]),
    ("DELETE", "/organizations/acme/agents/bell", "", [404, 404, 404, 404]),
    ("GET", "/organizations/acme/members", "", [200, 200, 403, 404]),
    ("POST", "/organizations/acme/members", MEMBER, [201, 201, 403, 404]),
    ("GET", "/organizations/acme/members/MEMBER", "", [200, 200, 403, 404]),
    ("PATCH", "/organizations/acme/members/MEMBER", ROLE, [412, 412, 403, 404]),
    ("DELETE", "/organizations/acme/members/MEMBER", "", [412, 412, 403, 404]),
    ("POST", "/organizations/acme/members/MEMBER/invitation", "{}", [409, 409, 403, 404]),
    ("GET", "/organizations/acme/members/UNKNOWN", "", [404, 404, 403, 404]),
    ("PATCH", "/organizations/acme/members/UNKNOWN", ROLE, [404, 404, 403, 404]),
    ("DELETE", "/organizations/acme/members/UNKNOWN", "", [404, 404, 403, 404]),
    ("POST", "/organizations/acme/members/UNKNOWN/invitation", "{}", [404, 404, 403, 404]),
    ("GET", "/organizations/acme/keys", "", [200, 200, 200, 404]),
    ("POST", "/organizations/acme/keys", KEY, [201, 201, 403, 404]),
    ("POST", "/organizations/acme/keys", ECHO_KEY, [201, 201, 201, 404]),
    ("POST", "/organizations/acme/keys", CLOCK_KEY, [201, 201, 422, 404]),
    ("POST", "/organizations/acme/keys", NO_KEY, [422, 422, 422, 404]),
    ("GET", "/organizations/acme/keys/WIDE", "", [200, 200, 404, 404]),
    ("PATCH", "/organizations/acme/keys/WIDE", NAME, [412, 412, 404, 404]),
    ("DELETE", "/organizations/acme/keys/WIDE", "", [412, 412, 404, 404]),
    ("GET", "/organizations/acme/keys/WIDE/usage", "", [200, 200, 404, 404]),
    ("GET", "/organizations/acme/keys/ECHO", "", [200, 200, 200, 404]),
    ("PATCH", "/organizations/acme/keys/ECHO", NAME, [412, 412, 412, 404]),
    ("DELETE", "/organizations/acme/keys/ECHO", "", [412, 412, 412, 404]),
    ("GET", "/organizations/acme/keys/ECHO/usage", "", [200, 200, 200, 404]),
    ("GET", "/organizations/acme/keys/CLOCK", "", [200, 200, 404, 404]),
    ("PATCH", "/organizations/acme/keys/CLOCK", NAME, [412, 412, 404, 404]),
    ("DELETE", "/organizations/acme/keys/CLOCK", "", [412, 412, 404, 404]),
    ("GET", "/organizations/acme/keys/CLOCK/usage", "", [200, 200, 404, 404]),
    ("GET", "/organizations/acme/keys/FOREIGN", "", [404, 404, 404, 404]),
    ("PATCH", "/organizations/acme/keys/FOREIGN", NAME, [404, 404, 404, 404]),
    ("DELETE", "/organizations/acme/keys/FOREIGN", "", [404, 404, 404, 404]),
    ("GET", "/organizations/acme/keys/FOREIGN/usage", "", [404, 404, 404, 404]),
    ("GET", "/organizations/acme/keys/UNKNOWN", "", [404, 404, 404, 404]),
    ("GET", "/organizations/acme/audit", "", [200, 200, 200, 404]),
];

/// Calls that are about the caller, or open to whoever holds a link: tested in `people.rs`.
const OWN: &[&str] =
    &["/session", "/session/password", "/sessions", "/sessions/{session}", "/invitations/{token}"];

#[tokio::test]
async fn every_call_answers_each_role_as_the_table_says_and_others_as_if_there_were_nothing() {
    let console = Console::with_acme().await;
    let world = World::build(&console).await;
    for (method, path, body, expected) in ROWS {
        let answers = world.ask(method, path, body).await;
        for (answer, status) in answers.iter().zip(expected.iter().chain([&401])) {
            assert_eq!(answer.status.as_u16(), *status, "{method} {path} {body}: {}", answer.json);
        }
        // Whoever stands outside is told the same of what is there and of what is not.
        let nowhere = path.replacen("/acme", "/nowhere", 1);
        let [.., from_nowhere, _] = world.ask(method, &nowhere, body).await;
        let [.., from_acme, _] = &answers;
        assert_eq!(from_nowhere.bytes, from_acme.bytes, "{method} {path} tells strangers that acme is there");
    }
}

#[tokio::test]
async fn members_learn_nothing_of_another_organization_by_any_call() {
    let console = Console::with_acme().await;
    let world = World::build(&console).await;
    for (method, path, body, _) in ROWS {
        let [_, of_umbrella, by_clerk, ..] =
            world.ask(method, &path.replacen("/acme", "/umbrella", 1), body).await;
        let [operator, of_nowhere, ..] =
            world.ask(method, &path.replacen("/acme", "/nowhere", 1), body).await;
        for answer in [&of_umbrella, &by_clerk, &of_nowhere, &operator] {
            assert_eq!(answer.status.as_u16(), 404, "{method} {path}: {}", answer.json);
            assert_eq!(answer.bytes, of_nowhere.bytes, "{method} {path} tells whether umbrella is there");
        }
    }
}

#[tokio::test]
async fn lists_and_counts_hold_only_what_each_role_may_know() {
    let console = Console::with_acme().await;
    let world = World::build(&console).await;
    let names = |answer: &Answer, field: &str| {
        let items = answer.json["items"].as_array().unwrap().iter();
        items.map(|item| item[field].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let [operator, admin, clerk, stranger, _] = world.ask("GET", "/organizations", "").await;
    assert_eq!(names(&operator, "slug"), ["acme", "umbrella"]);
    assert_eq!((names(&admin, "slug"), names(&clerk, "slug")), (vec!["acme".into()], vec!["acme".into()]));
    assert_eq!(names(&stranger, "slug"), ["umbrella"]);
    let [_, admin, clerk, ..] = world.ask("GET", "/organizations/acme/agents", "").await;
    assert_eq!((names(&admin, "slug").len(), names(&clerk, "slug")), (2, vec!["echo".to_owned()]));
    let [_, admin, clerk, ..] = world.ask("GET", "/organizations/acme/keys", "").await;
    assert_eq!((names(&admin, "name").len(), admin.json["count"].as_u64()), (3, Some(3)));
    assert_eq!((names(&clerk, "name"), clerk.json["count"].as_u64()), (vec!["ECHO".to_owned()], Some(1)));
    let [_, _, clerk, ..] = world.ask("GET", "/organizations/acme/keys?limit=1", "").await;
    assert_eq!(clerk.json["next"], Value::Null, "a page behind the last would tell that there is more");
    let [_, admin, clerk, ..] = world.ask("GET", "/organizations/acme/audit", "").await;
    assert!(names(&admin, "actor").len() > names(&clerk, "actor").len());
    let own: BTreeSet<String> = names(&clerk, "actor").into_iter().collect();
    assert_eq!(own, BTreeSet::from(["clerk@acme.example".to_owned()]));
}

#[tokio::test]
async fn only_operators_create_organizations() {
    let console = Console::with_acme().await;
    let world = World::build(&console).await;
    let body = r#"{"slug":"by-CALLER","name":"CALLER"}"#;
    let answers = world.ask("POST", "/organizations", body).await;
    assert_eq!(answers.map(|answer| answer.status.as_u16()), [201, 403, 403, 403, 401]);
}

/// Calls about the deployment, which are operators' alone.
const DEPLOYMENT: &[&str] = &["/gateways"];

#[tokio::test]
async fn to_everybody_but_operators_the_deployment_is_not_there() {
    let console = Console::with_acme().await;
    let world = World::build(&console).await;
    for path in DEPLOYMENT {
        let answers = world.ask("GET", path, "").await;
        let [_, nowhere, ..] = world.ask("GET", "/nothing-of-the-kind", "").await;
        for answer in &answers[1..4] {
            assert_eq!(answer.bytes, nowhere.bytes, "{path} tells that it is there");
        }
        assert_eq!(answers.map(|answer| answer.status.as_u16()), [200, 404, 404, 404, 401], "{path}");
    }
}

#[tokio::test]
async fn the_table_knows_every_call_that_the_api_describes() {
    let console = Console::start().await;
    let description = console.get("/openapi.json").await.is(200);
    let mut missing = Vec::new();
    for (path, item) in description.json["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let is_known = |row: &Row| row.0.eq_ignore_ascii_case(method) && fits(path, row.1);
            let is_list = path == "/organizations";
            let is_apart = is_list || OWN.contains(&path) || DEPLOYMENT.contains(&path);
            if !ROWS.iter().any(is_known) && !is_apart {
                missing.push(format!("{method} {path}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new(), "calls that no row of the table asks");
}

/// Whether `written` is `template` with its parameters filled in.
fn fits(template: &str, written: &str) -> bool {
    let (template, written): (Vec<_>, Vec<_>) = (template.split('/').collect(), written.split('/').collect());
    template.len() == written.len()
        && template.iter().zip(&written).all(|(t, w)| t.starts_with('{') || t == w)
}
