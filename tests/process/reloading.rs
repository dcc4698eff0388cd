//! SIGHUP: a changed configuration is taken over whole or not at all, without dropping a connection or a count (G8).

use std::fs;

use crate::support::{Gateway, Request, Scene, Upstream, eventually};

fn generation(gateway: &Gateway) -> u64 {
    gateway.ops("/readyz").json()["generation"].as_u64().unwrap()
}

/// Rewrites the configuration and asks for it to be read again.
fn reconfigure(gateway: &Gateway, change: impl Fn(String) -> String) {
    let text = fs::read_to_string(gateway.config()).unwrap();
    fs::write(gateway.config(), change(text)).unwrap();
    gateway.signal("HUP");
}

#[test]
fn new_routes_and_limits_hold_on_connections_that_were_open_before_and_counts_stay() {
    let scene = Scene::with(Upstream::echo(), |settings| {
        settings.key_limits("{ rate: none, concurrency: none, quotas: [{ requests: 5, per: day }] }");
    });
    let mut client = scene.connect();
    assert_eq!(client.exchange(&scene.get("/agents/echo/x")).status, 200);
    assert_eq!(client.exchange(&scene.get("/fresh")).status, 404);
    assert_eq!(generation(&scene.gateway), 1);

    reconfigure(&scene.gateway, |text| {
        let text = text.replace("requests: 5, per: day", "requests: 3, per: day");
        text.replace("routes:\n", "routes:\n  - { path: /fresh, agent: echo, upstream: echo }\n")
    });
    eventually("the new generation runs", || generation(&scene.gateway) == 2);
    assert!(scene.gateway.metric("keystile_configuration_generation", &[]) > 1.5);
    assert_eq!(client.exchange(&scene.get("/fresh")).status, 200);
    assert_eq!(client.exchange(&scene.get("/fresh")).status, 200);
    let refused = client.exchange(&scene.get("/fresh"));
    assert_eq!((refused.status, refused.refusal().as_str()), (429, "quota exceeded"));
}

#[test]
fn a_configuration_with_problems_or_one_that_needs_a_restart_changes_nothing() {
    let scene = Scene::new(Upstream::echo());
    reconfigure(&scene.gateway, |text| format!("{text}\nnonsense: 1\n"));
    eventually("the problem is told", || scene.gateway.logs().contains("unknown field `nonsense`"));
    reconfigure(&scene.gateway, |text| {
        let text = text.replace("\nnonsense: 1\n", "\nkeys: { prefix: other }\n");
        text.replace("routes:\n", "routes:\n  - { path: /fresh, agent: echo, upstream: echo }\n")
    });
    eventually("the setting is named", || {
        scene.gateway.logs().contains("keys.prefix can change only by a restart; nothing was changed")
    });
    assert_eq!(generation(&scene.gateway), 1);
    assert_eq!(scene.exchange(&scene.get("/fresh")).status, 404);
    assert_eq!(scene.exchange(&scene.get("/agents/echo/x")).status, 200);
    assert_eq!(scene.exchange(&Request::get("/agents/echo/x")).status, 401);
}
