//! Upstreams that answer wrongly: 502 where nothing of the answer was passed on, an aborted response where something
//! was, never a clean-looking end; that connection is not used again, and the next request is fine.

use crate::support::{Next, Scene, Upstream};

const TARGET: &str = "/agents/echo/x";

/// An upstream whose first answer is `bytes` and whose later ones are good. Its connection stays open after the
/// fault where `next` says so: not using it again is the gateway's part.
fn broken_once(bytes: Vec<u8>, next: Next) -> Scene {
    let upstream = Upstream::start(move |exchange| {
        exchange.body();
        if exchange.at() > 0 {
            exchange.respond("200 OK", b"fine");
            return Next::Request;
        }
        exchange.send(&bytes);
        match next {
            Next::Request => {
                exchange.until_given_up();
                Next::Close
            }
            Next::Close | Next::Reset => next,
        }
    });
    Scene::with(upstream, |settings| {
        settings.gateway("workers: 1");
    })
}

/// After the fault: the same client (or a new one where its connection was closed) is served, on another connection
/// to the upstream.
fn next_request_is_fine(scene: &Scene, fault: &str) {
    let response = scene.exchange(&scene.get(TARGET));
    assert_eq!((response.status, response.text().as_str()), (200, "fine"), "after {fault}");
    let seen = scene.upstream.seen();
    assert_eq!(seen.len(), 2, "{fault}: it was not tried twice");
    assert_ne!(seen[0].connection, seen[1].connection, "{fault}: the broken connection was used again");
}

fn is_a_bad_gateway(fault: &str, bytes: impl AsRef<[u8]>) {
    for next in [Next::Request, Next::Close] {
        let scene = broken_once(bytes.as_ref().to_vec(), next);
        let mut client = scene.connect();
        // A POST with a body is never tried again, so one fault is one answer.
        let response = client.exchange(&scene.post(TARGET, "body"));
        assert_eq!((response.status, response.refusal().as_str()), (502, "bad gateway"), "{fault}");
        next_request_is_fine(&scene, fault);
    }
}

#[test]
fn an_answer_that_is_not_http_is_a_bad_gateway() {
    is_a_bad_gateway("garbage", b"\x16\x03\x01 this is not the protocol\r\n\r\n");
    is_a_bad_gateway("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n");
    is_a_bad_gateway("a status of two digits", "HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n");
    is_a_bad_gateway("a status of four digits", "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n");
    is_a_bad_gateway("status 099", "HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n");
    is_a_bad_gateway("no status", "HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
    is_a_bad_gateway("a version that is not there", "HTTP/7.0 200 OK\r\ncontent-length: 0\r\n\r\n");
}

#[test]
fn an_answer_whose_end_is_ambiguous_is_a_bad_gateway() {
    let answer = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    for fields in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: +5",
        "content-length: -5",
        "content-length: five",
        "content-length: 99999999999999999999",
        "transfer-encoding: gzip",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, chunked",
    ] {
        is_a_bad_gateway(fields, answer(fields));
    }
}

#[test]
fn an_answer_with_malformed_fields_is_a_bad_gateway() {
    for field in ["x-nul: a\0b", "no colon", "x y: a", ": empty", "x-control: \u{1}", "x-return: a\rb"] {
        is_a_bad_gateway(field, format!("HTTP/1.1 200 OK\r\n{field}\r\ncontent-length: 0\r\n\r\n"));
    }
}

#[test]
fn an_answer_with_a_hundred_kibibytes_of_fields_is_a_bad_gateway() {
    let one_field = format!("x-long: {}\r\n", "y".repeat(100 * 1024));
    let many_fields = "x-many: y\r\n".repeat(10_000);
    let endless_line = "y".repeat(100 * 1024);
    for fields in [one_field, many_fields, endless_line] {
        let shown = &fields[..20];
        is_a_bad_gateway(shown, format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n"));
    }
}

#[test]
fn a_connection_that_ends_instead_of_an_answer_is_a_bad_gateway() {
    for (fault, bytes) in [
        ("nothing", ""),
        ("half a head", "HTTP/1.1 200 OK\r\ncontent-le"),
        ("an informational answer alone", "HTTP/1.1 103 Early Hints\r\n\r\n"),
    ] {
        for next in [Next::Close, Next::Reset] {
            let scene = broken_once(bytes.as_bytes().to_vec(), next);
            let response = scene.exchange(&scene.post(TARGET, "body"));
            assert_eq!(response.status, 502, "{fault}, {next:?}");
            next_request_is_fine(&scene, fault);
        }
    }
}

#[test]
fn informational_answers_without_end_are_a_bad_gateway() {
    let scene = broken_once("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10_000).into_bytes(), Next::Close);
    assert_eq!(scene.exchange(&scene.post(TARGET, "body")).status, 502);
    next_request_is_fine(&scene, "ten thousand hints");
}

#[test]
fn a_body_that_breaks_off_never_looks_whole() {
    for (fault, bytes) in [
        ("half of a length", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"),
        ("nothing of a length", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"),
        ("no last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        ("half a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel"),
        (
            "half of the last chunk",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        ),
    ] {
        for next in [Next::Close, Next::Reset] {
            let scene = broken_once(bytes.as_bytes().to_vec(), next);
            let mut client = scene.connect();
            client.send(scene.post(TARGET, "body").bytes());
            match client.try_response_to("POST") {
                Ok(response) => assert_eq!(response.status, 502, "{fault}, {next:?}: {}", response.text()),
                Err(_) => client.expect_end(),
            }
            next_request_is_fine(&scene, fault);
        }
    }
}

#[test]
fn a_chunked_body_that_is_malformed_never_looks_whole() {
    for chunks in [
        "xyz\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello!!0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        let scene = broken_once(bytes.into_bytes(), Next::Request);
        let mut client = scene.connect();
        client.send(scene.post(TARGET, "body").bytes());
        match client.try_response_to("POST") {
            Ok(response) => assert_eq!(response.status, 502, "{chunks:?}: {}", response.text()),
            Err(_) => client.expect_end(),
        }
        next_request_is_fine(&scene, chunks);
    }
}

#[test]
fn a_connection_with_more_than_its_answer_is_not_used_again() {
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfineHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
        "HTTP/1.1 204 No Content\r\n\r\npoison",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\nHTTP/1.1 200 Poison\r\n\r\n",
    ] {
        let scene = broken_once(bytes.as_bytes().to_vec(), Next::Request);
        let mut client = scene.connect();
        let response = client.exchange(&scene.get(TARGET));
        assert!([200, 204, 502].contains(&response.status), "{bytes:?}: {}", response.status);
        assert!(!response.text().contains("poison"), "{bytes:?}");
        next_request_is_fine(&scene, bytes);
    }
}

#[test]
fn a_body_after_a_head_request_is_not_taken_for_the_next_answer() {
    let bytes = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    let scene = broken_once(bytes.as_bytes().to_vec(), Next::Request);
    let request = crate::support::Request::new("HEAD", TARGET).key(&scene.key.secret);
    assert_eq!(scene.exchange(&request).status, 200);
    next_request_is_fine(&scene, bytes);
}

#[test]
fn a_connection_that_dies_while_idle_costs_no_request() {
    let scene = Scene::with(
        Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine", Next::Reset),
        |settings| {
            settings.gateway("workers: 1");
        },
    );
    let mut client = scene.connect();
    for _ in 0..20 {
        // The reset may arrive before the answer was read by the gateway: that one request may fail, and is told so.
        let status = client.exchange(&scene.get(TARGET)).status;
        assert!([200, 502].contains(&status), "{status}");
    }
}
