//! What every request to the API is held to, whatever it asks for.

use axum::body::Body;
use http::Request;
use keystile::domain::secret::{SecretFormat, SystemRandomness};

use crate::harness::Console;

#[tokio::test]
async fn a_request_without_a_known_token_is_401_and_told_how_to_present_one() {
    let console = Console::with_acme().await;
    let without = Request::get("/api/v1/organizations").body(Body::empty()).unwrap();
    let answer = console.send(without).await;
    answer.is_problem(401);
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"keystile\"");

    let stranger = SecretFormat::management_tokens().generate(&mut SystemRandomness).unwrap();
    let (_, key) = console.key("a key is no token").await;
    for token in [stranger.expose(), "ksm_short", "", &key] {
        let request =
            Request::get("/api/v1/organizations").header("authorization", format!("Bearer {token}"));
        let answer = console.send(request.body(Body::empty()).unwrap()).await;
        answer.is_problem(401);
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        assert!(token.is_empty() || !String::from_utf8_lossy(&answer.bytes).contains(token));
    }
}

#[tokio::test]
async fn two_authorization_fields_are_none() {
    let console = Console::start().await;
    let request = console.request("GET", "/session").header("authorization", "Bearer other");
    console.send(request.body(Body::empty()).unwrap()).await.is_problem(401);
}

#[tokio::test]
async fn a_stranger_learns_nothing_of_what_exists() {
    let console = Console::with_acme().await;
    for path in ["/organizations/acme", "/organizations/nobody"] {
        let request = Request::get(format!("/api/v1{path}")).body(Body::empty()).unwrap();
        console.send(request).await.is_problem(401);
    }
}

#[tokio::test]
async fn a_session_says_who_the_caller_is() {
    let console = Console::start().await;
    let answer = console.get("/session").await.is(200);
    assert_eq!(answer.json["roles"][0]["role"], "operator");
    assert!(answer.json["name"].as_str().unwrap().starts_with("ksm_…"));
}

#[tokio::test]
async fn every_answer_has_its_own_request_id_and_is_kept_out_of_caches() {
    let console = Console::start().await;
    let (first, second) = (console.get("/session").await, console.get("/nowhere").await);
    assert_eq!(first.header("x-request-id").len(), 36);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    assert_eq!(first.header("cache-control"), "no-store");
    assert_eq!(second.header("cache-control"), "no-store");
}

#[tokio::test]
async fn unknown_paths_are_404_and_other_methods_405_with_those_allowed() {
    let console = Console::with_acme().await;
    console.get("/nowhere").await.is_problem(404);
    console.get("/organizations/acme/keys/not-an-id").await.is_problem(404);
    console.get("/organizations/%ff").await.is_problem(404);
    let answer = console.delete("/organizations").await;
    answer.is_problem(405);
    assert_eq!(answer.header("allow"), "GET,HEAD,POST");
}

