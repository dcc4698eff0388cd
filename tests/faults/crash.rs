//! kill -9 at any instant: every acknowledged creation is there, every acknowledged deletion holds, and no counter
//! shows less than was admitted (G10).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::support::management::{Key, Management};
use crate::support::{Client, Request, Scene, Upstream, eventually};

const TARGET: &str = "/agents/echo/x";
const KILLS: u64 = 100;
const QUOTA: u64 = 1_000_000;

/// What was acknowledged, over all kills.
#[derive(Default)]
struct Acknowledged {
    /// By id: the key, and whether its deletion was acknowledged (`None`: asked for, and no answer came).
    keys: BTreeMap<String, (Key, Option<bool>)>,
}

/// Creates keys and deletes every other one until the process is gone.
fn create_and_delete(management: &Management, acknowledged: &mut Acknowledged, progress: &AtomicU64) {
    for number in 0_u64.. {
        let body = json!({"name": "short-lived", "scope": {"type": "organization"}});
        let Ok((201, answer)) = management.try_call("POST", "/organizations/acme/keys", Some(&body)) else {
            return;
        };
        let id = answer["key"]["id"].as_str().unwrap().to_owned();
        let path = format!("/organizations/acme/keys/{id}");
        let key = Key { id: id.clone(), secret: answer["secret"].as_str().unwrap().to_owned(), path };
        acknowledged.keys.insert(id.clone(), (key.clone(), Some(false)));
        progress.fetch_add(1, Ordering::SeqCst);
        if number % 2 == 0 {
            acknowledged.keys.insert(id.clone(), (key.clone(), None));
            let Ok((200, _)) = management.try_call("DELETE", &key.path, None) else { return };
            acknowledged.keys.insert(id, (key, Some(true)));
            progress.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Sends requests until the process is gone; returns how many were admitted.
fn count(mut client: Client, secret: &str, progress: &AtomicU64) -> u64 {
    let request = Request::get(TARGET).key(secret).bytes();
    let mut admitted = 0;
    while client.wire.send(&request).is_ok() {
        let Ok(response) = client.try_response_to("GET") else { break };
        assert_eq!(response.status, 200);
        admitted += 1;
        progress.fetch_add(1, Ordering::SeqCst);
    }
    admitted
}

fn requests(most_used: &Value) -> u64 {
    most_used.as_array().unwrap().iter().map(|each| each["requests"].as_u64().unwrap()).sum()
}

fn check(scene: &mut Scene, keys: &BTreeMap<String, (Key, Option<bool>)>) {
    let management = scene.management();
    let mut client = scene.connect();
    for (key, deleted) in keys.values() {
        let (status, _) = management.call("GET", &key.path, None);
        let passes = client.exchange(&Request::get(TARGET).key(&key.secret)).status;
        let expected: &[(u16, u16)] = match deleted {
            Some(true) => &[(404, 401)],
            Some(false) => &[(200, 200)],
            None => &[(404, 401), (200, 200)],
        };
        assert!(expected.contains(&(status, passes)), "{}: {deleted:?}, {status}, {passes}", key.id);
    }
}

#[test]
fn a_hundred_kills_lose_nothing_that_was_acknowledged_and_forget_nothing_that_was_admitted() {
    let mut scene = Scene::with(Upstream::echo(), |settings| {
        settings.keys_per_organization(100_000);
    });
    let limits = json!({"quotas": [{"requests": QUOTA, "per": "month"}]});
    let counted = scene.management().key("acme", json!({"name": "counted", "limits": limits}));
    let mut all = Acknowledged::default();
    let mut admitted = 0;
    for kill in 0..KILLS {
        let management = scene.management();
        let client = scene.connect();
        let progress = AtomicU64::new(0);
        let mut fresh = Acknowledged::default();
        std::thread::scope(|scope| {
            let changes = scope.spawn(|| create_and_delete(&management, &mut fresh, &progress));
            let counts = scope.spawn(|| count(client, &counted.secret, &progress));
            // Another instant each time: after so many steps of either kind.
            while progress.load(Ordering::SeqCst) < kill * 7 % 97 {
                std::thread::yield_now();
            }
            scene.gateway.kill();
            changes.join().unwrap();
            admitted += counts.join().unwrap();
        });
        scene.gateway.run();
        check(&mut scene, &fresh.keys);
        let usage = scene.management().usage(&counted);
        let quota =
            usage["limits"].as_array().unwrap().iter().find(|limit| limit["kind"] == "quota").unwrap();
        let used = quota["used"].as_u64().unwrap();
        assert!(used >= admitted, "kill {kill}: {used} used, {admitted} admitted");
        // After a kill some are known by their key alone; routes never add up to more than it.
        let by_route: u64 = requests(&usage["routes"]);
        let of_key =
            usage["totals"]["allowed"].as_u64().unwrap() + usage["totals"]["failed"].as_u64().unwrap();
        assert!(by_route <= of_key, "kill {kill}: {by_route} by route, {of_key} in all");
        assert_eq!(by_route, requests(&usage["agents"]), "kill {kill}");
        all.keys.append(&mut fresh.keys);
    }
    check(&mut scene, &all.keys);
    let management = scene.management();
    let before = requests(&management.usage(&counted)["routes"]);
    assert_eq!(scene.connect().exchange(&Request::get(TARGET).key(&counted.secret)).status, 200);
    eventually("routes are counted on", || requests(&management.usage(&counted)["routes"]) == before + 1);
}
