//! Bodies as a whole: sizes, bounds, and answers that have none.

use crate::support::{Next, Request, Scene, Upstream};

/// Larger than every buffer and socket queue on the way together.
const LARGE_BYTES: usize = 16 * 1024 * 1024;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[test]
fn a_large_body_arrives_whole_both_ways() {
    let scene = Scene::new(Upstream::echo());
    let body = pattern(LARGE_BYTES);
    let mut client = scene.connect();
    let response = client.exchange(&scene.post("/agents/echo/x", &body));
    assert_eq!(response.status, 200);
    assert!(response.body == body, "{} bytes came back", response.body.len());
    assert_eq!(client.exchange(&scene.get("/agents/echo/x")).status, 200, "the connection goes on");
}

#[test]
fn a_large_chunked_body_arrives_whole_both_ways() {
    let scene = Scene::new(Upstream::start(|exchange| {
        let body = exchange.body();
        exchange.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        for piece in body.chunks(70_001) {
            exchange.send(format!("{:X}\r\n", piece.len()));
            exchange.send(piece);
            exchange.send("\r\n");
        }
        exchange.send("0\r\n\r\n");
        Next::Request
    }));
    let body = pattern(LARGE_BYTES / 4);
    let mut client = scene.connect();
    let request =
        Request::new("PUT", "/agents/echo/x").key(&scene.key.secret).field("transfer-encoding", "chunked");
    client.send(request.head_bytes());
    for piece in body.chunks(9_999) {
        client.send(format!("{:x}\r\n", piece.len())).send(piece).send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert!(client.response_to("PUT").body == body);
    assert!(scene.upstream.only().body == body);
}

#[test]
fn a_body_over_its_bound_is_refused_before_the_upstream_hears_of_it() {
    let scene = Scene::with(Upstream::echo(), |settings| {
        settings.gateway("body_bytes_max: 1KiB");
    });
    assert_eq!(scene.exchange(&scene.post("/agents/echo/x", pattern(1024))).status, 200);
    let mut client = scene.connect();
    let request =
        Request::new("POST", "/agents/echo/x").key(&scene.key.secret).field("content-length", "1025");
    client.send(request.head_bytes());
    let response = client.response_to("POST");
    assert_eq!((response.status, response.refusal().as_str()), (413, "body too large"));
    assert_eq!(scene.upstream.seen().len(), 1);
}

#[test]
fn a_chunked_body_that_grows_over_its_bound_is_cut_off() {
    let scene = Scene::with(Upstream::echo(), |settings| {
        settings.gateway("body_bytes_max: 1KiB");
    });
    let mut client = scene.connect();
    let request =
        Request::new("POST", "/agents/echo/x").key(&scene.key.secret).field("transfer-encoding", "chunked");
    client.send(request.head_bytes()).send("400\r\n").send(pattern(0x400)).send("\r\n");
    let _ = client.wire.send("1\r\nx\r\n0\r\n\r\n");
    assert_eq!(client.response_to("POST").status, 413);
    client.expect_close();
    assert!(scene.upstream.seen().iter().all(|seen| seen.body.is_empty()), "it never looks whole");
    assert_eq!(scene.exchange(&scene.get("/agents/echo/x")).status, 200);
}

#[test]
fn a_route_may_have_a_bound_of_its_own() {
    let scene = Scene::with(Upstream::echo(), |settings| {
        settings
            .gateway("body_bytes_max: 1KiB")
            .route("path: /uploads, upstream: echo, body_bytes_max: 4KiB")
            .route("path: /notes, upstream: echo, body_bytes_max: 16");
    });
    assert_eq!(scene.exchange(&scene.post("/uploads", pattern(4096))).status, 200);
    assert_eq!(scene.exchange(&scene.post("/uploads", pattern(4097))).status, 413);
    assert_eq!(scene.exchange(&scene.post("/notes", pattern(16))).status, 200);
    assert_eq!(scene.exchange(&scene.post("/notes", pattern(17))).status, 413);
}

#[test]
fn answers_without_a_body_leave_the_connection_usable() {
    let scene = Scene::new(Upstream::start(|exchange| {
        match exchange.request.word(1) {
            "/204" => exchange.send("HTTP/1.1 204 No Content\r\nx-kind: none\r\n\r\n"),
            "/304" => exchange.send("HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\netag: \"a\"\r\n\r\n"),
            "/head-chunked" => exchange.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
            "/empty" => exchange.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            _ => exchange.respond("200 OK", b"hello"),
        }
        Next::Request
    }));
    let mut client = scene.connect();
    for (method, path, status) in [
        ("HEAD", "hello", 200),
        ("HEAD", "head-chunked", 200),
        ("GET", "204", 204),
        ("GET", "304", 304),
        ("HEAD", "304", 304),
        ("GET", "empty", 200),
        ("HEAD", "hello", 200),
    ] {
        let request = Request::new(method, &format!("/agents/echo/{path}")).key(&scene.key.secret);
        let response = client.exchange(&request);
        assert_eq!((response.status, response.body.len()), (status, 0), "{method} {path}");
        if path == "hello" {
            assert_eq!(response.field("content-length"), Some("5"), "what a GET would have");
        }
    }
    assert_eq!(client.exchange(&scene.get("/agents/echo/hello")).text(), "hello");
    assert_eq!(scene.upstream.seen().len(), 8);
}

#[test]
fn a_refusal_of_a_head_request_has_no_body_and_the_connection_goes_on() {
    let scene = Scene::new(Upstream::echo());
    let mut client = scene.connect();
    let refused = client.exchange(&Request::new("HEAD", "/agents/echo/x"));
    assert_eq!(refused.status, 401);
    assert_eq!(client.exchange(&scene.get("/agents/echo/x")).status, 200);
}

#[test]
fn a_body_that_ends_with_the_upstreams_connection_arrives_whole() {
    let scene = Scene::new(Upstream::fixed("HTTP/1.1 200 OK\r\n\r\nuntil the end", Next::Close));
    let mut client = scene.connect();
    for _ in 0..2 {
        let response = client.exchange(&scene.get("/agents/echo/x"));
        assert_eq!(response.text(), "until the end");
    }
    let of_1_0 = Scene::new(Upstream::fixed("HTTP/1.0 200 OK\r\n\r\nold", Next::Close));
    assert_eq!(of_1_0.exchange(&of_1_0.get("/agents/echo/x")).text(), "old");
}

#[test]
fn the_body_of_a_refused_request_does_not_become_the_next_request() {
    let scene = Scene::new(Upstream::echo());
    let smuggled = scene.get("/agents/echo/smuggled").bytes();
    let mut client = scene.connect();
    client.send(Request::post("/agents/echo/x", &smuggled).bytes());
    assert_eq!(client.response_to("POST").status, 401);
    // It reads the body away or closes; either way nothing of it is a request.
    if client.wire.send(scene.get("/agents/echo/next").bytes()).is_ok()
        && let Ok(next) = client.try_response_to("GET")
    {
        assert!(next.text().contains("/next"), "{}", next.text());
    }
    assert!(scene.upstream.seen().iter().all(|seen| !seen.head.start_line.contains("smuggled")));
}
