//! WebSocket and other upgrades: a tunnel once both sides agree, an ordinary answer where the upstream does not.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::support::{Client, Next, Request, Scene, Upstream, WATCHDOG};

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                        sec-websocket-accept: yes\r\n\r\n";

/// Switches, then sends back all it gets until the other side ends.
pub(crate) fn tunnel_echo() -> Upstream {
    Upstream::start(|exchange| {
        exchange.send(SWITCHED);
        loop {
            match exchange.wire.some() {
                Ok(bytes) if !bytes.is_empty() => exchange.send(bytes),
                _ => return Next::Close,
            }
        }
    })
}

pub(crate) fn handshake(secret: &str) -> Request {
    Request::get("/agents/echo/socket")
        .key(secret)
        .field("connection", "keep-alive, Upgrade")
        .field("upgrade", "websocket")
        .field("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .field("sec-websocket-version", "13")
}

pub(crate) fn open(scene: &Scene) -> Client {
    let mut client = scene.connect();
    client.send(handshake(&scene.key.secret).bytes());
    let head = client.head();
    assert_eq!(head.word(1), "101", "{}", head.start_line);
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert_eq!(head.field("sec-websocket-accept"), Some("yes"));
    assert!(head.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")));
    client
}

#[test]
fn a_tunnel_carries_bytes_both_ways_until_the_client_ends_it() {
    let scene = Scene::new(tunnel_echo());
    let mut client = open(&scene);
    for message in ["hello", "\u{0}\u{1}\r\n\r\nGET / HTTP/1.1\r\n\r\n", "bye"] {
        client.send(message);
        assert_eq!(client.wire.exactly(message.len()).unwrap(), message.as_bytes());
    }
    let seen = scene.upstream.only().head;
    assert_eq!(seen.field("upgrade"), Some("websocket"));
    assert!(seen.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")));
    assert_eq!(seen.field("sec-websocket-version"), Some("13"));
    assert_eq!(seen.field("x-api-key"), None);
    client.wire.finish_sending();
    client.expect_close();
}

#[test]
fn bytes_sent_right_behind_the_handshake_arrive() {
    let scene = Scene::new(tunnel_echo());
    let mut client = scene.connect();
    client.send([handshake(&scene.key.secret).bytes(), b"eager".to_vec()].concat());
    assert_eq!(client.head().word(1), "101");
    assert_eq!(client.wire.exactly(5).unwrap(), b"eager");
}

#[test]
fn a_tunnel_ends_for_the_client_when_the_upstream_ends_it() {
    let scene = Scene::new(Upstream::start(|exchange| {
        exchange.send(SWITCHED);
        exchange.send("last words");
        Next::Close
    }));
    let mut client = open(&scene);
    assert_eq!(client.wire.rest().unwrap(), b"last words");
}

#[test]
fn a_tunnel_ends_for_the_upstream_when_the_client_is_gone() {
    let (gone, noticed) = channel();
    let gone = Mutex::new(gone);
    let scene = Scene::new(Upstream::start(move |exchange| {
        exchange.send(SWITCHED);
        exchange.until_given_up();
        gone.lock().unwrap().send(()).unwrap();
        Next::Close
    }));
    drop(open(&scene));
    noticed.recv_timeout(WATCHDOG).expect("the upstream's side ends with the client's");
}

#[test]
fn an_upgrade_that_the_upstream_declines_is_an_ordinary_answer() {
    let scene = Scene::new(Upstream::fixed(
        "HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno",
        Next::Request,
    ));
    let mut client = scene.connect();
    for _ in 0..2 {
        let response = client.exchange(&handshake(&scene.key.secret));
        assert_eq!((response.status, response.text().as_str()), (426, "no"));
    }
}

#[test]
fn an_upstream_that_switches_unasked_is_a_bad_gateway() {
    let scene = Scene::new(Upstream::fixed(SWITCHED, Next::Close));
    let response = scene.exchange(&scene.get("/agents/echo/x"));
    assert_eq!(response.status, 502);
}

#[test]
fn an_upgrade_without_a_key_is_refused() {
    let scene = Scene::new(tunnel_echo());
    let request =
        Request::get("/agents/echo/socket").field("connection", "upgrade").field("upgrade", "websocket");
    assert_eq!(scene.exchange(&request).status, 401);
    assert_eq!(scene.upstream.seen().len(), 0);
}
