//! Bodies stream both ways: what was sent arrives before what comes next exists.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::support::{Next, Request, Scene, Upstream, WATCHDOG};

#[test]
fn an_event_arrives_before_the_next_one_is_sent() {
    let (upstream, release) = Upstream::event_stream();
    let scene = Scene::new(upstream);
    let mut client = scene.connect();
    client.send(scene.get("/agents/echo/events").bytes());
    // The head comes before any event.
    let head = client.head();
    assert_eq!(head.field("content-type"), Some("text/event-stream"));
    for event in ["data: one\n\n", "data: two\n\n", "data: three\n\n"] {
        release.send(event);
        let mut arrived = Vec::new();
        while arrived.len() < event.len() {
            arrived.extend(client.wire.chunk().unwrap());
        }
        assert_eq!(String::from_utf8(arrived).unwrap(), event);
    }
    drop(release);
    assert_eq!(client.wire.chunk().unwrap(), b"", "the end arrives too");
}

#[test]
fn an_upload_arrives_piece_by_piece() {
    for (field, value, first, second) in [
        ("content-length", "6", "one", "two"),
        ("transfer-encoding", "chunked", "3\r\none\r\n", "3\r\ntwo\r\n0\r\n\r\n"),
    ] {
        let (arrived, pieces) = channel();
        let arrived = Mutex::new(arrived);
        let scene = Scene::new(Upstream::start(move |exchange| {
            let mut read = Vec::new();
            while !String::from_utf8_lossy(&read).contains("one") {
                read.extend(exchange.wire.some().unwrap());
            }
            arrived.lock().unwrap().send(()).unwrap();
            while !String::from_utf8_lossy(&read).contains("two") {
                read.extend(exchange.wire.some().unwrap());
            }
            exchange.respond("200 OK", b"whole");
            Next::Close
        }));
        let mut client = scene.connect();
        let request = Request::new("POST", "/agents/echo/x").key(&scene.key.secret).field(field, value);
        client.send(request.head_bytes()).send(first);
        pieces.recv_timeout(WATCHDOG).expect("the first piece arrives before the second is sent");
        client.send(second);
        assert_eq!(client.response_to("POST").text(), "whole", "{field}");
    }
}

#[test]
fn both_directions_run_at_once() {
    let scene = Scene::new(Upstream::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        loop {
            let chunk = exchange.wire.chunk().unwrap();
            if chunk.is_empty() {
                exchange.send("0\r\n\r\n");
                return Next::Close;
            }
            exchange.send(format!("{:x}\r\n", chunk.len()));
            exchange.send(&chunk);
            exchange.send("\r\n");
        }
    }));
    let request =
        Request::new("POST", "/agents/echo/x").key(&scene.key.secret).field("transfer-encoding", "chunked");
    let mut client = scene.connect();
    client.send(request.head_bytes());
    client.send("4\r\nping\r\n");
    assert_eq!(client.head().word(1), "200");
    assert_eq!(client.wire.chunk().unwrap(), b"ping");
    client.send("4\r\npong\r\n");
    assert_eq!(client.wire.chunk().unwrap(), b"pong");
    client.send("0\r\n\r\n");
    assert_eq!(client.wire.chunk().unwrap(), b"");
}

#[test]
fn an_answer_that_comes_before_the_body_was_read_reaches_the_client() {
    for next in [Next::Close, Next::Request] {
        let scene = Scene::new(Upstream::start(move |exchange| {
            exchange.send("HTTP/1.1 403 Early\r\ncontent-length: 5\r\n\r\nearly");
            next
        }));
        let mut client = scene.connect();
        let request =
            Request::new("POST", "/agents/echo/x").key(&scene.key.secret).field("content-length", "1000000");
        client.send(request.head_bytes()).send("only the start");
        let response = client.response_to("POST");
        assert_eq!((response.status, response.text().as_str()), (403, "early"), "{next:?}");
    }
}

#[test]
fn early_hints_come_through_before_the_answer() {
    let scene = Scene::new(Upstream::fixed(
        "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        Next::Request,
    ));
    let mut client = scene.connect();
    client.send(scene.get("/agents/echo/x").bytes());
    let hints = client.head();
    assert_eq!((hints.word(1), hints.field("link")), ("103", Some("</style.css>")));
    assert_eq!(client.response().text(), "ok");
    assert_eq!(client.exchange(&scene.get("/agents/echo/x")).text(), "ok", "the connection goes on");
}

