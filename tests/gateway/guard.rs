//! A client address that keeps failing is held off; a key is never locked out by others' failures.

use crate::support::{Request, Scene, Upstream, unknown_key};

const TARGET: &str = "/agents/echo/x";

fn guarded() -> Scene {
    Scene::with(Upstream::echo(), |settings| {
        settings.guard("5");
    })
}

/// Fails from this address until it is held off, and returns that refusal.
fn fail_until_held_off(scene: &Scene, forwarded_for: Option<&str>) -> crate::support::Response {
    for attempt in 0..50 {
        let mut request = Request::get(TARGET).key(&unknown_key());
        if let Some(client) = forwarded_for {
            request = request.field("x-forwarded-for", client);
        }
        let response = scene.exchange(&request);
        if response.status == 429 {
            assert!(attempt >= 5, "held off after {attempt} failures");
            return response;
        }
        assert_eq!(response.status, 401);
    }
    panic!("fifty failures and still asked");
}

#[test]
fn an_address_that_keeps_failing_is_held_off_and_told_for_how_long() {
    let scene = guarded();
    let refused = fail_until_held_off(&scene, None);
    assert_eq!(refused.refusal(), "too many failed attempts");
    let wait_s: u64 = refused.field("retry-after").expect("a Retry-After").parse().unwrap();
    assert!((1..=120).contains(&wait_s), "{wait_s}");
    assert_eq!(scene.exchange(&Request::get(TARGET)).status, 429, "no key counts as a failure too");
}

#[test]
fn a_good_key_passes_from_an_address_that_is_held_off() {
    let scene = guarded();
    fail_until_held_off(&scene, None);
    let mut client = scene.connect();
    for _ in 0..10 {
        assert_eq!(client.exchange(&scene.get(TARGET)).status, 200);
    }
}

#[test]
fn good_requests_and_refusals_of_good_keys_are_no_failures() {
    let scene = guarded();
    for _ in 0..20 {
        assert_eq!(scene.exchange(&scene.get(TARGET)).status, 200);
        assert_eq!(scene.exchange(&scene.get("/agents/nobody/x")).status, 403);
        assert_eq!(scene.exchange(&scene.get("/nowhere")).status, 404);
    }
    assert_eq!(scene.exchange(&Request::get(TARGET)).status, 401);
}

#[test]
fn behind_a_trusted_proxy_only_the_failing_client_is_held_off() {
    let scene = Scene::with(Upstream::echo(), |settings| {
        settings.guard("5").gateway("trusted_proxies: [127.0.0.0/8]");
    });
    let from = |client: &str| {
        scene.exchange(&Request::get(TARGET).key(&unknown_key()).field("x-forwarded-for", client)).status
    };
    fail_until_held_off(&scene, Some("192.0.2.1"));
    assert_eq!(from("192.0.2.1"), 429);
    assert_eq!(from("192.0.2.2"), 401);
    fail_until_held_off(&scene, Some("2001:db8:1:2::1"));
    assert_eq!(from("2001:db8:1:2:ffff::9"), 429, "an IPv6 client has its whole /64");
    assert_eq!(from("2001:db8:1:3::1"), 401);
}

#[test]
fn a_client_cannot_put_its_failures_on_another_address() {
    let scene = guarded();
    for number in 0..10 {
        let spoofed = format!("192.0.2.{number}");
        scene.exchange(&Request::get(TARGET).key(&unknown_key()).field("x-forwarded-for", &spoofed));
    }
    assert_eq!(scene.exchange(&Request::get(TARGET)).status, 429);
}

#[test]
fn without_a_guard_every_failure_is_a_401() {
    let scene = Scene::new(Upstream::echo());
    for _ in 0..200 {
        assert_eq!(scene.exchange(&Request::get(TARGET).key(&unknown_key())).status, 401);
    }
}
