//! Keys through the API: made once, shown without their secret, changed and ended at once.

use std::time::Duration;

use keystile::domain::clock::{Clock, UnixMillis};
use serde_json::json;

use crate::harness::{CAP, Console};

const KEYS: &str = "/organizations/acme/keys";

#[tokio::test]
async fn a_key_opens_the_way_when_its_creation_is_answered() {
    let console = Console::with_acme().await;
    let body = r#"{"name":"ci","scope":{"type":"agent","agent":"echo"},"access":"read",
        "expiresAt":"2999-01-01T01:00:00+01:00","limits":{"rate":{"requests":5,"per":"minute"}}}"#;
    let made = console.post(KEYS, body).await.is(201);
    assert_eq!(made.header("cache-control"), "no-store");
    let (key, secret) = (&made.json["key"], made.json["secret"].as_str().unwrap());
    let entry = console.lookup(secret).unwrap();
    assert_eq!(entry.id.to_string(), key["id"].as_str().unwrap());
    assert_eq!(key["scope"], json!({ "type": "agent", "agent": "echo" }));
    assert_eq!(key["access"], "read");
    assert_eq!(key["expiresAt"], "2999-01-01T00:00:00.000Z");
    assert_eq!(key["limits"], json!({ "rate": { "requests": 5, "per": "minute", "burst": 5 } }));
    assert_eq!(key["disabled"], false);
    assert!(key["lastUsedAt"].is_null());
    assert!(secret.ends_with(key["hint"].as_str().unwrap().trim_start_matches("ks_…")));
    assert!(key["createdBy"].as_str().unwrap().starts_with("ksm_…"));
    let names: Vec<&String> = key.as_object().unwrap().keys().collect();
    let mut expected = vec![
        "id",
        "name",
        "scope",
        "access",
        "hint",
        "createdAt",
        "createdBy",
        "lastUsedAt",
        "expiresAt",
        "disabled",
        "limits",
    ];
    expected.sort_unstable();
    let mut found: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn no_answer_but_the_creation_shows_a_secret() {
    let console = Console::with_acme().await;
    let (id, secret) = console.key("k").await;
    let one = format!("{KEYS}/{id}");
    for answer in [
        console.get(KEYS).await,
        console.get(&one).await,
        console.patch(&one, r#"{"name":"other"}"#).await,
        console.get(&format!("{one}/usage")).await,
        console.delete(&one).await,
    ] {
        let answer = answer.is(200);
        assert!(!String::from_utf8_lossy(&answer.bytes).contains(&secret[..20]));
    }
}

#[tokio::test]
async fn a_key_is_refused_from_the_moment_its_deletion_is_answered() {
    let console = Console::with_acme().await;
    let (id, secret) = console.key("k").await;
    let answer = console.delete(&format!("{KEYS}/{id}")).await.is(200);
    assert_eq!(answer.json["revocation"]["state"], "complete");
    assert!(console.lookup(&secret).is_none());
    console.get(&format!("{KEYS}/{id}")).await.is_problem(404);
    console.delete(&format!("{KEYS}/{id}")).await.is_problem(404);
}

#[tokio::test]
async fn name_limits_expiry_and_state_change_and_scope_and_access_never() {
    let console = Console::with_acme().await;
    let (id, secret) = console.key("k").await;
    let one = format!("{KEYS}/{id}");
    let changed = console
        .patch(
            &one,
            r#"{"name":"K","disabled":true,"limits":{"concurrency":2},"expiresAt":"2999-01-01T00:00:00Z"}"#,
        )
        .await
        .is(200);
    assert_eq!(changed.json["name"], "K");
    let entry = console.lookup(&secret).unwrap();
    assert!(entry.disabled && entry.expires_at().is_some());
    assert_eq!(entry.limits.limits().concurrency, Some(2));
    let back = console.patch(&one, r#"{"disabled":false,"limits":null,"expiresAt":null}"#).await.is(200);
    assert_eq!((&back.json["limits"], &back.json["name"]), (&json!({}), &json!("K")));
    let entry = console.lookup(&secret).unwrap();
    assert!(!entry.disabled && entry.expires_at().is_none());
    for fixed in [r#"{"scope":{"type":"organization"}}"#, r#"{"access":"all"}"#, r#"{"id":"x"}"#] {
        console.patch(&one, fixed).await.is_problem(422);
    }
}

#[tokio::test]
async fn a_change_that_changes_nothing_leaves_no_trace() {
    let console = Console::with_acme().await;
    let (id, _) = console.key("k").await;
    let one = format!("{KEYS}/{id}");
    let (tag, changes) = (console.get(&one).await.header("etag").to_owned(), console.count("changes").await);
    let same = console.patch(&one, r#"{"name":"k","disabled":false}"#).await.is(200);
    assert_eq!(same.header("etag"), tag);
    assert_eq!(console.count("changes").await, changes);
}

#[tokio::test]
async fn a_stale_change_or_deletion_is_412_and_changes_nothing() {
    let console = Console::with_acme().await;
    let (id, secret) = console.key("k").await;
    let one = format!("{KEYS}/{id}");
    let stale = console.get(&one).await.header("etag").to_owned();
    console.patch(&one, r#"{"name":"newer"}"#).await.is(200);
    console.json("PATCH", &one, r#"{"name":"older"}"#, Some(&stale)).await.is_problem(412);
    console.json("DELETE", &one, "", Some(&stale)).await.is_problem(412);
    assert_eq!(console.get(&one).await.json["name"], "newer");
    assert!(console.lookup(&secret).is_some());
}

#[tokio::test]
async fn at_the_cap_a_key_is_409_naming_it_and_a_deletion_makes_room() {
    let console = Console::with_acme().await;
    let mut last = String::new();
    for at in 0..CAP {
        last = console.key(&format!("k{at}")).await.0;
    }
    let body = r#"{"name":"one too many","scope":{"type":"organization"}}"#;
    let refused = console.post(KEYS, body).await;
    assert!(refused.is_problem(409).json["detail"].as_str().unwrap().contains("10 keys"));
    let list = console.get(KEYS).await.is(200);
    assert_eq!((&list.json["count"], &list.json["cap"]), (&json!(10), &json!(10)));
    console.delete(&format!("{KEYS}/{last}")).await.is(200);
    console.post(KEYS, body).await.is(201);
}

#[tokio::test]
async fn an_expiry_in_the_past_or_no_instant_is_named() {
    let console = Console::with_acme().await;
    for wrong in ["2001-01-01T00:00:00Z", "tomorrow", "", "1"] {
        let body = format!(r#"{{"name":"k","scope":{{"type":"organization"}},"expiresAt":"{wrong}"}}"#);
        assert_eq!(console.post(KEYS, &body).await.is_problem(422).pointers(), ["/expiresAt"], "{wrong}");
    }
    assert_eq!(console.get(KEYS).await.json["count"], 0);
}

#[tokio::test]
async fn a_scope_is_the_organization_or_one_of_its_agents() {
    let console = Console::with_acme().await;
    for (scope, pointer) in [
        (r#"{"type":"agent","agent":"nobody"}"#, "/scope/agent"),
        (r#"{"type":"agent"}"#, "/scope"),
        (r#"{"type":"world"}"#, "/scope"),
        (r#"{"type":"organization","agent":"echo"}"#, "/scope"),
    ] {
        let answer = console.post(KEYS, &format!(r#"{{"name":"k","scope":{scope}}}"#)).await;
        let pointers = answer.is_problem(422).pointers();
        assert!(pointers.len() == 1 && pointers[0].starts_with(pointer), "{scope}: {pointers:?}");
    }
}

#[tokio::test]
async fn a_key_of_another_organization_is_not_found() {
    let console = Console::with_acme().await;
    let (id, secret) = console.key("k").await;
    console.post("/organizations", r#"{"slug":"other","name":"Other"}"#).await.is(201);
    let elsewhere = format!("/organizations/other/keys/{id}");
    console.get(&elsewhere).await.is_problem(404);
    console.patch(&elsewhere, r#"{"disabled":true}"#).await.is_problem(404);
    console.delete(&elsewhere).await.is_problem(404);
    console.get(&format!("{elsewhere}/usage")).await.is_problem(404);
    assert!(console.lookup(&secret).is_some());
}

#[tokio::test]
async fn keys_are_there_again_after_a_restart_with_all_they_say() {
    let clock = Clock::manual(UnixMillis(1_800_000_000_000));
    let console = Console::start_with(clock.clone()).await;
    console
        .post("/organizations", r#"{"slug":"acme","name":"Acme","limits":{"concurrency":4}}"#)
        .await
        .is(201);
    console.post("/organizations/acme/agents", r#"{"slug":"echo","name":"Echo"}"#).await.is(201);
    let body = r#"{"name":"k","scope":{"type":"agent","agent":"echo"},"expiresAt":"2030-01-01T00:00:00Z"}"#;
    let made = console.post(KEYS, body).await.is(201);
    let secret = made.json["secret"].as_str().unwrap();
    clock.advance(Duration::from_secs(60));
    let table = keystile::keytable::KeyTable::new(keystile::domain::limit::Limits::default());
    console.database.load(&table).await.unwrap();
    let entry = table.lookup(&keystile::domain::secret::SecretHash::of(secret.as_bytes())).unwrap();
    assert_eq!(entry.organization.agent("echo"), entry.scope.agent());
    assert_eq!(entry.expires_at(), UnixMillis::parse_rfc3339("2030-01-01T00:00:00Z"));
    assert_eq!(entry.limits.limits().concurrency, Some(4));
}
