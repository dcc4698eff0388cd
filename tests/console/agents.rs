//! Agents through the API.

use crate::harness::Console;

#[tokio::test]
async fn an_agent_is_created_renamed_and_found_by_slug_or_id() {
    let console = Console::with_acme().await;
    let made = console.post("/organizations/acme/agents", r#"{"slug":"clock","name":"Clock"}"#).await.is(201);
    assert_eq!(made.header("location"), "https://keys.example.com/api/v1/organizations/acme/agents/clock");
    let id = made.json["id"].as_str().unwrap();
    let renamed = console
        .patch(&format!("/organizations/acme/agents/{id}"), r#"{"slug":"watch","name":"Watch"}"#)
        .await
        .is(200);
    assert_eq!((&renamed.json["slug"], &renamed.json["id"]), (&"watch".into(), &made.json["id"]));
    console.get("/organizations/acme/agents/clock").await.is_problem(404);
    assert_eq!(console.get("/organizations/acme/agents/watch").await.is(200).json, renamed.json);
    let list = console.get("/organizations/acme/agents").await.is(200);
    assert_eq!(list.json["items"].as_array().unwrap().len(), 2);
    console.post("/organizations/acme/agents", r#"{"slug":"watch","name":"x"}"#).await.is_problem(409);
    console.post("/organizations/nobody/agents", r#"{"slug":"watch","name":"x"}"#).await.is_problem(404);
}

#[tokio::test]
async fn an_agent_of_another_organization_is_not_found() {
    let console = Console::with_acme().await;
    let id = console.get("/organizations/acme/agents/echo").await.json["id"].as_str().unwrap().to_owned();
    console.post("/organizations", r#"{"slug":"other","name":"Other"}"#).await.is(201);
    console.get(&format!("/organizations/other/agents/{id}")).await.is_problem(404);
    console.delete(&format!("/organizations/other/agents/{id}")).await.is_problem(404);
}

#[tokio::test]
async fn a_new_agent_is_known_to_keys_that_were_there_before_it_and_a_deleted_one_is_not() {
    let console = Console::with_acme().await;
    let (_, secret) = console.key("k").await;
    let entry = console.lookup(&secret).unwrap();
    console.post("/organizations/acme/agents", r#"{"slug":"clock","name":"Clock"}"#).await.is(201);
    assert!(entry.organization.agent("clock").is_some());
    console.delete("/organizations/acme/agents/clock").await.is(200);
    assert!(entry.organization.agent("clock").is_none());
}

#[tokio::test]
async fn deleting_an_agent_ends_its_keys_and_no_others() {
    let console = Console::with_acme().await;
    let (_, all) = console.key("all").await;
    let body = r#"{"name":"one","scope":{"type":"agent","agent":"echo"}}"#;
    let made = console.post("/organizations/acme/keys", body).await.is(201);
    let secret = made.json["secret"].as_str().unwrap();
    let answer = console.delete("/organizations/acme/agents/echo").await.is(200);
    assert_eq!(answer.json["revocation"]["state"], "complete");
    assert!(console.lookup(secret).is_none());
    assert!(console.lookup(&all).is_some());
    assert_eq!(console.get("/organizations/acme/keys").await.json["count"], 1);
}
