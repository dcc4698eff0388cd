//! Rates, quotas and concurrency at the front door: exactly what was allowed is admitted (G2), and refusals cost nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keystile::domain::clock::Clock;
use serde_json::{Value, json};

use crate::support::management::Key;
use crate::support::{Client, Next, Request, Response, Scene, Upstream, eventually};

const TARGET: &str = "/agents/echo/x";

/// A key with limits of its own.
fn limited(scene: &mut Scene, limits: Value) -> Key {
    scene.management().key("acme", json!({"name": "limited", "limits": limits}))
}

/// Sends `requests` with `key` from as many `connections` at once and counts the answers 200 and 429.
fn flood(scene: &Scene, key: &Key, connections: usize, requests: usize) -> (usize, usize) {
    let (admitted, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    std::thread::scope(|scope| {
        for _ in 0..connections {
            let (admitted, refused) = (Arc::clone(&admitted), Arc::clone(&refused));
            scope.spawn(move || {
                let mut client = scene.connect();
                for _ in 0..requests / connections {
                    match client.exchange(&Request::get(TARGET).key(&key.secret)).status {
                        200 => admitted.fetch_add(1, Ordering::SeqCst),
                        429 => refused.fetch_add(1, Ordering::SeqCst),
                        other => panic!("answered {other}"),
                    };
                }
            });
        }
    });
    (admitted.load(Ordering::SeqCst), refused.load(Ordering::SeqCst))
}

fn seconds_to_wait(refused: &Response) -> u64 {
    refused.field("retry-after").expect("a Retry-After").parse().expect("whole seconds")
}

#[test]
fn a_thousand_requests_from_fifty_connections_against_a_quota_of_a_hundred_admit_exactly_a_hundred() {
    let mut scene = Scene::new(Upstream::echo());
    let key = limited(&mut scene, json!({"quotas": [{"requests": 100, "per": "month"}]}));
    assert_eq!(flood(&scene, &key, 50, 1000), (100, 900));
    assert_eq!(scene.upstream.seen().len(), 100);
}

#[test]
fn a_thousand_requests_from_fifty_connections_against_a_rate_of_a_hundred_a_day_admit_exactly_a_hundred() {
    let mut scene = Scene::new(Upstream::echo());
    // The next would be admitted 14 minutes later.
    let key = limited(&mut scene, json!({"rate": {"requests": 100, "per": "day", "burst": 100}}));
    assert_eq!(flood(&scene, &key, 50, 1000), (100, 900));
    assert_eq!(scene.upstream.seen().len(), 100);
}

#[test]
fn neither_a_restart_nor_a_kill_admits_more_of_a_quota() {
    let mut scene = Scene::new(Upstream::echo());
    let key = limited(&mut scene, json!({"quotas": [{"requests": 100, "per": "month"}]}));
    let (mut admitted, _) = flood(&scene, &key, 10, 40);
    assert_eq!(admitted, 40);
    scene.gateway.restart();
    admitted += flood(&scene, &key, 10, 30).0;
    assert_eq!(admitted, 70, "a restart in order gives back what was not used");
    scene.gateway.kill();
    scene.gateway.run();
    admitted += flood(&scene, &key, 10, 200).0;
    assert!((70..=100).contains(&admitted), "{admitted}");
    scene.gateway.kill();
    scene.gateway.run();
    assert_eq!(flood(&scene, &key, 10, 100).0, 0);
    assert_eq!(scene.upstream.seen().len(), admitted);
}

#[test]
fn neither_a_restart_nor_a_kill_admits_more_of_a_rate() {
    let mut scene = Scene::new(Upstream::echo());
    let key = limited(&mut scene, json!({"rate": {"requests": 100, "per": "day", "burst": 100}}));
    assert_eq!(flood(&scene, &key, 10, 100).0, 100);
    scene.gateway.restart();
    assert_eq!(flood(&scene, &key, 10, 100).0, 0, "after a restart");
    scene.gateway.kill();
    scene.gateway.run();
    assert_eq!(flood(&scene, &key, 10, 100).0, 0, "after kill -9");
}

#[test]
fn a_lone_client_that_waits_as_told_is_admitted() {
    let mut scene = Scene::new(Upstream::echo());
    let key = limited(&mut scene, json!({"rate": {"requests": 1, "per": "second", "burst": 1}}));
    let mut client = scene.connect();
    let request = Request::get(TARGET).key(&key.secret);
    assert_eq!(client.exchange(&request).status, 200);
    let refused = client.exchange(&request);
    assert_eq!((refused.status, refused.refusal().as_str()), (429, "rate limit exceeded"));
    let wait_s = seconds_to_wait(&refused);
    assert_eq!(wait_s, 1);
    // The event waited for is the instant that was told.
    let clock = Clock::system();
    let told = clock.now();
    let wait_ns = wait_s * 1_000_000_000;
    eventually("the time to wait has passed", || clock.now().nanos_since(told) >= wait_ns);
    assert_eq!(client.exchange(&request).status, 200);
}

#[test]
fn a_refusal_says_which_limit_and_until_when() {
    let mut scene = Scene::new(Upstream::echo());
    let key = limited(&mut scene, json!({"quotas": [{"requests": 1, "per": "month"}]}));
    let request = Request::get(TARGET).key(&key.secret);
    assert_eq!(scene.exchange(&request).status, 200);
    let refused = scene.exchange(&request);
    assert_eq!((refused.status, refused.refusal().as_str()), (429, "quota exceeded"));
    let wait_s = seconds_to_wait(&refused);
    assert!((1..=31 * 86_400).contains(&wait_s), "{wait_s}");
    assert!(refused.field("ratelimit").unwrap().contains("\"month\";r=0;t="), "{:?}", refused.head);
}

#[test]
fn every_answer_to_a_limited_key_says_what_is_left() {
    let mut scene = Scene::new(Upstream::echo());
    let limits = json!({
        "rate": {"requests": 10, "per": "day", "burst": 5},
        "quotas": [{"requests": 3, "per": "month"}],
    });
    let key = limited(&mut scene, limits);
    let mut client = scene.connect();
    for left in (0..3).rev() {
        let response = client.exchange(&Request::get(TARGET).key(&key.secret));
        assert_eq!(response.status, 200);
        let policy = response.field("ratelimit-policy").unwrap();
        assert!(policy.contains("\"month\";q=3") && policy.contains("\"rate\";q="), "{policy}");
        let standing = response.field("ratelimit").unwrap();
        assert!(standing.contains(&format!("\"month\";r={left}")), "{standing}");
        assert!(standing.contains(&format!("\"rate\";r={}", left + 2)), "{standing}");
    }
    let refused = client.exchange(&Request::get(TARGET).key(&key.secret));
    assert_eq!(refused.status, 429);
    assert!(refused.field("ratelimit").unwrap().contains("\"rate\";r=2"), "refused requests are not charged");
}

#[test]
fn the_upstreams_own_limit_fields_do_not_contradict_the_gateways() {
    let mut scene = Scene::new(Upstream::fixed(
        "HTTP/1.1 200 OK\r\nratelimit: \"theirs\";r=9\r\nratelimit-policy: \"theirs\";q=9\r\ncontent-length: 0\r\n\r\n",
        Next::Request,
    ));
    let key = limited(&mut scene, json!({"quotas": [{"requests": 3, "per": "month"}]}));
    let response = scene.exchange(&Request::get(TARGET).key(&key.secret));
    let ours = response.head.all("ratelimit").into_iter().filter(|value| value.contains("month"));
    assert_eq!(ours.count(), 1);
}

#[test]
fn a_quota_of_nothing_refuses_everything() {
    let mut scene = Scene::new(Upstream::echo());
    let key = limited(&mut scene, json!({"quotas": [{"requests": 0, "per": "day"}]}));
    assert_eq!(scene.exchange(&Request::get(TARGET).key(&key.secret)).status, 429);
    assert_eq!(scene.upstream.seen().len(), 0);
}

#[test]
fn requests_in_flight_are_counted_until_their_bodies_end() {
    let (upstream, release) = Upstream::event_stream();
    let mut scene = Scene::new(upstream);
    let key = limited(&mut scene, json!({"concurrency": 1, "quotas": [{"requests": 10, "per": "month"}]}));
    let request = Request::get(TARGET).key(&key.secret);
    let mut running = scene.connect();
    running.send(request.bytes());
    assert_eq!(running.head().word(1), "200");
    let mut second = scene.connect();
    let refused = second.exchange(&request);
    assert_eq!((refused.status, refused.refusal().as_str()), (429, "too many requests in flight"));
    assert!(seconds_to_wait(&refused) >= 1);
    assert!(refused.field("ratelimit").unwrap().contains("\"month\";r=9"), "not charged: {:?}", refused.head);
    drop(release);
    assert_eq!(running.wire.chunk().unwrap(), b"");
    eventually("the place of the finished request is free", || second.exchange(&request).status == 200);
}

#[test]
fn a_client_that_leaves_gives_its_place_back() {
    let (upstream, _release) = Upstream::event_stream();
    let mut scene = Scene::new(upstream);
    let key = limited(&mut scene, json!({"concurrency": 1}));
    let request = Request::get(TARGET).key(&key.secret);
    let begin = |scene: &Scene| -> Option<Client> {
        let mut client = scene.connect();
        client.send(request.bytes());
        (client.head().word(1) == "200").then_some(client)
    };
    let first = begin(&scene).expect("the first is admitted");
    assert!(begin(&scene).is_none());
    drop(first);
    let mut next = None;
    eventually("the place of a client that left is free", || {
        next = begin(&scene);
        next.is_some()
    });
}

#[test]
fn a_changed_limit_holds_at_once_and_keeps_what_was_used() {
    let mut scene = Scene::new(Upstream::echo());
    let key = limited(&mut scene, json!({"quotas": [{"requests": 5, "per": "month"}]}));
    let mut client = scene.connect();
    let mut status = || client.exchange(&Request::get(TARGET).key(&key.secret)).status;
    assert_eq!([status(), status(), status()], [200, 200, 200]);
    let management = scene.management();
    management.change(&key, json!({"limits": {"quotas": [{"requests": 4, "per": "month"}]}}));
    assert_eq!([status(), status()], [200, 429]);
    management.change(&key, json!({"limits": {"quotas": [{"requests": 6, "per": "month"}]}}));
    assert_eq!([status(), status(), status()], [200, 200, 429]);
}

#[test]
fn limits_come_from_the_key_then_its_organization_then_the_configuration() {
    let mut scene = Scene::with(Upstream::echo(), |settings| {
        settings.key_limits("{ quotas: [{ requests: 3, per: month }] }");
    });
    let management = scene.management();
    management.organization("tight", json!({"limits": {"quotas": [{"requests": 2, "per": "month"}]}}));
    management.agent("tight", "echo");
    let own = json!({"name": "own", "limits": {"quotas": [{"requests": 1, "per": "month"}]}});
    for (organization, fields, allowed) in
        [("acme", json!({"name": "plain"}), 3), ("tight", json!({}), 2), ("tight", own, 1)]
    {
        let key = management.key(organization, fields);
        assert_eq!(flood(&scene, &key, 1, 10), (allowed, 10 - allowed), "{organization}");
    }
}

#[test]
fn usage_tells_what_was_admitted_and_refused() {
    let mut scene = Scene::new(Upstream::echo());
    let key = limited(&mut scene, json!({"quotas": [{"requests": 5, "per": "month"}]}));
    assert_eq!(flood(&scene, &key, 4, 20), (5, 15));
    let management = scene.management();
    let mut usage = Value::Null;
    eventually("usage has settled", || {
        usage = management.usage(&key);
        usage["totals"]
            == json!({"allowed": 5, "denied": 15, "failed": 0,
                "deniedBy": {"rate": 0, "quota": 15, "concurrency": 0, "other": 0}})
    });
    let quota = usage["limits"].as_array().unwrap().iter().find(|limit| limit["kind"] == "quota").unwrap();
    assert_eq!((&quota["used"], &quota["remaining"], &quota["limit"]), (&json!(5), &json!(0), &json!(5)));
    assert_eq!(quota["per"], "month");
    assert!(quota["resetsAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{quota}");
}

#[test]
fn usage_tells_why_requests_were_refused_and_where_admitted_ones_went() {
    let mut scene = Scene::with(Upstream::echo(), |settings| {
        settings.route(r#"name: runs, path: "/runs/{agent}", agent: "{agent}", upstream: echo"#);
        settings.route(r#"path: /plain, upstream: echo"#);
    });
    let rated = limited(&mut scene, json!({"rate": {"requests": 3, "per": "day", "burst": 3}}));
    let counted = limited(&mut scene, json!({"quotas": [{"requests": 4, "per": "month"}]}));
    let (send, by_rate, by_quota) = (
        |key: &Key, target: &str| scene.exchange(&Request::get(target).key(&key.secret)).status,
        json!({"rate": 4, "quota": 0, "concurrency": 0, "other": 2}),
        json!({"rate": 0, "quota": 3, "concurrency": 0, "other": 0}),
    );
    for target in [TARGET, "/runs/clock", "/runs/echo"] {
        assert_eq!(send(&rated, target), 200);
    }
    (0..4).for_each(|_| assert_eq!(send(&rated, TARGET), 429));
    assert_eq!((send(&rated, "/runs/nobody"), send(&rated, "/nowhere")), (403, 404));
    for target in ["/runs/clock", "/plain", "/runs/clock", "/plain"] {
        assert_eq!(send(&counted, target), 200);
    }
    (0..3).for_each(|_| assert_eq!(send(&counted, TARGET), 429));
    let management = scene.management();
    for (key, denied, denied_by, routes, agents) in [
        (
            &rated,
            6,
            by_rate,
            json!([{"route": "runs", "requests": 2}, {"route": "/agents/{agent}/{*rest}", "requests": 1}]),
            json!([{"agent": "echo", "requests": 2}, {"agent": "clock", "requests": 1}]),
        ),
        (
            &counted,
            3,
            by_quota,
            json!([{"route": "/plain", "requests": 2}, {"route": "runs", "requests": 2}]),
            json!([{"agent": "clock", "requests": 2}]),
        ),
    ] {
        let mut usage = Value::Null;
        eventually("usage has settled", || {
            usage = management.usage(key);
            usage["totals"]["denied"] == denied
        });
        assert_eq!(usage["totals"]["deniedBy"], denied_by);
        assert_eq!((&usage["routes"], &usage["agents"]), (&routes, &agents));
    }
}
