//! What every page is held to, whoever asks for it: headers, changes from other sites, who is let in.

use axum::body::Body;
use http::Request;

use crate::harness::Console;
use crate::pages_visitor::{PASSWORD, Visitor};

#[tokio::test]
async fn every_page_has_its_security_headers_and_stays_out_of_caches() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    for path in ["/sign-in", "/orgs/acme/keys", "/orgs/acme/keys/new", "/nowhere"] {
        let answer = owner.get(path).await;
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            "{path}"
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(answer.header(name), value, "{name} of {path}");
        }
        let html = answer.html();
        for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
            assert!(!html.contains(inline), "{inline} in {path}");
        }
    }
}

#[tokio::test]
async fn an_error_page_shows_the_request_id_that_the_answer_carries() {
    let console = Console::start().await;
    let answer = Visitor::stranger(&console).get("/nowhere").await.is(404);
    let id = answer.header("x-request-id");
    assert_eq!(id.len(), 36);
    assert!(answer.html().contains(id));
}

#[tokio::test]
async fn assets_are_kept_for_a_year_under_an_address_of_their_content() {
    let console = Console::start().await;
    let visitor = Visitor::stranger(&console);
    let page = visitor.get("/sign-in").await.html();
    let mut names = Vec::new();
    for address in page.split('"').filter(|part| part.starts_with("/assets/")) {
        let asset = visitor.get(address).await.is(200);
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
        names.push(asset.header("content-type").to_owned());
        let other = address.replacen("/assets/", "/assets/0", 1);
        assert_eq!(visitor.get(&other).await.is(200).header("cache-control"), "no-cache");
    }
    assert_eq!(names, ["image/svg+xml", "text/css; charset=utf-8", "text/javascript; charset=utf-8"]);
    visitor.get("/assets/0/nothing.css").await.is(404);
}

#[tokio::test]
async fn a_change_that_another_site_asks_for_is_refused_before_anything_is_done() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let form = Request::post("/orgs/acme/keys/new")
            .header(name, value)
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = owner.send(form, "name=k&scope=organization".into()).await.is(403);
        assert!(answer.html().contains("another site"));
        let api = Request::post("/api/v1/organizations/acme/keys")
            .header(name, value)
            .header("content-type", "application/json");
        let body = r#"{"name":"k","scope":{"type":"organization"}}"#;
        owner.send(api, body.into()).await.is_problem(403);
    }
    assert_eq!(console.count("keys").await, 0);
}

#[tokio::test]
async fn a_stranger_is_led_to_the_sign_in_page_and_from_there_back() {
    let console = Console::with_acme().await;
    Visitor::owner(&console).await;
    let stranger = Visitor::stranger(&console);
    let answer = stranger.get("/orgs/acme/keys?q=x").await.is(303);
    let sign_in = answer.header("location").to_owned();
    assert_eq!(sign_in, "/sign-in?next=%2Forgs%2Facme%2Fkeys%3Fq%3Dx");
    let next = stranger.get(&sign_in).await.is(200).hidden("next");
    let wrong = [("next", next.as_str()), ("email", "owner@acme.example"), ("password", "not the password")];
    let refused = stranger.send_form("/sign-in", &wrong).await.is(401);
    assert!(refused.html().contains("value=\"owner@acme.example\""), "what was written is kept");
    assert!(!refused.html().contains("not the password"));
    let right = [("next", next.as_str()), ("email", "owner@acme.example"), ("password", PASSWORD)];
    let answer = stranger.send_form("/sign-in", &right).await.is(303);
    assert_eq!(answer.header("location"), "/orgs/acme/keys?q=x");
    stranger.get("/orgs/acme/keys").await.is(200);
    assert_eq!(stranger.get("/").await.is(303).header("location"), "/orgs/acme/keys");
    stranger.send_form("/sign-out", &[]).await.is(303);
    stranger.get("/orgs/acme/keys").await.is(303);
}

#[tokio::test]
async fn an_invitation_that_was_used_looks_like_one_that_never_was() {
    let console = Console::with_acme().await;
    let body = r#"{"email":"new@acme.example","role":"organization-admin"}"#;
    let made = console.post("/organizations/acme/members", body).await.is(201);
    let link = made.json["inviteUrl"].as_str().unwrap();
    let path = link.strip_prefix("https://keys.example.com").unwrap();
    let visitor = Visitor::stranger(&console);
    let page = visitor.get(path).await.is(200).html();
    assert!(
        page.contains("Acme") && page.contains("organization admin") && page.contains("new@acme.example")
    );
    let short = visitor.send_form(path, &[("password", "short")]).await.is(422);
    assert!(short.html().contains("password-wrong"));
    visitor.send_form(path, &[("password", PASSWORD)]).await.is(303);
    let again = Visitor::stranger(&console);
    for path in [path, "/invitations/nothing"] {
        let over = again.get(path).await.is(404);
        assert!(over.html().contains("This invitation is over"));
        again.send_form(path, &[("password", PASSWORD)]).await.is(404);
    }
}

#[tokio::test]
async fn a_form_that_is_none_changes_nothing() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    let json = Request::post("/orgs/acme/keys/new").header("content-type", "application/json");
    owner.send(json, r#"{"name":"k"}"#.into()).await.is(400);
    let put = Request::put("/orgs/acme/keys/new").body(Body::empty()).unwrap();
    let refused = console.send(put).await.is(405);
    assert_eq!(refused.header("allow"), "GET,HEAD,POST");
    assert!(refused.html().contains("Request not understood"));
    assert_eq!(console.count("keys").await, 0);
}

#[tokio::test]
async fn a_damaged_record_is_a_page_that_says_so_with_the_id_to_pass_on_and_nothing_of_the_cause() {
    let console = Console::with_acme().await;
    let owner = Visitor::owner(&console).await;
    sqlx::query("UPDATE organizations SET limits = 'broken'").execute(&console.tables).await.unwrap();
    let answer = owner.get("/orgs/acme/keys").await.is(500);
    let html = answer.html();
    assert!(html.contains("Something is broken") && html.contains(answer.header("x-request-id")), "{html}");
    assert!(!html.contains("limits"), "the cause is on the page");
    assert_eq!(answer.header("retry-after"), "", "coming again does not mend a record");
}
