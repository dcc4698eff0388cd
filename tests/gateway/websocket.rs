//! A WebSocket whose key is cut is closed as RFC 6455 has it, where its stream allows that (G1).

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::management::Key;
use crate::support::{Client, Exchange, Next, Request, Scene, Upstream, WATCHDOG, eventually};
use crate::upgrades::handshake;

const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
/// Close, 1008.
const NOT_PERMITTED: &[u8] = b"\x88\x16\x03\xF0access not permitted";
/// Close, 1001.
const GOING_AWAY: &[u8] = b"\x88\x02\x03\xE9";
/// A text of the server's.
const HELLO: &[u8] = b"\x81\x05hello";
/// The same of a client's: masked.
const MASKED_HELLO: &[u8] = b"\x81\x85\x01\x02\x03\x04igohn";

/// What an upstream hears on one connection.
struct Heard {
    /// Told once it has what it waits for.
    enough: Receiver<()>,
    /// All that comes behind that.
    rest: Receiver<io::Result<Vec<u8>>>,
}

/// An upstream that answers with `says`, waits for `hears` and then listens to the end.
fn listening(says: &[u8], hears: &'static [u8]) -> (Upstream, Heard) {
    let says = says.to_vec();
    let ((enough, has_enough), (rest, all)) = (channel(), channel());
    let told = Mutex::new((enough, rest));
    let upstream = Upstream::start(move |exchange| {
        exchange.send(&says);
        let begun = exchange.wire.exactly(hears.len());
        let told = told.lock().unwrap();
        assert_eq!(begun.unwrap(), hears);
        told.0.send(()).unwrap();
        told.1.send(exchange.wire.rest()).unwrap();
        Next::Close
    });
    (upstream, Heard { enough: has_enough, rest: all })
}

/// A client with a key of its own, beyond the 101.
fn open(scene: &mut Scene) -> (Client, Key) {
    let key = scene.management().key("acme", json!({"name": "another"}));
    let mut client = scene.connect();
    client.send(handshake(&key.secret).bytes());
    assert_eq!(client.head().word(1), "101");
    (client, key)
}

/// The two sides of a WebSocket that has carried `says` and `hears` when the key is deleted: what the client and the
/// upstream get then.
fn deleted_after(says: &'static [u8], hears: &'static [u8]) -> (io::Result<Vec<u8>>, io::Result<Vec<u8>>) {
    let (upstream, heard) = listening(&[SWITCHED.as_bytes(), says].concat(), hears);
    let mut scene = Scene::new(upstream);
    let (mut client, key) = open(&mut scene);
    client.send(hears);
    assert_eq!(client.wire.exactly(says.len()).unwrap(), says);
    heard.enough.recv_timeout(WATCHDOG).unwrap();
    let answer = scene.management().delete(&key);
    assert_eq!(answer["revocation"]["state"], "complete", "{answer}");
    (client.wire.rest(), heard.rest.recv_timeout(WATCHDOG).unwrap())
}

/// The connection broke, without a byte before.
fn assert_reset(got: &io::Result<Vec<u8>>) {
    assert!(got.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset), "{got:?}");
}

/// A masked Close with 1001 and nothing else.
fn assert_going_away(got: io::Result<Vec<u8>>) {
    let got = got.unwrap();
    assert_eq!(got.len(), 8, "{got:?}");
    assert_eq!(got[..2], [0x88, 0x82]);
    assert_eq!([got[6] ^ got[2], got[7] ^ got[3]], 1001_u16.to_be_bytes());
}

#[test]
fn an_idle_websocket_of_a_deleted_key_is_closed_with_1008_and_its_upstream_with_1001() {
    for (says, hears) in [(HELLO, MASKED_HELLO), (b"".as_slice(), b"".as_slice())] {
        let (client, upstream) = deleted_after(says, hears);
        assert_eq!(client.unwrap(), NOT_PERMITTED);
        assert_going_away(upstream);
    }
}

#[test]
fn between_two_fragments_of_a_message_a_close_frame_comes() {
    let (client, upstream) = deleted_after(b"\x01\x02he\x00\x02ll", b"\x01\x81\x01\x02\x03\x04i");
    assert_eq!(client.unwrap(), NOT_PERMITTED);
    assert_going_away(upstream);
}

#[test]
fn in_the_middle_of_a_frame_the_connection_breaks_without_one() {
    let unfinished: [&[u8]; 4] = [b"\x81", b"\x82\x7E\x01", b"\x81\x05hell", b"\x81\x05hello\x89\x01"];
    for says in unfinished {
        let (client, upstream) = deleted_after(says, MASKED_HELLO);
        assert_reset(&client);
        assert_going_away(upstream);
    }
}

#[test]
fn an_upstream_gets_no_close_frame_in_the_middle_of_its_clients() {
    let (client, upstream) = deleted_after(HELLO, b"\x81\x85\x01\x02\x03\x04igo");
    assert_eq!(client.unwrap(), NOT_PERMITTED);
    assert_eq!(upstream.unwrap(), b"");
}

#[test]
fn what_is_no_frame_of_a_server_gets_no_close_frame() {
    // Masked, as a server's never is.
    let (client, _) = deleted_after(MASKED_HELLO, b"");
    assert_reset(&client);
}

#[test]
fn nothing_comes_behind_the_close_frame_that_the_upstream_sent_itself() {
    let (client, upstream) = deleted_after(b"\x88\x02\x03\xE8", b"");
    assert_eq!(client.unwrap(), b"");
    assert_going_away(upstream);
}

