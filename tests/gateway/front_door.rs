//! Heads that are malformed or ambiguous: refused before authentication, their connection closed (G5).

use crate::support::{Client, Scene, Upstream};

/// What stands before the refused thing, so that only it is wrong.
const GOOD: &str = "GET /agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n";

/// Sends each head (an empty line is added) with and without a good key, and expects one of the statuses, a closed
/// connection and an upstream that saw nothing.
fn every_head_is_refused(rows: &[(&str, &[u16])]) {
    let scene = Scene::new(Upstream::echo());
    let mut wrong = Vec::new();
    for (head, statuses) in rows {
        for key in [format!("x-api-key: {}\r\n", scene.key.secret), String::new()] {
            let mut client = scene.connect();
            client.send(format!("{head}{key}\r\n"));
            match client.try_response_to("GET") {
                Ok(response) if statuses.contains(&response.status) => {
                    response.refusal();
                    client.expect_close();
                }
                Ok(response) => {
                    wrong.push(format!("{head:?} (key: {}): {}", !key.is_empty(), response.status));
                }
                Err(error) => wrong.push(format!("{head:?} (key: {}): {error}", !key.is_empty())),
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(scene.upstream.seen().len(), 0, "{:?}", scene.upstream.seen());
    let after = scene.exchange(&scene.get("/agents/echo/x"));
    assert_eq!(after.status, 200, "the gateway goes on");
}

fn with(good: &str, line: &str) -> String {
    format!("{good}{line}\r\n")
}

fn every_line_is_refused(lines: &[(&str, &[u16])]) {
    let heads: Vec<(String, &[u16])> =
        lines.iter().map(|(line, statuses)| (with(GOOD, line), *statuses)).collect();
    let rows: Vec<(&str, &[u16])> = heads.iter().map(|(head, statuses)| (head.as_str(), *statuses)).collect();
    every_head_is_refused(&rows);
}

#[test]
fn a_request_without_one_well_formed_host_is_refused() {
    every_head_is_refused(&[
        ("GET /agents/echo/x HTTP/1.1\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost:\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: a.test\r\nhost: a.test\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: a.test\r\nHOST: b.test\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: a.test, b.test\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: a b\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: a/b\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: user@a.test\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: http://a.test\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: a.test:http\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: a.test:65536\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: [::1\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: a\\b\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\r\nhost: a?b\r\n", &[400]),
        ("GET http://other.test/agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
    ]);
}

#[test]
fn a_request_whose_body_could_end_in_two_places_is_refused() {
    every_line_is_refused(&[
        ("content-length: 5\r\ntransfer-encoding: chunked", &[400]),
        ("transfer-encoding: chunked\r\ncontent-length: 5", &[400]),
        ("content-length: 5\r\ncontent-length: 5", &[400]),
        ("content-length: 5\r\ncontent-length: 6", &[400]),
        ("content-length: 5, 5", &[400]),
        ("content-length: +5", &[400]),
        ("content-length: -5", &[400]),
        ("content-length: 0x5", &[400]),
        ("content-length: 5 5", &[400]),
        ("content-length: 5a", &[400]),
        ("content-length:", &[400]),
        ("content-length: 18446744073709551616", &[400, 413]),
        ("transfer-encoding: chunked, chunked", &[400]),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", &[400]),
        ("transfer-encoding: chunked\r\ntransfer-encoding: gzip", &[400, 501]),
        ("transfer-encoding: chunked, gzip", &[400, 501]),
        ("transfer-encoding: chunked, identity", &[400, 501]),
        ("transfer-encoding:", &[400, 501]),
        ("transfer-encoding: chunked;q=1", &[400, 501]),
        ("transfer-encoding: \"chunked\"", &[400, 501]),
        ("transfer-encoding: \u{b}chunked", &[400]),
        ("transfer-encoding: xchunked", &[501]),
        ("transfer-encoding: identity", &[501]),
        ("transfer-encoding: gzip", &[501]),
        ("transfer-encoding: gzip, chunked", &[501]),
    ]);
    every_head_is_refused(&[(
        "POST /agents/echo/x HTTP/1.0\r\nhost: gateway.test\r\ntransfer-encoding: chunked\r\n",
        &[400],
    )]);
}

#[test]
fn a_request_that_is_not_for_a_path_is_refused() {
    every_head_is_refused(&[
        ("CONNECT gateway.test:443 HTTP/1.1\r\nhost: gateway.test\r\n", &[501]),
        ("CONNECT /agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n", &[501]),
        ("TRACE /agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n", &[501]),
        ("GET gateway.test:80 HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
        ("GET agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
        ("GET * HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
        ("OPTIONS * HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
        ("GET ftp://gateway.test/x HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
        ("GET http:///agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
        ("GET ?x HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
    ]);
}

#[test]
fn a_request_line_of_another_form_is_refused() {
    every_head_is_refused(&[
        ("GET  /agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
        ("GET /agents/echo/x  HTTP/1.1\r\nhost: gateway.test\r\n", &[400, 505]),
        ("GET\t/agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
        (" GET /agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1 \r\nhost: gateway.test\r\n", &[400]),
        ("GET /agents/echo/x\r\nhost: gateway.test\r\n", &[400]),
        ("G(T /agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
        ("/agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n", &[400]),
        ("GET /agents/echo/x y HTTP/1.1\r\nhost: gateway.test\r\n", &[400, 505]),
        ("GET /agents/echo/x http/1.1\r\nhost: gateway.test\r\n", &[400, 505]),
        ("GET /agents/echo/x HTTP/1.10\r\nhost: gateway.test\r\n", &[400, 505]),
        ("GET /agents/echo/x HTTP/0.9\r\nhost: gateway.test\r\n", &[400, 505]),
        ("GET /agents/echo/x HTTP/1.2\r\nhost: gateway.test\r\n", &[505]),
        ("GET /agents/echo/x HTTP/2.0\r\nhost: gateway.test\r\n", &[505]),
        ("PRI * HTTP/2.0\r\n", &[400, 505]),
        ("\u{16}\u{3}\u{1}\u{2}\r\n", &[400]),
    ]);
}

#[test]
fn a_field_of_another_form_is_refused() {
    every_line_is_refused(&[
        ("x-folded: a\r\n b", &[400]),
        ("x-folded: a\r\n\tb", &[400]),
        ("x-spaced : a", &[400]),
        ("x-tabbed\t: a", &[400]),
        ("no colon", &[400]),
        (": no name", &[400]),
        ("x(y): a", &[400]),
        ("x\u{e9}: a", &[400]),
        ("x-nul: a\0b", &[400]),
        ("x-nul\0: a", &[400]),
        ("x-control: a\u{1}b", &[400]),
        ("x-control: a\u{7f}b", &[400]),
        ("x-escape: a\u{1b}[31m", &[400]),
        ("x-return: a\rb", &[400]),
        ("x-return: a\r\r\nx-more: b", &[400]),
        ("x-line: a\nx-smuggled: b", &[400]),
    ]);
    every_head_is_refused(&[
        ("GET /agents/echo/x HTTP/1.1\r\n host: gateway.test\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\nhost: gateway.test\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\nhost: gateway.test\r\n", &[400]),
        ("GET /agents/echo/x HTTP/1.1\rhost: gateway.test\r\n", &[400]),
    ]);
}

#[test]
fn a_head_ended_by_bare_line_feeds_is_refused() {
    let scene = Scene::new(Upstream::echo());
    let mut client = scene.connect();
    client.send("GET /agents/echo/x HTTP/1.1\nhost: gateway.test\n\n");
    assert_eq!(client.response().status, 400);
    client.expect_close();
    assert_eq!(scene.upstream.seen().len(), 0);
}

#[test]
fn a_target_or_head_over_its_bound_is_refused_with_its_own_status() {
    let long_target = format!("GET /agents/echo/{} HTTP/1.1\r\nhost: gateway.test\r\n", "x".repeat(9 * 1024));
    let long_field = format!("{GOOD}x-long: {}\r\n", "x".repeat(33 * 1024));
    let many_fields = format!("{GOOD}{}", "x-many: y\r\n".repeat(101));
    let long_method = format!("{} / HTTP/1.1\r\nhost: gateway.test\r\n", "M".repeat(33 * 1024));
    every_head_is_refused(&[
        (&long_target, &[414]),
        (&long_field, &[431]),
        (&many_fields, &[431]),
        (&long_method, &[400, 414, 431]),
    ]);
}

#[test]
fn a_head_that_never_ends_is_refused_without_being_kept() {
    let scene = Scene::new(Upstream::echo());
    let mut client = scene.connect();
    client.send(GOOD);
    // Far more than any buffer on the way holds: only a refusal ends this.
    let line = format!("x-more: {}\r\n", "y".repeat(1000));
    let mut sent = 0;
    while sent < 64 * 1024 * 1024 && client.wire.send(&line).is_ok() {
        sent += line.len();
    }
    assert!(sent < 64 * 1024 * 1024, "the gateway read on");
}

#[test]
fn what_follows_a_refused_request_on_its_connection_is_not_served() {
    let scene = Scene::new(Upstream::echo());
    let mut client = scene.connect();
    let good = String::from_utf8(scene.get("/agents/echo/smuggled").bytes()).unwrap();
    client.send(format!("{GOOD}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{good}"));
    assert_eq!(client.response().status, 400);
    client.expect_close();
    assert_eq!(scene.upstream.seen().len(), 0);
}

#[test]
fn unusual_and_well_formed_requests_pass() {
    let scene = Scene::new(Upstream::echo());
    let key = format!("x-api-key: {}\r\n", scene.key.secret);
    for head in [
        "GET http://gateway.test/agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n",
        "GET /agents/echo/x HTTP/1.1\r\nhost: [::1]:8080\r\n",
        "GET /agents/echo/x HTTP/1.1\r\nhost: gateway.test:80\r\n",
        "GET /agents/echo/x HTTP/1.1\r\nHOST:gateway.test\r\n",
        "GET /agents/echo/x HTTP/1.1\r\nhost: \t gateway.test \t\r\n",
        "PROPFIND /agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n",
        "OPTIONS /agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n",
        "GET /agents/echo/x HTTP/1.0\r\nhost: gateway.test\r\n",
        "GET /agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\nx-empty:\r\n",
        "GET /agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\nx-tab: a\tb\r\n",
        "\r\nGET /agents/echo/x HTTP/1.1\r\nhost: gateway.test\r\n",
    ] {
        let mut client = Client::connect(scene.gateway.address());
        client.send(format!("{head}{key}\r\n"));
        assert_eq!(client.response().status, 200, "{head:?}");
        let seen = scene.upstream.last();
        assert_eq!(seen.head.all("host").len(), 1, "{head:?}");
        assert!(seen.head.start_line.ends_with(" HTTP/1.1"), "{head:?}");
    }
}
