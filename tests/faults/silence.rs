//! Upstreams that take too long: 504 where nothing was passed on, an aborted response where something was.

use std::net::{SocketAddr, TcpStream};

use crate::support::{Next, Request, Scene, Settings, Upstream};

const TARGET: &str = "/agents/echo/x";
const AGENTS: &str = crate::support::scene::AGENTS_ROUTE;

fn impatient(timeouts: &'static str, url: String) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.upstream("echo", &[url], &format!("timeouts: {{ {timeouts} }}")).route(AGENTS);
    }
}

/// Does `fault` to the first request and answers the others.
fn slow_once(fault: &'static str, timeouts: &'static str) -> Scene {
    let upstream = Upstream::start(move |exchange| {
        if exchange.at() > 0 {
            exchange.body();
            exchange.respond("200 OK", b"fine");
            return Next::Request;
        }
        exchange.send(fault);
        exchange.until_given_up();
        Next::Close
    });
    let url = upstream.url();
    Scene::configured(upstream, impatient(timeouts, url))
}

#[test]
fn an_upstream_without_an_answer_in_time_is_a_504_and_is_given_up() {
    for fault in ["", "HTTP/1.1 200 OK\r\nconte", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let scene = slow_once(fault, "response_head: 200ms");
        let mut client = scene.connect();
        let response = client.exchange(&scene.post(TARGET, "body"));
        assert_eq!((response.status, response.refusal().as_str()), (504, "upstream timed out"), "{fault:?}");
        assert_eq!(scene.exchange(&scene.get(TARGET)).text(), "fine");
    }
}

#[test]
fn a_body_that_stops_coming_is_aborted() {
    for fault in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
    ] {
        let scene = slow_once(fault, "idle: 200ms");
        let mut client = scene.connect();
        client.send(scene.get(TARGET).bytes());
        assert!(client.try_response_to("GET").is_err(), "{fault:?} looks whole");
        assert_eq!(scene.exchange(&scene.get(TARGET)).text(), "fine");
    }
}

#[test]
fn an_exchange_over_its_total_time_is_ended() {
    let silent = slow_once("", "total: 1s");
    assert_eq!(silent.exchange(&silent.get(TARGET)).status, 504);
    let begun = slow_once("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", "total: 1s");
    let mut client = begun.connect();
    client.send(begun.get(TARGET).bytes());
    assert!(client.try_response_to("GET").is_err(), "it looks whole");
}

#[test]
fn a_silent_tunnel_is_ended() {
    let scene = slow_once(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        "idle: 200ms",
    );
    let mut client = scene.connect();
    let request = scene.get(TARGET).field("connection", "upgrade").field("upgrade", "websocket");
    client.send(request.bytes());
    assert_eq!(client.head().word(1), "101");
    client.expect_close();
}

#[test]
fn a_client_whose_body_stops_coming_is_given_up_and_is_not_the_upstreams_failure() {
    let scene = {
        let upstream = Upstream::echo();
        let url = upstream.url();
        Scene::configured(upstream, impatient("idle: 200ms", url))
    };
    let mut client = scene.connect();
    let request = Request::new("POST", TARGET).key(&scene.key.secret).field("content-length", "10");
    client.send(request.head_bytes()).send("hello");
    if let Ok(response) = client.try_response_to("POST") {
        assert_eq!(response.status, 408);
    }
    client.expect_end();
    assert_eq!(scene.upstream.only().body, b"", "it never looks whole");
    assert_eq!(scene.exchange(&scene.get(TARGET)).status, 200);
}

/// A port whose queue of connections is full, so that connecting to it hangs.
struct Unanswering {
    listener: socket2::Socket,
    _queued: Vec<TcpStream>,
}

impl Unanswering {
    fn new() -> Unanswering {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any_port.into()).unwrap();
        listener.listen(0).unwrap();
        let mut unanswering = Unanswering { listener, _queued: Vec::new() };
        let address = unanswering.address();
        // Connects until one is not taken any more; the kernel then drops the first packet of every other.
        let patience = std::time::Duration::from_millis(200);
        while let Ok(queued) = TcpStream::connect_timeout(&address, patience) {
            unanswering._queued.push(queued);
        }
        unanswering
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap().as_socket().unwrap()
    }
}

#[test]
fn an_upstream_that_does_not_take_the_connection_in_time_is_a_504() {
    let unanswering = Unanswering::new();
    let url = format!("http://{}", unanswering.address());
    let scene = Scene::configured(Upstream::echo(), impatient("connect: 200ms", url));
    let response = scene.exchange(&scene.get(TARGET));
    assert_eq!((response.status, response.refusal().as_str()), (504, "upstream timed out"));
}
