//! Endpoints that refuse connections: 502 where there is no other, the next one where there is.

use crate::support::upstream::Refusing;
use crate::support::{Next, Request, Scene, Upstream};

const TARGET: &str = "/agents/echo/x";
const AGENTS: &str = crate::support::scene::AGENTS_ROUTE;

#[test]
fn an_upstream_that_refuses_is_a_bad_gateway_and_the_client_may_go_on() {
    let refusing = Refusing::new();
    let working = Upstream::echo();
    let working_url = working.url();
    let scene = Scene::configured(working, |settings| {
        settings
            .upstream("echo", &[refusing.url()], "")
            .upstream("working", &[working_url], "")
            .route(AGENTS)
            .route("path: /working, upstream: working");
    });
    let mut client = scene.connect();
    for _ in 0..3 {
        let response = client.exchange(&scene.get(TARGET));
        assert_eq!((response.status, response.refusal().as_str()), (502, "bad gateway"));
    }
    assert_eq!(client.exchange(&scene.get("/working")).status, 200);
}

#[test]
fn an_endpoint_that_refuses_does_not_fail_requests_that_another_can_take() {
    let refusing = Refusing::new();
    let working = Upstream::echo();
    let urls = [refusing.url(), working.url()];
    let scene = Scene::configured(working, |settings| {
        settings.upstream("echo", &urls, "").route(AGENTS);
    });
    for number in 0..20 {
        // Nothing was sent to the endpoint that refused, so even a POST goes to the other.
        let response = scene.exchange(&scene.post(TARGET, "body"));
        assert_eq!(response.status, 200, "request {number}");
    }
    assert_eq!(scene.upstream.seen().len(), 20);
}

#[test]
fn a_request_with_a_body_is_never_sent_twice() {
    let scene = Scene::with(Upstream::start(|_| Next::Close), |settings| {
        settings.gateway("workers: 1");
    });
    assert_eq!(scene.exchange(&scene.post(TARGET, "pay once")).status, 502);
    assert_eq!(scene.upstream.seen().len(), 1);
    let empty = Request::new("POST", TARGET).key(&scene.key.secret);
    assert_eq!(scene.exchange(&empty).status, 502);
    assert_eq!(scene.upstream.seen().len(), 2, "POST is not idempotent");
}

#[test]
fn requests_that_keep_failing_are_not_multiplied_by_retries() {
    let scene = Scene::new(Upstream::start(|_| Next::Close));
    for _ in 0..50 {
        assert_eq!(scene.exchange(&scene.get(TARGET)).status, 502);
    }
    let tries = scene.upstream.seen().len();
    assert!((50..=100).contains(&tries), "{tries} tries for 50 requests");
}
