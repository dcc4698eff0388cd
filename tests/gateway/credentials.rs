//! What counts as presenting a key, and that a 401 tells nothing about why (G6).

use serde_json::json;

use crate::support::{Request, Scene, Settings, Upstream, unknown_key};

const TARGET: &str = "/agents/echo/x";

fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

/// The usual scene with routes that take the key from the query, or ask for none.
fn with_query_route(settings: &mut Settings) {
    settings
        .route(r#"path: "/hooks/{*rest}", upstream: echo, credentials: [query.api_key]"#)
        .route("path: /status, access: public, upstream: echo");
}

#[test]
fn a_key_passes_in_its_field_or_as_a_bearer_token() {
    let scene = Scene::new(Upstream::echo());
    let secret = &scene.key.secret;
    for request in [
        Request::get(TARGET).field("x-api-key", secret),
        Request::get(TARGET).field("X-API-Key", secret),
        Request::get(TARGET).field("authorization", &bearer(secret)),
        Request::get(TARGET).field("Authorization", &format!("bearer {secret}")),
        Request::get(TARGET).field("x-api-key", secret).field("authorization", &bearer(secret)),
    ] {
        assert_eq!(scene.exchange(&request).status, 200, "{request:?}");
    }
}

#[test]
fn several_credentials_or_ones_of_another_form_are_refused() {
    let mut scene = Scene::new(Upstream::echo());
    let secret = scene.key.secret.clone();
    let other = scene.management().key("acme", json!({"name": "other"})).secret;
    let get = || Request::get(TARGET);
    for request in [
        get(),
        get().field("x-api-key", ""),
        get().field("authorization", ""),
        get().field("authorization", "Bearer"),
        get().field("authorization", &secret),
        get().field("authorization", &format!("Basic {secret}")),
        get().field("authorization", &format!("Bearer {secret} {secret}")),
        get().field("authorization", &format!("Bearer {secret}, Bearer {secret}")),
        get().field("x-api-key", &secret).field("authorization", &bearer(&other)),
        get().field("x-api-key", &other).field("authorization", &bearer(&secret)),
        get().field("x-api-key", &secret).field("authorization", &bearer(&unknown_key())),
        get().field("x-api-key", &secret).field("x-api-key", &secret),
        get().field("x-api-key", &secret).field("x-api-key", &other),
        get().field("authorization", &bearer(&secret)).field("authorization", &bearer(&secret)),
        get().field("x-api-key", &format!("{secret}, {secret}")),
        get().field("x-api-key", &format!("{secret} {secret}")),
        get().field("x-api-key", &format!("\"{secret}\"")),
        get().field("x_api_key", &secret),
        get().field("x-api-key", &secret.to_uppercase()),
        get().field("x-api-key", &secret[..secret.len() - 1]),
        get().field("x-api-key", &format!("{secret}0")),
        get().field("x-api-key", &unknown_key()),
    ] {
        let response = scene.exchange(&request);
        let told = (response.status, response.refusal());
        assert_eq!(told, (401, String::from("access not permitted")), "{request:?}");
        assert_eq!(response.field("www-authenticate"), Some("Bearer"), "{request:?}");
    }
    assert_eq!(scene.upstream.seen().len(), 0);
}

#[test]
fn every_401_is_the_same_byte_for_byte() {
    let mut scene = Scene::with(Upstream::echo(), with_query_route);
    let management = scene.management();
    let secret = scene.key.secret.clone();
    let deleted = management.key("acme", json!({"name": "deleted"}));
    management.delete(&deleted);
    let disabled = management.key("acme", json!({"name": "disabled"}));
    management.change(&disabled, json!({"disabled": true}));
    let typo = format!("{}!", &secret[..secret.len() - 1]);
    let answers: Vec<(String, Vec<u8>)> = [
        Request::get(TARGET),
        Request::get(TARGET).key("not a key"),
        Request::get(TARGET).key(&typo),
        Request::get(TARGET).key(&unknown_key()),
        Request::get(TARGET).key(&deleted.secret),
        Request::get(TARGET).key(&disabled.secret),
        Request::get(TARGET).key(&secret).field("authorization", &bearer(&unknown_key())),
        Request::get("/agents/nobody/x").key(&unknown_key()),
        Request::get("/no/such/route"),
        Request::get("/no/such/route").key(&unknown_key()),
        Request::get(&format!("{TARGET}?api_key={secret}")),
        Request::get("/hooks/x?api_key=wrong"),
        Request::get(&format!("/hooks/x?api_key={secret}&api_key={secret}")),
    ]
    .into_iter()
    .map(|request| (format!("{request:?}"), without_request_id(scene.exchange(&request))))
    .collect();
    for (request, answer) in &answers[1..] {
        let (got, first) = (String::from_utf8_lossy(answer), String::from_utf8_lossy(&answers[0].1));
        assert_eq!(got, first, "{request}");
    }
}

/// Head and body with what differs from answer to answer struck out, length kept.
fn without_request_id(response: crate::support::Response) -> Vec<u8> {
    assert_eq!(response.status, 401, "{}", response.text());
    let id = response.field("x-request-id").unwrap().to_owned();
    let whole = [response.head.raw.as_slice(), &response.body].concat();
    let text = String::from_utf8(whole).unwrap().replace(&id, &"#".repeat(id.len()));
    let lines = text.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    lines.collect::<Vec<_>>().join("\r\n").into_bytes()
}

#[test]
fn a_key_in_the_query_passes_only_where_the_route_says_so_and_is_cut_out() {
    let scene = Scene::with(Upstream::echo(), with_query_route);
    let secret = &scene.key.secret;
    for (sent, forwarded) in [
        (format!("/hooks/x?api_key={secret}"), "/hooks/x"),
        (format!("/hooks/x?a=1&api_key={secret}"), "/hooks/x?a=1"),
        (format!("/hooks/x?api_key={secret}&a=1&b=%20"), "/hooks/x?a=1&b=%20"),
        (format!("/hooks/x?a=1&api_key={secret}&b=2&a=3"), "/hooks/x?a=1&b=2&a=3"),
    ] {
        let response = scene.exchange(&Request::get(&sent));
        assert_eq!(response.status, 200, "{sent}");
        assert_eq!(scene.upstream.last().head.word(1), forwarded);
    }
    let both = Request::get(&format!("/hooks/x?api_key={secret}")).key(secret);
    assert_eq!(scene.exchange(&both).status, 200, "the same key twice over is one key");
    let refused = scene.exchange(&Request::get(&format!("{TARGET}?api_key={secret}")));
    assert_eq!(refused.status, 401);
}

#[test]
fn a_key_in_the_query_does_not_pass_beside_another_one() {
    let scene = Scene::with(Upstream::echo(), with_query_route);
    let secret = &scene.key.secret;
    for request in [
        Request::get(&format!("/hooks/x?api_key={secret}")).key(&unknown_key()),
        Request::get(&format!("/hooks/x?api_key={}", unknown_key())).key(secret),
        Request::get(&format!("/hooks/x?api_key={secret}&api_key={}", unknown_key())),
        Request::get("/hooks/x?api_key="),
        Request::get("/hooks/x?api_key"),
        Request::get(&format!("/hooks/x?API_KEY={secret}")),
    ] {
        assert_eq!(scene.exchange(&request).status, 401, "{request:?}");
    }
    assert_eq!(scene.upstream.seen().len(), 0);
}

#[test]
fn no_credential_reaches_the_upstream_whatever_the_route() {
    let scene = Scene::with(Upstream::echo(), with_query_route);
    let secret = &scene.key.secret;
    for request in [
        Request::get(TARGET).key(secret),
        Request::get(TARGET).field("authorization", &bearer(secret)),
        Request::get(TARGET).key(secret).field("x_api_key", secret),
        Request::get(&format!("/hooks/x?api_key={secret}")),
        Request::get(&format!("/hooks/x?%61pi_key={secret}")).key(secret),
        Request::get("/status").key(secret),
        Request::get("/status").field("authorization", &bearer(secret)),
    ] {
        let before = scene.upstream.seen().len();
        let response = scene.exchange(&request);
        assert!([200, 401].contains(&response.status), "{request:?}: {}", response.status);
        for seen in &scene.upstream.seen()[before..] {
            let raw = String::from_utf8_lossy(&seen.head.raw).into_owned();
            assert!(!raw.contains(secret.as_str()), "{request:?} reached the upstream as\n{raw}");
        }
    }
}

#[test]
fn a_public_route_asks_for_no_key_and_minds_no_bad_one() {
    let scene = Scene::with(Upstream::echo(), with_query_route);
    for request in [Request::get("/status"), Request::get("/status").key(&unknown_key())] {
        assert_eq!(scene.exchange(&request).status, 200);
    }
}

#[test]
fn a_key_expires_at_its_time() {
    let mut scene = Scene::new(Upstream::echo());
    let clock = keystile::domain::clock::Clock::system();
    let soon = clock.now().unix.plus(std::time::Duration::from_secs(2)).to_rfc3339();
    let key = scene.management().key("acme", json!({"name": "short-lived", "expiresAt": soon}));
    let mut client = scene.connect();
    let request = Request::get(TARGET).key(&key.secret);
    assert_eq!(client.exchange(&request).status, 200);
    crate::support::eventually("the key is refused", || client.exchange(&request).status == 401);
}
