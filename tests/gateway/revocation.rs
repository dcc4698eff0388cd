//! After `DELETE` answers 200 the key is refused and what it had running is cut (G1).

use std::io;

use serde_json::json;

use crate::support::management::Key;
use crate::support::{Client, Request, Scene, Upstream, eventually};
use crate::upgrades::{handshake, tunnel_echo};

const TARGET: &str = "/agents/echo/x";

fn get(key: &Key) -> Request {
    Request::get(TARGET).key(&key.secret)
}

fn another_key(scene: &mut Scene) -> Key {
    scene.management().key("acme", json!({"name": "another"}))
}

/// A client whose event stream has begun.
fn streaming(scene: &Scene, key: &Key) -> Client {
    let mut client = scene.connect();
    client.send(get(key).bytes());
    assert_eq!(client.head().word(1), "200");
    client
}

/// The stream breaks off: it ends without its last chunk.
fn expect_cut(client: &mut Client) {
    loop {
        match client.wire.chunk() {
            Ok(bytes) => assert!(!bytes.is_empty(), "the body looks as if it had ended in order"),
            Err(error) => {
                let gone = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
                assert!(gone.contains(&error.kind()), "{error}");
                return;
            }
        }
    }
}

#[test]
fn a_created_key_passes_and_a_deleted_one_is_refused_from_the_answer_on() {
    let mut scene = Scene::new(Upstream::echo());
    let management = scene.management();
    let mut kept = scene.connect();
    for _ in 0..20 {
        let key = another_key(&mut scene);
        assert_eq!(kept.exchange(&get(&key)).status, 200);
        let answer = management.delete(&key);
        assert_eq!(answer["revocation"]["state"], "complete", "{answer}");
        assert_eq!(kept.exchange(&get(&key)).status, 401, "on a kept connection");
        assert_eq!(scene.exchange(&get(&key)).status, 401, "on a new connection");
    }
    assert_eq!(kept.exchange(&scene.get(TARGET)).status, 200, "other keys do not notice");
}

#[test]
fn a_running_answer_of_a_deleted_key_is_cut_and_others_go_on() {
    let (upstream, release) = Upstream::event_stream();
    let mut scene = Scene::new(upstream);
    let key = another_key(&mut scene);
    let mut cut = streaming(&scene, &key);
    let mut goes_on = streaming(&scene, &scene.key);
    scene.management().delete(&key);
    expect_cut(&mut cut);
    release.send("still here");
    assert_eq!(goes_on.wire.chunk().unwrap(), b"still here");
    drop(release);
    assert_eq!(goes_on.wire.chunk().unwrap(), b"");
}

#[test]
fn a_tunnel_of_a_deleted_key_is_cut() {
    let mut scene = Scene::new(tunnel_echo());
    let key = another_key(&mut scene);
    let mut client = scene.connect();
    client.send(handshake(&key.secret).bytes());
    assert_eq!(client.head().word(1), "101");
    client.send("hello");
    assert_eq!(client.wire.exactly(5).unwrap(), b"hello");
    scene.management().delete(&key);
    client.expect_close();
}

#[test]
fn a_running_upload_of_a_deleted_key_is_cut() {
    let mut scene = Scene::new(Upstream::echo());
    let key = another_key(&mut scene);
    let mut client = scene.connect();
    let request = Request::new("POST", TARGET).key(&key.secret).field("content-length", "1000");
    client.send(request.head_bytes()).send("a start");
    scene.upstream.wait_for(1);
    scene.management().delete(&key);
    assert!(client.try_response_to("POST").is_err(), "no answer looks whole");
    assert_eq!(scene.upstream.only().body, b"");
}

#[test]
fn a_disabled_key_is_refused_and_cut_and_passes_again_when_enabled() {
    let (upstream, _release) = Upstream::event_stream();
    let mut scene = Scene::new(upstream);
    let key = another_key(&mut scene);
    let mut cut = streaming(&scene, &key);
    scene.management().change(&key, json!({"disabled": true}));
    expect_cut(&mut cut);
    assert_eq!(scene.exchange(&get(&key)).status, 401);
    scene.management().change(&key, json!({"disabled": false}));
    drop(streaming(&scene, &key));
}

#[test]
fn a_deleted_key_stays_refused_after_a_restart_and_after_a_kill() {
    let mut scene = Scene::new(Upstream::echo());
    let key = another_key(&mut scene);
    assert_eq!(scene.exchange(&get(&key)).status, 200);
    scene.management().delete(&key);
    scene.gateway.kill();
    scene.gateway.run();
    assert_eq!(scene.exchange(&get(&key)).status, 401);
    assert_eq!(scene.exchange(&scene.get(TARGET)).status, 200);
    scene.gateway.restart();
    assert_eq!(scene.exchange(&get(&key)).status, 401);
    assert_eq!(scene.exchange(&scene.get(TARGET)).status, 200);
}

#[test]
fn no_request_that_begins_after_the_answer_is_admitted_while_others_hammer() {
    let mut scene = Scene::new(Upstream::echo());
    let management = scene.management();
    for _ in 0..10 {
        let key = another_key(&mut scene);
        let deleted = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut client = scene.connect();
                    loop {
                        let was_deleted = deleted.load(std::sync::atomic::Ordering::SeqCst);
                        client.send(get(&key).bytes());
                        // A cut may take the connection instead of an answer.
                        let Ok(response) = client.try_response_to("GET") else {
                            client = scene.connect();
                            continue;
                        };
                        assert!(!was_deleted || response.status == 401, "{}", response.status);
                        if was_deleted {
                            return;
                        }
                    }
                });
            }
            let before = scene.upstream.seen().len();
            scene.upstream.wait_for(before + 20);
            management.delete(&key);
            deleted.store(true, std::sync::atomic::Ordering::SeqCst);
        });
    }
}

#[test]
fn a_deleted_organization_takes_its_keys_with_it() {
    let mut scene = Scene::new(Upstream::echo());
    let management = scene.management();
    let (status, answer) = management.call("DELETE", "/organizations/acme", None);
    // DESIGN section 6 speaks of it; section 7 lists no such call. Where there is one, it revokes.
    if status == 200 {
        assert_eq!(answer["revocation"]["state"], "complete", "{answer}");
        assert_eq!(scene.exchange(&scene.get(TARGET)).status, 401);
    } else {
        assert!([404, 405].contains(&status), "{status}: {answer}");
        assert_eq!(scene.exchange(&scene.get(TARGET)).status, 200);
    }
}

#[test]
fn the_key_table_gauge_follows_creation_and_deletion() {
    let mut scene = Scene::new(Upstream::echo());
    let keys = |scene: &Scene| scene.gateway.metric("keystile_key_table_keys", &[]);
    assert_eq!(keys(&scene), 1.0);
    let key = another_key(&mut scene);
    eventually("it is counted", || keys(&scene) == 2.0);
    scene.management().delete(&key);
    eventually("it is no longer counted", || keys(&scene) == 1.0);
}