#[test]
fn a_client_of_http_1_0_gets_the_answer_alone_and_a_close() {
    let scene = Scene::new(Upstream::fixed(
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Next::Request,
    ));
    let mut client = scene.connect();
    let key = &scene.key.secret;
    client.send(format!("GET /agents/echo/x HTTP/1.0\r\nhost: gateway.test\r\nx-api-key: {key}\r\n\r\n"));
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    assert_eq!(response.field("transfer-encoding"), None);
    client.expect_close();
}

#[test]
fn a_client_that_expects_to_be_told_to_go_on_is() {
    let scene = Scene::new(Upstream::start(|exchange| {
        if exchange.request.field("expect").is_some() {
            exchange.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        let body = exchange.body();
        exchange.respond("200 OK", &body);
        Next::Request
    }));
    let request = Request::new("POST", "/agents/echo/x")
        .key(&scene.key.secret)
        .field("content-length", "5")
        .field("expect", "100-continue");
    let mut client = scene.connect();
    for _ in 0..2 {
        client.send(request.head_bytes());
        assert_eq!(client.head().word(1), "100");
        client.send("hello");
        assert_eq!(client.response_to("POST").text(), "hello");
    }
}

#[test]
fn a_refused_client_is_not_told_to_go_on() {
    let scene = Scene::new(Upstream::echo());
    let request =
        Request::new("POST", "/agents/echo/x").field("content-length", "5").field("expect", "100-continue");
    let mut client = scene.connect();
    client.send(request.head_bytes());
    assert_eq!(client.head().word(1), "401");
    assert_eq!(scene.upstream.seen().len(), 0);
}

#[test]
fn an_expectation_that_nobody_knows_is_refused() {
    let scene = Scene::new(Upstream::echo());
    let response = scene.exchange(&scene.get("/agents/echo/x").field("expect", "miracles"));
    assert_eq!((response.status, response.refusal().as_str()), (417, "expectation failed"));
    assert_eq!(scene.upstream.seen().len(), 0);
}

#[test]
fn trailers_pass_both_ways() {
    let scene = Scene::new(Upstream::start(|exchange| {
        exchange.body();
        exchange.send("HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n");
        exchange.send("2\r\nok\r\n0\r\nx-sum: theirs\r\n\r\n");
        Next::Request
    }));
    let request = Request::new("POST", "/agents/echo/x")
        .key(&scene.key.secret)
        .field("te", "trailers")
        .field("transfer-encoding", "chunked");
    let mut client = scene.connect();
    client.send(request.head_bytes()).send("5\r\nhello\r\n0\r\nx-digest: ours\r\n\r\n");
    let response = client.response_to("POST");
    assert_eq!(response.trailers, [(String::from("x-sum"), String::from("theirs"))]);
    let seen = scene.upstream.only();
    assert_eq!(seen.body, b"hello");
    assert_eq!(seen.trailers, [(String::from("x-digest"), String::from("ours"))]);
}

#[test]
fn a_trailer_cannot_carry_what_only_a_head_may() {
    let scene = Scene::new(Upstream::echo());
    for planted in ["x-keystile-key-id", "content-length", "transfer-encoding", "host", "x-api-key"] {
        let before = scene.upstream.seen().len();
        let request = Request::new("POST", "/agents/echo/x")
            .key(&scene.key.secret)
            .field("transfer-encoding", "chunked");
        let mut client = scene.connect();
        client.send(request.head_bytes()).send(format!("2\r\nok\r\n0\r\n{planted}: 7\r\n\r\n"));
        let status = client.response_to("POST").status;
        assert!([200, 400].contains(&status), "{planted}: {status}");
        for seen in &scene.upstream.seen()[before..] {
            assert_eq!(seen.trailers, [], "{planted}");
        }
    }
}

#[test]
fn the_upstream_notices_that_the_client_is_gone() {
    let (gone, noticed) = channel();
    let gone = Mutex::new(gone);
    let scene = Scene::new(Upstream::start(move |exchange| {
        exchange.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n");
        exchange.until_given_up();
        gone.lock().unwrap().send(()).unwrap();
        Next::Close
    }));
    let mut client = scene.connect();
    client.send(scene.get("/agents/echo/x").bytes());
    assert_eq!(client.head().word(1), "200");
    assert_eq!(client.wire.chunk().unwrap(), b"ok");
    drop(client);
    noticed.recv_timeout(WATCHDOG).expect("the upstream's connection ends with the client's");
}
