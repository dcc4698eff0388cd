//! Redis flushed, restarted, read-only, full, forbidden or slow in mid-traffic: good keys are never told that they are
//! not, deleted ones never come back, limits are not exceeded, and everything recovers by itself.

use std::time::Duration;

use serde_json::json;

use crate::support::eventually;
use crate::support::fault_proxy::Fault;
use crate::support::fleet::{Fleet, Plan};
use crate::support::judge::expect_none;
use crate::support::management::Key;
use crate::support::redis::RedisServer;
use crate::support::traffic::{CALM, Traffic};

const CUT_WITHIN: Duration = Duration::from_secs(2);
const QUOTA: usize = 2000;

/// A fleet in use: one key without a narrow limit, one with a quota, one that was deleted; clients of all three.
struct Scene {
    fleet: Fleet,
    good: Key,
    limited: Key,
    deleted: Key,
    traffic: Traffic,
}

fn in_use(plan: Plan) -> Scene {
    let mut fleet = plan.start();
    let (good, deleted) = (fleet.key(json!({})), fleet.key(json!({})));
    let limited = fleet.key(json!({"limits": {"quotas": [{"requests": QUOTA, "per": "month"}]}}));
    let management = fleet.management();
    let (status, answer) = fleet.log.delete(&management, &deleted);
    assert_eq!(status, 200, "{answer}");
    let mut traffic = Traffic::everywhere(&fleet, &good, CALM);
    for gateway in 0..2 {
        traffic.client(&fleet, gateway, &deleted, CALM);
        traffic.client(&fleet, gateway, &limited, CALM);
    }
    let scene = Scene { fleet, good, limited, deleted, traffic };
    scene.until_told_apart();
    scene
}

impl Scene {
    /// Each gateway has served after now, whatever it thinks of keys that it does not know.
    fn until_served(&self) {
        self.until_answered_with(&[200]);
    }

    /// Each gateway has served the good key and refused the deleted one after now.
    fn until_told_apart(&self) {
        self.until_answered_with(&[200, 401]);
    }

    fn until_answered_with(&self, statuses: &[u16]) {
        let since = self.fleet.log.at();
        for gateway in 0..2 {
            for status in statuses {
                eventually("every gateway answers so", || {
                    self.fleet.log.answered_by(gateway, *status, since) >= 5
                });
            }
        }
    }

    /// All works again: creations, changes and deletions reach every gateway.
    fn until_recovered(&mut self) {
        self.fleet.until_trusted();
        self.until_told_apart();
        let fresh = self.fleet.key(json!({}));
        let management = self.fleet.management();
        let (status, answer) = self.fleet.log.delete(&management, &fresh);
        assert!([200, 202].contains(&status), "{answer}");
        for gateway in 0..2 {
            self.fleet.until_answered(gateway, &fresh, 401);
        }
        eventually("deletions are complete at once again", || {
            let key = self.fleet.new_key(json!({}));
            self.fleet.log.delete(&management, &key).0 == 200
        });
    }

    /// A deletion while Redis does not do its work: nothing untrue is said.
    fn delete_in_vain(&mut self) -> Key {
        let key = self.fleet.new_key(json!({}));
        let management = self.fleet.management();
        let (status, answer) = self.fleet.log.delete(&management, &key);
        assert_eq!((status, &answer["revocation"]["state"]), (202, &json!("pending")), "{answer}");
        key
    }

    fn close(self) {
        self.traffic.stop();
        let history = self.fleet.history();
        expect_none(&history.revocation_breaches(CUT_WITHIN));
        expect_none(&history.wrong_refusals());
        expect_none(&history.total_breaches(&self.limited.id, QUOTA));
        assert_eq!(history.admitted_count(&self.deleted.id), 0);
        assert!(history.admitted_count(&self.good.id) > 0);
    }
}

#[test]
fn a_flushed_redis_is_filled_again_and_nothing_comes_back_or_is_refused_wrongly() {
    let redis = RedisServer::start();
    let mut scene = in_use(Plan::around(&redis.address()));
    for _ in 0..2 {
        redis.command(&["FLUSHALL"]);
        scene.until_recovered();
    }
    scene.close();
}

#[test]
fn a_redis_that_lost_everything_in_a_restart_is_filled_again() {
    let mut redis = RedisServer::start();
    let mut scene = in_use(Plan::around(&redis.address()));
    redis.kill();
    scene.until_served();
    redis.restart();
    scene.until_recovered();
    scene.close();
}

