//! Connections on both sides: kept, pooled, pipelined, shared out, and ended when due.

use crate::support::{Client, Next, Request, Scene, Upstream, eventually};

fn one_worker(upstream: Upstream) -> Scene {
    Scene::with(upstream, |settings| {
        settings.gateway("workers: 1");
    })
}

#[test]
fn requests_one_after_another_share_one_connection_on_either_side() {
    let scene = one_worker(Upstream::echo());
    let mut client = scene.connect();
    for _ in 0..20 {
        assert_eq!(client.exchange(&scene.get("/agents/echo/x")).status, 200);
    }
    assert_eq!(scene.upstream.connections(), 1);
    let mut another = scene.connect();
    assert_eq!(another.exchange(&scene.get("/agents/echo/x")).status, 200);
    assert_eq!(scene.upstream.connections(), 1, "the pool is the worker's, not the client's");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let scene = Scene::new(Upstream::echo());
    let mut client = scene.connect();
    let mut bytes = Vec::new();
    for number in 0..10 {
        bytes.extend(scene.post(&format!("/agents/echo/{number}"), format!("body {number}")).bytes());
        bytes.extend(scene.get(&format!("/agents/echo/{number}")).bytes());
    }
    client.send(bytes);
    for number in 0..10 {
        assert_eq!(client.response_to("POST").text(), format!("body {number}"));
        assert_eq!(client.response().text(), format!("GET /{number} HTTP/1.1"));
    }
}

#[test]
fn pipelined_requests_behind_a_refused_one_are_answered_or_the_connection_closed() {
    let scene = Scene::new(Upstream::echo());
    let mut client = scene.connect();
    let refused = Request::get("/agents/echo/refused").bytes();
    client.send([refused, scene.get("/agents/echo/next").bytes()].concat());
    assert_eq!(client.response().status, 401);
    assert_eq!(client.response().text(), "GET /next HTTP/1.1");
}

#[test]
fn a_client_that_asks_for_a_close_gets_one() {
    let scene = Scene::new(Upstream::echo());
    let mut client = scene.connect();
    let response = client.exchange(&scene.get("/agents/echo/x").field("connection", "close"));
    assert_eq!(response.status, 200);
    assert_eq!(response.field("connection"), Some("close"));
    client.expect_close();
    assert_eq!(scene.upstream.only().head.field("connection"), None, "the upstream's connection is kept");
}

#[test]
fn an_upstream_that_closes_is_connected_to_again_and_its_close_is_not_the_clients() {
    let scene = one_worker(Upstream::fixed(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        Next::Close,
    ));
    let mut client = scene.connect();
    for _ in 0..5 {
        let response = client.exchange(&scene.get("/agents/echo/x"));
        assert_eq!((response.status, response.field("connection")), (200, None));
    }
    assert_eq!(scene.upstream.connections(), 5);
}

#[test]
fn an_upstream_that_closes_without_saying_so_costs_no_request() {
    let scene = one_worker(Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Next::Close));
    let mut client = scene.connect();
    for number in 0..20 {
        let response = client.exchange(&scene.get("/agents/echo/x"));
        assert_eq!(response.status, 200, "request {number}: {}", response.text());
    }
}

#[test]
fn endpoints_of_an_upstream_take_turns() {
    let second = Upstream::echo();
    let first = Upstream::echo();
    let urls = [first.url(), second.url()];
    let scene = Scene::configured(first, |settings| {
        settings.gateway("workers: 1").upstream("echo", &urls, "").route(crate::support::scene::AGENTS_ROUTE);
    });
    let mut client = scene.connect();
    for _ in 0..10 {
        assert_eq!(client.exchange(&scene.get("/agents/echo/x")).status, 200);
    }
    assert_eq!((scene.upstream.seen().len(), second.seen().len()), (5, 5));
}

#[test]
fn an_upstream_may_be_named_by_the_agent() {
    let clock = Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nclock", Next::Request);
    let echo = Upstream::echo();
    let urls = (echo.url(), clock.url());
    let mut scene = Scene::configured(echo, |settings| {
        settings
            .upstream("echo", &[urls.0], "")
            .upstream("clock", &[urls.1], "")
            .route(r#"path: "/agents/{agent}/{*rest}", agent: "{agent}", upstream: "{agent}""#);
    });
    assert_eq!(scene.exchange(&scene.get("/agents/clock/x")).text(), "clock");
    assert_eq!(scene.exchange(&scene.get("/agents/echo/x")).text(), "GET /agents/echo/x HTTP/1.1");
    scene.management().agent("acme", "homeless");
    assert_eq!(scene.exchange(&scene.get("/agents/homeless/x")).status, 503);
}

#[test]
fn a_head_that_does_not_arrive_in_time_is_given_up() {
    let scene = Scene::with(Upstream::echo(), |settings| {
        settings.gateway("head_timeout: 200ms");
    });
    let mut client = scene.connect();
    client.send("GET /agents/echo/x HTTP/1.1\r\nhost: gate");
    assert_eq!(client.response().status, 408);
    client.expect_close();
}

#[test]
fn a_connection_that_never_says_anything_is_closed() {
    let scene = Scene::with(Upstream::echo(), |settings| {
        settings.gateway("head_timeout: 200ms").gateway("idle_timeout: 200ms");
    });
    scene.connect().expect_close();
}

#[test]
fn a_kept_connection_that_stays_silent_is_closed() {
    let scene = Scene::with(Upstream::echo(), |settings| {
        settings.gateway("idle_timeout: 200ms");
    });
    let mut client = scene.connect();
    assert_eq!(client.exchange(&scene.get("/agents/echo/x")).status, 200);
    client.expect_close();
}

#[test]
fn connections_over_the_bound_are_turned_away_and_the_others_go_on() {
    let scene = Scene::with(Upstream::echo(), |settings| {
        settings.gateway("connections_max: 4");
    });
    let mut kept: Vec<Client> = (0..4).map(|_| scene.connect()).collect();
    for client in &mut kept {
        assert_eq!(client.exchange(&scene.get("/agents/echo/x")).status, 200);
    }
    let mut over = scene.connect();
    // It may be closed before the request is written.
    let _ = over.wire.send(scene.get("/agents/echo/x").bytes());
    if let Ok(response) = over.try_response_to("GET") {
        assert_eq!(response.status, 503);
    }
    for client in &mut kept {
        assert_eq!(client.exchange(&scene.get("/agents/echo/x")).status, 200);
    }
    kept.clear();
    eventually("a freed place is given to the next", || {
        let mut next = scene.connect();
        let sent = next.wire.send(scene.get("/agents/echo/x").bytes());
        sent.is_ok() && next.try_response_to("GET").is_ok_and(|response| response.status == 200)
    });
}
