//! Chunked request bodies that are malformed: the client's 400, never a request that looks whole to the upstream (G5).

use crate::support::{Request, Scene, Upstream};

fn chunked_post(scene: &Scene) -> Vec<u8> {
    Request::new("POST", "/agents/echo/x")
        .key(&scene.key.secret)
        .field("transfer-encoding", "chunked")
        .head_bytes()
}

#[test]
fn a_chunked_body_that_is_malformed_is_refused_and_never_looks_whole_upstream() {
    let scene = Scene::new(Upstream::echo());
    let long_extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(64 * 1024));
    let long_trailers = format!("5\r\nhello\r\n0\r\nx-long: {}\r\n\r\n", "x".repeat(64 * 1024));
    for body in [
        "xyz\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello world\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "5\r\nhello\r\n0\r\nx-nul: a\0b\r\n\r\n",
        "5\r\nhello\r\n0\r\n x-folded: a\r\n\r\n",
        "5\r\nhello\r\n0\n\n",
        &long_extension,
        &long_trailers,
    ] {
        let before = scene.upstream.seen().len();
        let mut client = scene.connect();
        // The gateway may have refused and closed before all of a long body is written.
        let _ = client.wire.send([chunked_post(&scene).as_slice(), body.as_bytes()].concat());
        let shown = &body[..body.len().min(40)];
        match client.try_response_to("POST") {
            Ok(response) => assert!([400, 431].contains(&response.status), "{shown:?}: {}", response.status),
            Err(error) => panic!("{shown:?}: {error}"),
        }
        client.expect_close();
        for seen in &scene.upstream.seen()[before..] {
            assert_eq!(seen.body, b"", "{shown:?} looked whole to the upstream");
        }
        assert_eq!(scene.exchange(&scene.get("/agents/echo/after")).status, 200, "after {shown:?}");
    }
}

#[test]
fn a_body_cut_short_never_looks_whole_upstream() {
    let scene = Scene::new(Upstream::echo());
    for (field, value, body) in
        [("transfer-encoding", "chunked", "5\r\nhello\r\n"), ("content-length", "10", "hello")]
    {
        let before = scene.upstream.seen().len();
        let head = Request::new("POST", "/agents/echo/x").key(&scene.key.secret).field(field, value);
        let mut client = scene.connect();
        client.send(head.head_bytes()).send(body);
        scene.upstream.wait_for(before + 1);
        drop(client);
        assert_eq!(scene.exchange(&scene.get("/agents/echo/after")).status, 200);
        assert_eq!(scene.upstream.seen()[before].body, b"", "{field}");
    }
}

#[test]
fn chunk_extensions_are_not_passed_on_and_do_not_change_the_body() {
    let scene = Scene::new(Upstream::start(|exchange| {
        let first_line = exchange.wire.some().unwrap();
        let clean = !first_line.contains(&b';');
        exchange.respond(if clean { "200 OK" } else { "500 Extension" }, b"");
        crate::support::Next::Close
    }));
    let mut client = scene.connect();
    client.send(chunked_post(&scene)).send("5;name=value\r\nhello\r\n0;last\r\n\r\n");
    assert_eq!(client.response_to("POST").status, 200);
}

#[test]
fn chunk_sizes_in_capitals_and_with_leading_zeros_are_understood() {
    let scene = Scene::new(Upstream::echo());
    let mut client = scene.connect();
    client.send(chunked_post(&scene)).send("00A\r\n0123456789\r\n000\r\n\r\n");
    assert_eq!(client.response_to("POST").text(), "0123456789");
    client.send(scene.get("/agents/echo/next").bytes());
    assert_eq!(client.response().status, 200, "the connection goes on");
}
