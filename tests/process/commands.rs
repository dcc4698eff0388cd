//! The commands that speak to the management API, as a person at a terminal uses them.

use std::process::Output;

use serde_json::Value;

use crate::support::{Request, Scene, Upstream};

fn stdout(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    let text = stdout(output);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

#[test]
fn a_key_made_on_the_command_line_passes_at_once_and_is_refused_once_deleted() {
    let mut scene = Scene::new(Upstream::echo());
    let created = json(&scene.gateway.cli(&["keys", "create", "--org", "acme", "--name", "mine", "--json"]));
    let secret = created["secret"].as_str().unwrap().to_owned();
    let id = created["key"]["id"].as_str().unwrap().to_owned();
    let request = Request::get("/agents/echo/x").key(&secret);
    let mut kept = scene.connect();
    assert_eq!(kept.exchange(&request).status, 200);
    stdout(&scene.gateway.cli(&["keys", "delete", &id, "--org", "acme"]));
    assert_eq!(kept.exchange(&request).status, 401, "on the connection kept open");
    assert_eq!(scene.exchange(&request).status, 401);
}

#[test]
fn tables_for_people_do_not_show_secrets() {
    let mut scene = Scene::new(Upstream::echo());
    for arguments in
        [&["orgs", "list"][..], &["agents", "list", "--org", "acme"], &["keys", "list", "--org", "acme"]]
    {
        let shown = stdout(&scene.gateway.cli(arguments));
        assert!(shown.lines().count() >= 2, "{arguments:?}: a heading and a row:\n{shown}");
        assert!(!shown.contains(&scene.key.secret[3..]), "{shown}");
    }
    assert!(stdout(&scene.gateway.cli(&["orgs", "list"])).contains("acme"));
}

#[test]
fn wrong_usage_and_refusals_have_their_own_exit_codes() {
    let mut scene = Scene::new(Upstream::echo());
    assert_eq!(scene.gateway.cli(&["keys", "frobnicate"]).status.code(), Some(2));
    let refused = scene.gateway.cli(&["keys", "list", "--org", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    assert!(refused.stdout.is_empty());
}

#[test]
fn a_configuration_is_checked_without_being_run() {
    let mut scene = Scene::new(Upstream::echo());
    let config = scene.gateway.config().display().to_string();
    stdout(&scene.gateway.cli(&["check", "--config", &config]));
    let schema = json(&scene.gateway.cli(&["schema"]));
    assert!(schema["properties"]["gateway"].is_object(), "{schema}");
    let missing = scene.gateway.cli(&["check", "--config", "no-such-file.yaml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file.yaml"));
}

#[test]
fn an_operators_token_stands_alone_on_standard_output() {
    let mut scene = Scene::new(Upstream::echo());
    let config = scene.gateway.config().display().to_string();
    let token = stdout(&scene.gateway.cli(&["operator", "token", "--config", &config]));
    assert_eq!(token.lines().count(), 1, "{token}");
    assert!(token.starts_with("ksm_") && !token.trim().contains(char::is_whitespace), "{token}");
}
