//! Organizations through the API.

use crate::harness::Console;

#[tokio::test]
async fn an_organization_is_created_read_by_slug_or_id_and_listed() {
    let console = Console::start().await;
    let made = console
        .post(
            "/organizations",
            r#"{"slug":"acme","name":" Acme GmbH ","timeZone":"europe/berlin","limits":{"concurrency":3}}"#,
        )
        .await
        .is(201);
    assert_eq!(made.header("location"), "https://keys.example.com/api/v1/organizations/acme");
    assert_eq!(made.json["name"], "Acme GmbH");
    assert_eq!(made.json["timeZone"], "Europe/Berlin");
    assert_eq!(made.json["limits"], serde_json::json!({ "concurrency": 3 }));
    assert!(made.json["createdAt"].as_str().unwrap().ends_with('Z'));
    let id = made.json["id"].as_str().unwrap();
    for reference in ["acme", id] {
        let read = console.get(&format!("/organizations/{reference}")).await.is(200);
        assert_eq!(read.json, made.json);
        assert_eq!(read.header("etag"), made.header("etag"));
    }
    let list = console.get("/organizations").await.is(200);
    assert_eq!(list.json["items"][0], made.json);
    assert!(list.json["next"].is_null());
    console.get("/organizations/nobody").await.is_problem(404);
}

#[tokio::test]
async fn a_slug_is_taken_once() {
    let console = Console::with_acme().await;
    console.post("/organizations", r#"{"slug":"acme","name":"Other"}"#).await.is_problem(409);
    console.post("/organizations", r#"{"slug":"other","name":"Other"}"#).await.is(201);
    console.patch("/organizations/other", r#"{"slug":"acme"}"#).await.is_problem(409);
    assert_eq!(console.get("/organizations/other").await.is(200).json["name"], "Other");
}

#[tokio::test]
async fn a_change_of_limits_zone_or_slug_reaches_the_keys_at_once() {
    let console = Console::with_acme().await;
    let (_, secret) = console.key("k").await;
    let changed = console
        .patch(
            "/organizations/acme",
            r#"{"slug":"acme2","timeZone":"Asia/Tokyo","limits":{"concurrency":7}}"#,
        )
        .await
        .is(200);
    assert_eq!(changed.json["slug"], "acme2");
    let entry = console.lookup(&secret).unwrap();
    assert_eq!(entry.limits.limits().concurrency, Some(7));
    assert_eq!(entry.limits.zone().iana_name(), Some("Asia/Tokyo"));
    assert_eq!(entry.organization.slug.as_str(), "acme2");
    assert!(entry.organization.agent("echo").is_some());
    console.patch("/organizations/acme2", r#"{"limits":null}"#).await.is(200);
    assert_eq!(console.lookup(&secret).unwrap().limits.limits().concurrency, None);
}

#[tokio::test]
async fn a_change_may_expect_the_state_it_was_made_for() {
    let console = Console::with_acme().await;
    let first = console.get("/organizations/acme").await.header("etag").to_owned();
    let changed = console.json("PATCH", "/organizations/acme", r#"{"name":"A"}"#, Some(&first)).await.is(200);
    assert_ne!(changed.header("etag"), first);
    console.json("PATCH", "/organizations/acme", r#"{"name":"B"}"#, Some(&first)).await.is_problem(412);
    console.json("DELETE", "/organizations/acme", "", Some(&first)).await.is_problem(412);
    let several = format!("\"x\", {}", changed.header("etag"));
    console.json("PATCH", "/organizations/acme", r#"{"name":"C"}"#, Some(&several)).await.is(200);
    console.json("PATCH", "/organizations/acme", r#"{"name":"D"}"#, Some("*")).await.is(200);
    assert_eq!(console.get("/organizations/acme").await.json["name"], "D");
}

#[tokio::test]
async fn deleting_an_organization_ends_all_its_keys_with_the_answer() {
    let console = Console::with_acme().await;
    let (_, first) = console.key("one").await;
    let (_, second) = console.key("two").await;
    let answer = console.delete("/organizations/acme").await.is(200);
    assert_eq!(answer.json["revocation"]["state"], "complete");
    assert_eq!(answer.json["revocation"]["confirmed"], answer.json["revocation"]["gateways"]);
    assert_eq!(answer.json["revocation"]["awaiting"], serde_json::json!([]));
    assert!(answer.json["revocation"]["tookMs"].is_u64());
    assert!(answer.json["revocation"]["effectiveBy"].is_string());
    assert!(console.lookup(&first).is_none() && console.lookup(&second).is_none());
    console.get("/organizations/acme").await.is_problem(404);
    console.delete("/organizations/acme").await.is_problem(404);
    for table in ["organizations", "agents", "keys"] {
        assert_eq!(console.count(table).await, 0, "{table}");
    }
    console.post("/organizations", r#"{"slug":"acme","name":"Again"}"#).await.is(201);
}