#[test]
fn another_protocol_is_cut_without_a_word() {
    let switched = SWITCHED.replace("websocket", "chat");
    let (upstream, heard) = listening(&[switched.as_bytes(), HELLO].concat(), MASKED_HELLO);
    let mut scene = Scene::new(upstream);
    let key = scene.management().key("acme", json!({"name": "another"}));
    let mut client = scene.connect();
    let wish = Request::get("/agents/echo/socket")
        .key(&key.secret)
        .field("connection", "upgrade")
        .field("upgrade", "chat");
    client.send(wish.bytes()).send(MASKED_HELLO);
    assert_eq!(client.head().word(1), "101");
    assert_eq!(client.wire.exactly(HELLO.len()).unwrap(), HELLO);
    heard.enough.recv_timeout(WATCHDOG).unwrap();
    scene.management().delete(&key);
    assert_reset(&client.wire.rest());
    assert_eq!(heard.rest.recv_timeout(WATCHDOG).unwrap().unwrap(), b"");
}

#[test]
fn a_websocket_of_a_disabled_key_is_closed_and_logged_as_cut() {
    let (upstream, heard) = listening(&[SWITCHED.as_bytes(), HELLO].concat(), MASKED_HELLO);
    let mut scene = Scene::with(upstream, |settings| {
        settings.section("access_log: { file: access.log }");
    });
    let (mut client, key) = open(&mut scene);
    client.send(MASKED_HELLO);
    assert_eq!(client.wire.exactly(HELLO.len()).unwrap(), HELLO);
    heard.enough.recv_timeout(WATCHDOG).unwrap();
    scene.management().change(&key, json!({"disabled": true}));
    assert_eq!(client.wire.rest().unwrap(), NOT_PERMITTED);
    assert_going_away(heard.rest.recv_timeout(WATCHDOG).unwrap());
    assert_eq!(scene.exchange(&handshake(&key.secret)).status, 401);
    let log = scene.gateway.folder().join("access.log");
    eventually("the access log says how it ended", || {
        let lines = std::fs::read_to_string(&log).unwrap_or_default();
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().any(|line| line["status"] == 101 && line["end"] == "cut")
    });
}

#[test]
fn others_websockets_go_on() {
    let (upstream, heard) = listening(&[SWITCHED.as_bytes(), HELLO].concat(), MASKED_HELLO);
    let mut scene = Scene::new(upstream);
    let another = scene.management().key("acme", json!({"name": "another"}));
    let (mut client, _key) = open(&mut scene);
    assert_eq!(client.wire.exactly(HELLO.len()).unwrap(), HELLO);
    scene.management().delete(&another);
    client.send(MASKED_HELLO);
    heard.enough.recv_timeout(WATCHDOG).expect("it is carried after another key was deleted");
}

/// An upstream that sends frames until the gateway takes none any more, and then tells.
fn flooding(frame: fn(&mut Exchange<'_>) -> io::Result<()>) -> (Upstream, Receiver<()>) {
    let (let_go, noticed) = channel();
    let let_go = Mutex::new(let_go);
    let upstream = Upstream::start(move |exchange| {
        exchange.send(SWITCHED);
        while frame(exchange).is_ok() {}
        let_go.lock().unwrap().send(()).unwrap();
        Next::Close
    });
    (upstream, noticed)
}

#[test]
fn a_client_that_does_not_read_holds_nothing_up() {
    // Larger than what two sockets hold for a client that does not read it: the cut comes in its middle.
    let large: fn(&mut Exchange<'_>) -> io::Result<()> = |exchange| {
        exchange.wire.send(b"\x82\x7F\0\0\0\0\x10\0\0\0")?;
        (0..0x1000).try_for_each(|_| exchange.wire.send([0; 0x1_0000]))
    };
    let small: fn(&mut Exchange<'_>) -> io::Result<()> = |exchange| exchange.wire.send(HELLO.repeat(1_000));
    for (frame, is_large) in [(large, true), (small, false)] {
        let (upstream, let_go) = flooding(frame);
        let mut scene = Scene::new(upstream);
        let (mut client, key) = open(&mut scene);
        client.wire.exactly(2).expect("a frame has begun");
        let answer = scene.management().delete(&key);
        assert_eq!(answer["revocation"]["state"], "complete", "{answer}");
        let_go.recv_timeout(WATCHDOG).expect("the upstream is let go while the client reads nothing");
        eventually("its connection is gone", || {
            scene.gateway.metric("keystile_open_connections", &[]) == 0.0
        });
        match client.wire.rest() {
            Ok(bytes) => assert!(!is_large && bytes.ends_with(NOT_PERMITTED), "it looks whole"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}"),
        }
    }
}

#[test]
fn a_websocket_that_outlasts_the_grace_time_is_closed_with_1001() {
    let (upstream, heard) = listening(&[SWITCHED.as_bytes(), HELLO].concat(), MASKED_HELLO);
    let mut scene = Scene::with(upstream, |settings| {
        settings.gateway("grace: 200ms");
    });
    let (mut client, _key) = open(&mut scene);
    client.send(MASKED_HELLO);
    assert_eq!(client.wire.exactly(HELLO.len()).unwrap(), HELLO);
    heard.enough.recv_timeout(WATCHDOG).unwrap();
    scene.gateway.signal("TERM");
    assert_eq!(client.wire.rest().unwrap(), GOING_AWAY);
    assert_going_away(heard.rest.recv_timeout(WATCHDOG).unwrap());
    scene.gateway.wait();
}
