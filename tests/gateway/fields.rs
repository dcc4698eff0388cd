//! Fields of requests and responses: what is removed, what is injected, what stays as it was.

use crate::support::{Next, Request, Scene, Upstream};

#[test]
fn the_upstream_learns_who_calls_from_fields_that_only_the_gateway_sets() {
    let scene = Scene::new(Upstream::echo());
    let response = scene.exchange(&scene.get("/agents/echo/x"));
    let seen = scene.upstream.only().head;
    assert_eq!(seen.field("x-keystile-key-id"), Some(scene.key.id.as_str()));
    assert_eq!(seen.field("x-keystile-organization"), Some("acme"));
    assert_eq!(seen.field("x-keystile-agent"), Some("echo"));
    assert_eq!(seen.field("x-keystile-scope"), Some("organization"));
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.field("x-forwarded-host"), Some("gateway.test"));
    assert_eq!(seen.field("x-request-id"), response.field("x-request-id"));
    assert_eq!(seen.field("host"), Some(scene.upstream.address().to_string().as_str()));
}

#[test]
fn a_client_cannot_set_what_the_gateway_injects() {
    let scene = Scene::new(Upstream::echo());
    for name in [
        "x-keystile-key-id",
        "X-Keystile-Organization",
        "x-keystile-agent",
        "x-keystile-scope",
        "x-keystile-anything",
        "x_keystile_key_id",
        "X_KEYSTILE_ORGANIZATION",
        "x-keystile_agent",
        "x_keystile-scope",
        "x-forwarded-for",
        "x_forwarded_for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "X_Forwarded_Proto",
        "x-request-id",
        "x_request_id",
    ] {
        let sent = scene.get("/agents/echo/x").field(name, "planted").field(name, "planted again");
        assert_eq!(scene.exchange(&sent).status, 200, "{name}");
        let raw = String::from_utf8(scene.upstream.last().head.raw).unwrap();
        assert!(!raw.contains("planted"), "{name} came through:\n{raw}");
        assert!(raw.contains(&scene.key.id), "{raw}");
    }
}

#[test]
fn fields_of_the_connection_end_at_the_gateway() {
    let scene = Scene::new(Upstream::echo());
    let request = scene
        .get("/agents/echo/x")
        .field("connection", "keep-alive, x-hop, X-Keystile-Key-Id, host")
        .field("x-hop", "dropped")
        .field("keep-alive", "dropped=1")
        .field("proxy-connection", "dropped")
        .field("proxy-authorization", "dropped")
        .field("te", "dropped")
        .field("x-end-to-end", "kept");
    assert_eq!(scene.exchange(&request).status, 200);
    let seen = scene.upstream.only().head;
    let raw = String::from_utf8(seen.raw.clone()).unwrap();
    assert!(!raw.contains("dropped"), "{raw}");
    assert_eq!(seen.field("x-end-to-end"), Some("kept"));
    assert_eq!(seen.field("x-keystile-key-id"), Some(scene.key.id.as_str()), "injected after removal");
    assert!(seen.field("host").is_some());
}

#[test]
fn a_body_keeps_its_framing_whatever_connection_names() {
    let scene = Scene::new(Upstream::echo());
    for named in ["content-length", "transfer-encoding", "content-length, close"] {
        let request = scene.post("/agents/echo/x", "hello").field("connection", named);
        let response = scene.exchange(&request);
        assert!([200, 400].contains(&response.status), "{named}: {}", response.status);
        if response.status == 200 {
            assert_eq!(scene.upstream.last().body, b"hello", "{named}");
        }
    }
}

#[test]
fn fields_that_are_not_the_gateways_pass_in_order_and_unchanged() {
    let scene = Scene::new(Upstream::echo());
    let request = scene
        .get("/agents/echo/x")
        .field("Cookie", "a=b; c=d")
        .field("x-multi", "1")
        .field("X-Multi", "2, 3")
        .field("accept", "*/*")
        .field("x-empty", "")
        .field("x_underscore", "kept");
    assert_eq!(scene.exchange(&request).status, 200);
    let seen = scene.upstream.only().head;
    assert_eq!(seen.all("x-multi"), ["1", "2, 3"]);
    assert_eq!(seen.field("cookie"), Some("a=b; c=d"));
    assert_eq!(seen.field("accept"), Some("*/*"));
    assert_eq!(seen.field("x-empty"), Some(""));
    assert_eq!(seen.field("x_underscore"), Some("kept"));
}

#[test]
fn a_response_passes_whole_except_for_fields_of_the_connection() {
    let scene = Scene::new(Upstream::fixed(
        "HTTP/1.1 299 Peculiar Phrase\r\nconnection: x-hop\r\nx-hop: dropped\r\nkeep-alive: dropped=5\r\n\
         set-cookie: a=1\r\nset-cookie: b=2\r\nserver: theirs\r\ncontent-length: 5\r\n\r\nhello",
        Next::Request,
    ));
    let response = scene.exchange(&scene.get("/agents/echo/x"));
    assert_eq!((response.status, response.text().as_str()), (299, "hello"));
    assert_eq!(response.head.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.field("server"), Some("theirs"));
    let raw = String::from_utf8(response.head.raw).unwrap();
    assert!(!raw.contains("dropped"), "{raw}");
}

#[test]
fn the_request_id_of_the_gateway_stands_whatever_the_upstream_says() {
    let scene = Scene::new(Upstream::fixed(
        "HTTP/1.1 200 OK\r\nx-request-id: theirs\r\nx-keystile-key-id: theirs\r\ncontent-length: 0\r\n\r\n",
        Next::Request,
    ));
    let response = scene.exchange(&scene.get("/agents/echo/x"));
    let forwarded = scene.upstream.only().head;
    assert_eq!(response.head.all("x-request-id"), forwarded.all("x-request-id"));
}

#[test]
fn every_request_has_its_own_id() {
    let scene = Scene::new(Upstream::echo());
    let mut client = scene.connect();
    let ids: std::collections::BTreeSet<String> = (0..100)
        .map(|_| client.exchange(&scene.get("/agents/echo/x")).field("x-request-id").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 100);
}

#[test]
fn a_trusted_proxys_chain_is_kept_and_its_client_is_who_calls() {
    let scene = Scene::with(Upstream::echo(), |settings| {
        settings.gateway("trusted_proxies: [127.0.0.0/8]");
    });
    let request =
        scene.get("/agents/echo/x").field("x-forwarded-for", "192.0.2.7").field("x-forwarded-proto", "https");
    assert_eq!(scene.exchange(&request).status, 200);
    let seen = scene.upstream.only().head;
    assert_eq!(seen.field("x-forwarded-for"), Some("192.0.2.7, 127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto"), Some("https"));
}

#[test]
fn an_agent_key_and_a_public_route_are_told_for_what_they_are() {
    let mut scene = Scene::with(Upstream::echo(), |settings| {
        settings.route("path: /status, access: public, upstream: echo");
    });
    let key = scene.management().key("acme", crate::support::management::for_agent("echo"));
    scene.exchange(&Request::get("/agents/echo/x").key(&key.secret));
    assert_eq!(scene.upstream.last().head.field("x-keystile-scope"), Some("agent"));
    scene.exchange(&Request::get("/status").field("x-keystile-key-id", "planted"));
    assert_eq!(scene.upstream.last().head.field("x-keystile-key-id"), None);
}
