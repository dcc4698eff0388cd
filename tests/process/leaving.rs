//! SIGTERM and SIGINT: readiness fails first, what runs finishes within the grace time, nothing new is taken (G9).

use std::net::TcpStream;

use crate::support::{Gateway, Next, Scene, Upstream, eventually};

const TARGET: &str = "/agents/echo/x";

fn is_ready(gateway: &Gateway) -> bool {
    gateway.ops("/readyz").status == 200
}

#[test]
fn a_running_answer_finishes_and_nothing_new_is_taken() {
    for signal in ["TERM", "INT"] {
        let (upstream, release) = Upstream::event_stream();
        let mut scene = Scene::new(upstream);
        assert!(is_ready(&scene.gateway));
        assert_eq!(scene.gateway.ops("/healthz").status, 200);
        let mut running = scene.connect();
        running.send(scene.get(TARGET).bytes());
        assert_eq!(running.head().word(1), "200");
        release.send("before");
        assert_eq!(running.wire.chunk().unwrap(), b"before");

        scene.gateway.signal(signal);
        eventually("readiness fails while the answer runs", || !is_ready(&scene.gateway));
        eventually("new connections are refused", || TcpStream::connect(scene.gateway.address()).is_err());
        release.send("after");
        assert_eq!(running.wire.chunk().unwrap(), b"after");
        drop(release);
        assert_eq!(running.wire.chunk().unwrap(), b"", "it ends in order");
        let status = scene.gateway.wait();
        assert!(status.success(), "left with {status}");
    }
}

#[test]
fn a_running_upload_finishes() {
    let mut scene = Scene::new(Upstream::echo());
    let mut client = scene.connect();
    let request =
        crate::support::Request::new("POST", TARGET).key(&scene.key.secret).field("content-length", "10");
    client.send(request.head_bytes()).send("first");
    scene.upstream.wait_for(1);
    scene.gateway.signal("TERM");
    eventually("readiness fails", || !is_ready(&scene.gateway));
    client.send("later");
    let response = client.response_to("POST");
    assert_eq!(response.text(), "firstlater");
    client.expect_close();
    assert!(scene.gateway.wait().success());
}

#[test]
fn kept_connections_without_a_request_are_closed() {
    let (upstream, release) = Upstream::event_stream();
    let mut scene = Scene::new(upstream);
    let mut idle = scene.connect();
    assert_eq!(idle.exchange(&crate::support::Request::get(TARGET)).status, 401);
    let mut running = scene.connect();
    running.send(scene.get(TARGET).bytes());
    assert_eq!(running.head().word(1), "200");
    scene.gateway.signal("TERM");
    idle.expect_close();
    drop(release);
    assert_eq!(running.wire.chunk().unwrap(), b"");
    assert!(scene.gateway.wait().success());
}

#[test]
fn what_runs_longer_than_the_grace_time_is_cut() {
    let (upstream, _release) = Upstream::event_stream();
    let url = upstream.url();
    let mut scene = Scene::configured(upstream, |settings| {
        settings
            .gateway("grace: 200ms")
            .upstream("echo", &[url], "")
            .route(crate::support::scene::AGENTS_ROUTE);
    });
    let mut running = scene.connect();
    running.send(scene.get(TARGET).bytes());
    assert_eq!(running.head().word(1), "200");
    scene.gateway.signal("TERM");
    assert!(running.wire.chunk().is_err(), "it does not look whole");
    scene.gateway.wait();
}

#[test]
fn an_idle_gateway_leaves_at_once_and_clean() {
    let mut scene = Scene::new(Upstream::echo());
    let mut client = scene.connect();
    assert_eq!(client.exchange(&scene.get(TARGET)).status, 200);
    assert!(scene.gateway.stop().success());
    client.expect_close();
}

#[test]
fn no_request_fails_while_the_gateway_leaves() {
    let mut scene = Scene::new(Upstream::start(|exchange| {
        exchange.body();
        exchange.respond("200 OK", b"whole");
        Next::Request
    }));
    let before = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let mut client = scene.connect();
                let request = scene.get(TARGET);
                let before = &before;
                scope.spawn(move || {
                    loop {
                        if client.wire.send(request.bytes()).is_err() {
                            return;
                        }
                        match client.try_response_to("GET") {
                            Ok(response) => assert!([200, 503].contains(&response.status)),
                            // Closed between two requests: no byte of an answer came.
                            Err(error) => {
                                let text = error.to_string();
                                assert!(!text.contains("within"), "an answer broke off: {text}");
                                return;
                            }
                        }
                        before.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    }
                })
            })
            .collect();
        eventually("requests run", || before.load(std::sync::atomic::Ordering::SeqCst) > 100);
        scene.gateway.signal("TERM");
        for client in clients {
            client.join().unwrap();
        }
    });
    assert!(scene.gateway.wait().success());
}

#[test]
fn while_balancers_look_elsewhere_new_requests_are_still_served() {
    let mut scene = Scene::with(Upstream::echo(), |settings| {
        settings.gateway("leave_delay: 1h");
    });
    scene.gateway.signal("TERM");
    eventually("readiness fails", || !is_ready(&scene.gateway));
    assert_eq!(scene.exchange(&scene.get(TARGET)).status, 200);
    // Whoever cannot wait asks a second time.
    scene.gateway.signal("TERM");
    assert!(scene.gateway.wait().success());
}