#[test]
fn a_redis_that_comes_back_with_old_contents_is_not_believed() {
    let mut redis = RedisServer::with(&[("appendonly", "yes"), ("appendfsync", "always")]);
    let mut scene = in_use(Plan::around(&redis.address()));
    redis.kill();
    scene.until_served();
    // Deleted while nobody could hear it: what Redis brings back still holds the key.
    let unheard = scene.delete_in_vain();
    redis.restart();
    for gateway in 0..2 {
        scene.fleet.until_answered(gateway, &unheard, 401);
    }
    scene.until_recovered();
    scene.close();
}

#[test]
fn a_redis_that_takes_no_writes_stops_changes_and_nothing_else() {
    let redis = RedisServer::start();
    let mut scene = in_use(Plan::around(&redis.address()));
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let unheard = scene.delete_in_vain();
    scene.until_served();
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    for gateway in 0..2 {
        scene.fleet.until_answered(gateway, &unheard, 401);
    }
    scene.until_recovered();
    scene.close();
}

#[test]
fn a_full_redis_stops_changes_and_nothing_else() {
    let redis = RedisServer::start();
    let mut scene = in_use(Plan::around(&redis.address()));
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let unheard = scene.delete_in_vain();
    scene.until_served();
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    for gateway in 0..2 {
        scene.fleet.until_answered(gateway, &unheard, 401);
    }
    scene.until_recovered();
    scene.close();
}

#[test]
fn rights_that_are_taken_away_stop_changes_and_nothing_else() {
    let redis = RedisServer::start();
    redis.command(&["ACL", "SETUSER", "fleet", "on", ">secret", "~*", "&*", "+@all"]);
    let mut scene = in_use(with_user(Plan::around(&redis.address())));
    redis.command(&["ACL", "SETUSER", "fleet", "-@scripting"]);
    let unheard = scene.delete_in_vain();
    scene.until_served();
    redis.command(&["ACL", "SETUSER", "fleet", "+@all"]);
    for gateway in 0..2 {
        scene.fleet.until_answered(gateway, &unheard, 401);
    }
    scene.until_recovered();
    scene.close();
}

fn with_user(plan: Plan) -> Plan {
    plan.user("fleet").line("password: secret")
}

#[test]
fn a_wrong_password_is_told_and_never_shown() {
    let redis = RedisServer::start();
    redis.command(&["ACL", "SETUSER", "fleet", "on", ">right", "~*", "&*", "+@all"]);
    let mut fleet = Plan::around(&redis.address()).gateways(0).user("fleet").line("password: right").start();
    let member = fleet.add_listening(|plan| plan.instead("password: right", "password: a-wrong-one"));
    let logs = || fleet.gateways[member].process.logs();
    eventually("the log says what is wrong", || logs().contains("Redis"));
    assert!(!fleet.gateways[member].is_ready(), "it has no table");
    assert!(!logs().contains("a-wrong-one"), "the password stands in the log");
}

#[test]
fn a_slow_redis_makes_no_request_slow_or_wrong() {
    let redis = RedisServer::start();
    let mut scene = in_use(Plan::around(&redis.address()).trust("4s"));
    for gateway in 0..2 {
        scene.fleet.link(gateway).set(Fault::Delay(Duration::from_millis(100)));
    }
    scene.until_served();
    let key = scene.fleet.key(json!({}));
    let management = scene.fleet.management();
    let (status, answer) = scene.fleet.log.delete(&management, &key);
    assert_eq!(status, 200, "{answer}");
    let trickle = Fault::Trickle { bytes: 200, pause: Duration::from_millis(1) };
    scene.fleet.link(0).set(trickle);
    scene.fleet.link(1).heal();
    scene.until_recovered();
    scene.close();
}

#[test]
fn a_link_that_breaks_again_and_again_costs_nothing_but_time() {
    let redis = RedisServer::start();
    let mut scene = in_use(Plan::around(&redis.address()));
    for round in 0..6 {
        let faults = [Fault::Refuse, Fault::Blackhole, Fault::Pass];
        scene.fleet.link(round % 2).set(faults[round % 3]);
        scene.fleet.link((round + 1) % 2).cut();
        scene.fleet.consoles[0].link().cut();
        scene.until_served();
    }
    for gateway in 0..2 {
        scene.fleet.link(gateway).heal();
    }
    scene.until_recovered();
    scene.close();
}
