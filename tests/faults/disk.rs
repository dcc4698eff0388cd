//! A disk that takes no more: what cannot be kept is refused whole, and the gateway goes on serving.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::management::Key;
use crate::support::{Request, Scene, Upstream};

const TARGET: &str = "/agents/echo/x";

/// Bounds the size of files that the process may write; `unlimited` lifts the bound.
fn bound_files(scene: &Scene, bytes: &str) {
    let pid = scene.gateway.pid().to_string();
    let status =
        Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status().unwrap();
    assert!(status.success());
}

fn listed(scene: &mut Scene) -> usize {
    scene.management().get("/organizations/acme/keys")["items"].as_array().unwrap().len()
}

#[test]
fn a_key_that_cannot_be_kept_is_refused_and_the_gateway_goes_on() {
    let mut scene = Scene::with(Upstream::echo(), |settings| {
        settings.keys_per_organization(100);
    });
    let before = listed(&mut scene);
    let management = scene.management();
    // No file may grow at all: as a full disk, which a test cannot have.
    bound_files(&scene, "0");
    let body = json!({"name": "no room", "scope": {"type": "organization"}});
    let mut refused = Vec::new();
    for _ in 0..5 {
        let (status, answer) = management.call("POST", "/organizations/acme/keys", Some(&body));
        assert_eq!(answer["secret"], Value::Null, "{status}: {answer}");
        refused.push(status);
        assert_eq!(scene.exchange(&scene.get(TARGET)).status, 200, "a key that is there passes");
        assert_eq!(scene.exchange(&Request::get(TARGET)).status, 401);
    }
    assert!(refused.iter().all(|status| [503, 507].contains(status)), "{refused:?}");
    bound_files(&scene, "unlimited");
    assert_eq!(listed(&mut scene), before, "nothing half made");
    let key: Key = management.key("acme", json!({"name": "room again"}));
    assert_eq!(scene.exchange(&Request::get(TARGET).key(&key.secret)).status, 200);
    scene.gateway.restart();
    assert_eq!(scene.exchange(&Request::get(TARGET).key(&key.secret)).status, 200);
    assert_eq!(listed(&mut scene), before + 1);
}