#[tokio::test]
async fn a_body_must_be_json_say_so_and_be_small() {
    let console = Console::start().await;
    let plain = console.request("POST", "/organizations").header("content-type", "text/plain");
    let answer = console.send(plain.body(Body::from("{}")).unwrap()).await;
    answer.is_problem(415);
    let unnamed = console.request("POST", "/organizations");
    console.send(unnamed.body(Body::from("{}")).unwrap()).await.is_problem(415);
    for broken in ["", "{", "{\"slug\":\"a\",\"name\":\"a\"}x", "\u{0}", "nonsense"] {
        console.post("/organizations", broken).await.is_problem(400);
    }
    let large = format!(r#"{{"slug":"a","name":"{}"}}"#, "x".repeat(64 * 1024));
    console.post("/organizations", &large).await.is_problem(413);
    let deep = "[".repeat(10_000);
    console.post("/organizations", &deep).await.is_problem(400);
    for other in ["[\"a\",\"b\"]", "null", "7", "\"text\""] {
        console.post("/organizations", other).await.is_problem(422);
    }
}

#[tokio::test]
async fn a_wrong_field_is_named_by_its_pointer() {
    let console = Console::with_acme().await;
    let answer = console.post("/organizations", r#"{"slug":"Not A Slug","name":"x"}"#).await;
    assert_eq!(answer.is_problem(422).pointers(), ["/slug"]);
    let answer = console.post("/organizations", r#"{"slug":"b","name":7}"#).await;
    assert_eq!(answer.is_problem(422).pointers(), ["/name"]);
    let answer = console.post("/organizations", r#"{"slug":"b","name":"b","timeZone":"Mars/Olympus"}"#).await;
    assert_eq!(answer.is_problem(422).pointers(), ["/timeZone"]);
    let answer = console
        .post("/organizations", r#"{"slug":"b","name":"b","limits":{"rate":{"requests":0,"per":"second"}}}"#)
        .await;
    assert_eq!(answer.is_problem(422).pointers(), ["/limits/rate/requests", "/limits/rate/burst"]);
    let answer = console.post("/organizations", r#"{"slug":"b","name":"b","colour":"red"}"#).await;
    assert_eq!(answer.is_problem(422).pointers(), ["/colour"]);
    let answer = console.post("/organizations", r#"{"slug":"b"}"#).await;
    assert_eq!(answer.is_problem(422).pointers(), ["/name"]);
    let answer = console.post("/organizations", r#"{"slug":"b","slug":"c","name":"b"}"#).await;
    assert_eq!(answer.is_problem(422).pointers(), ["/slug"]);
    for (scope, pointer) in [
        ("{}", "/scope/type"),
        (r#"{"type":"robot"}"#, "/scope/type"),
        (r#"{"type":"agent"}"#, "/scope/agent"),
        (r#"{"type":"agent","agent":7}"#, "/scope/agent"),
        (r#"{"type":"agent","agent":"nobody"}"#, "/scope/agent"),
        (r#"{"type":"organization","agent":"echo"}"#, "/scope/agent"),
        (r#"{"type":"organization","colour":"red"}"#, "/scope/colour"),
    ] {
        let answer =
            console.post("/organizations/acme/keys", &format!(r#"{{"name":"k","scope":{scope}}}"#)).await;
        assert_eq!(answer.is_problem(422).pointers(), [pointer], "{scope}");
    }
}

#[tokio::test]
async fn null_empties_only_what_may_be_empty() {
    let console = Console::with_acme().await;
    for (path, field) in [
        ("/organizations/acme", "name"),
        ("/organizations/acme", "slug"),
        ("/organizations/acme", "timeZone"),
        ("/organizations/acme/agents/echo", "name"),
        ("/organizations/acme/agents/echo", "slug"),
    ] {
        let answer = console.patch(path, &format!(r#"{{"{field}":null}}"#)).await;
        assert_eq!(answer.is_problem(422).pointers(), [format!("/{field}")], "{path}");
    }
    console.patch("/organizations/acme", r#"{"limits":null}"#).await.is(200);
}

#[tokio::test]
async fn if_match_takes_lists_of_entity_tags_and_nothing_else() {
    let console = Console::with_acme().await;
    let path = "/organizations/acme";
    let tag = console.get(path).await.header("etag").to_owned();
    for met in [tag.clone(), "*".to_owned(), format!("\"other\", {tag}"), format!(",{tag},, \"a,b\"")] {
        console.json("PATCH", path, "{}", Some(&met)).await.is(200);
    }
    for unmet in ["\"other\"".to_owned(), format!("W/{tag}"), String::new()] {
        console.json("PATCH", path, "{}", Some(&unmet)).await.is_problem(412);
    }
    for bad in ["other", "\"open", "\"a\" \"b\"", "*, \"a\"", "w/\"a\""] {
        console.json("PATCH", path, "{}", Some(bad)).await.is_problem(400);
    }
}

#[tokio::test]
async fn lists_page_by_cursor_and_refuse_other_queries() {
    let console = Console::start().await;
    for at in 0..5 {
        console.post("/organizations", &format!(r#"{{"slug":"o{at}","name":"O {at}"}}"#)).await.is(201);
    }
    let mut slugs = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = console.get(&format!("/organizations?limit=2{cursor}")).await.is(200);
        let items = page.json["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        slugs.extend(items.iter().map(|item| item["slug"].as_str().unwrap().to_owned()));
        match page.json["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(slugs, ["o0", "o1", "o2", "o3", "o4"]);
    for bad in ["limit=0", "limit=201", "limit=x", "cursor=x", "colour=red"] {
        console.get(&format!("/organizations?{bad}")).await.is_problem(400);
    }
}
