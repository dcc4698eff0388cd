//! A fleet where nothing is broken: what the console says holds on every gateway.

use std::time::Duration;

use serde_json::json;

use crate::support::fleet::Plan;
use crate::support::judge::expect_none;
use crate::support::redis::RedisServer;
use crate::support::traffic::{CALM, EAGER, Running, Traffic};
use crate::support::{Client, Request, eventually, history::Log};

/// How long after the answer a running response may take to end on a machine that is busy with other tests.
const CUT_WITHIN: Duration = Duration::from_secs(2);

/// Waits until each of so many gateways has answered 200 so often since `since`.
fn until_served(log: &Log, gateways: usize, times: usize, since: u64) {
    for gateway in 0..gateways {
        eventually("every gateway serves", || log.answered_by(gateway, 200, since) >= times);
    }
}

#[test]
fn a_revoked_key_is_refused_on_every_gateway_before_delete_answers() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).gateways(3).start();
    let management = fleet.management();
    for _ in 0..5 {
        let key = fleet.key(json!({}));
        let since = fleet.log.at();
        let traffic = Traffic::everywhere(&fleet, &key, EAGER);
        until_served(&fleet.log, 3, 10, since);
        let (status, answer) = fleet.log.delete(&management, &key);
        assert_eq!(status, 200, "{answer}");
        let revocation = &answer["revocation"];
        assert_eq!((&revocation["gateways"], &revocation["confirmed"]), (&json!(3), &json!(3)), "{answer}");
        assert_eq!(revocation["awaiting"], json!([]), "{answer}");
        let after = fleet.log.at();
        for gateway in 0..3 {
            eventually("every gateway refuses", || fleet.log.answered_by(gateway, 401, after) >= 10);
        }
        traffic.stop();
    }
    expect_none(&fleet.history().revocation_breaches(CUT_WITHIN));
    expect_none(&fleet.history().wrong_refusals());
}

#[test]
fn what_a_deleted_key_had_running_ends_on_every_gateway() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).start();
    let (deleted, other) = (fleet.key(json!({})), fleet.key(json!({})));
    let mut streams = Vec::new();
    let mut sockets = Vec::new();
    for gateway in 0..2 {
        streams.push(Running::stream(&fleet, gateway, &deleted).unwrap());
        sockets.push(Running::socket(&fleet, gateway, &deleted).unwrap());
    }
    let goes_on = Running::stream(&fleet, 0, &other).unwrap();
    let management = fleet.management();
    let (status, answer) = fleet.log.delete(&management, &deleted);
    assert_eq!(status, 200, "{answer}");
    for stream in streams {
        let last = stream.last_words();
        assert!(!last.ends_with(b"0\r\n\r\n"), "a stream that is cut never looks whole");
    }
    for socket in sockets {
        // Final, close, two bytes or more, status 1008: "policy violation" (RFC 6455, section 7.4.1).
        let last = socket.last_words();
        assert!(last.len() >= 4 && last[0] == 0x88 && last[2..4] == [0x03, 0xf0], "{last:?}");
    }
    expect_none(&fleet.history().revocation_breaches(CUT_WITHIN));
    assert_eq!(fleet.log.running(), 1, "what other keys have running goes on");
    assert_eq!(fleet.ask(0, &other), 200);
    fleet.kill_gateway(0);
    goes_on.last_words();
}

#[test]
fn a_created_key_opens_every_gateway_and_every_change_of_it_arrives() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).gateways(3).start();
    let management = fleet.management();
    let key = fleet.key(json!({}));
    let all = |status: u16| {
        for gateway in 0..3 {
            fleet.until_answered(gateway, &key, status);
        }
    };
    all(200);
    management.change(&key, json!({"disabled": true}));
    all(401);
    management.change(&key, json!({"disabled": false}));
    all(200);
    management.change(&key, json!({"limits": {"quotas": [{"requests": 1, "per": "month"}]}}));
    all(429);
    management.change(&key, json!({"limits": {"quotas": [{"requests": 1_000_000, "per": "month"}]}}));
    all(200);
    let soon = keystile::domain::clock::Clock::system().now().unix.plus(Duration::from_secs(2));
    management.change(&key, json!({"expiresAt": soon.to_rfc3339()}));
    all(401);
}

#[test]
fn disabling_a_key_cuts_what_it_has_running_on_every_gateway() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).start();
    let key = fleet.key(json!({}));
    let streams: Vec<_> = (0..2).map(|gateway| Running::stream(&fleet, gateway, &key).unwrap()).collect();
    fleet.management().change(&key, json!({"disabled": true}));
    eventually("the streams end", || fleet.log.running() == 0);
    streams.into_iter().for_each(|stream| drop(stream.last_words()));
}

#[test]
fn usage_is_what_clients_saw_once_it_has_settled() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).gateways(3).start();
    let free = fleet.key(json!({}));
    let limited = fleet.key(json!({"limits": {"quotas": [{"requests": 100, "per": "month"}]}}));
    let mut traffic = Traffic::everywhere(&fleet, &free, CALM);
    for (gateway, pause) in [(0, EAGER), (0, EAGER), (1, CALM), (2, CALM)] {
        traffic.client(&fleet, gateway, &limited, pause);
    }
    eventually("the quota is used up", || fleet.log.answered(429) >= 50);
    eventually("the other key is used", || fleet.log.answered(200) >= 500);
    traffic.stop();
    let history = fleet.history();
    for key in [&free, &limited] {
        fleet.until_settled(&history, key);
    }
    expect_none(&history.total_breaches(&limited.id, 100));
    assert_eq!(history.admitted_count(&limited.id), 100, "all of it can be used");
    expect_none(&history.wrong_refusals());
}

#[test]
fn a_new_gateway_serves_at_once_what_others_serve() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).gateways(1).start();
    let (kept, deleted) = (fleet.key(json!({})), fleet.key(json!({})));
    let management = fleet.management();
    assert_eq!(fleet.log.delete(&management, &deleted).0, 200);
    let newcomer = fleet.add_gateway();
    assert_eq!(fleet.ask(newcomer, &kept), 200);
    fleet.expect_refused(&deleted);
    let (_, answer) = fleet.log.delete(&management, &kept);
    assert_eq!(answer["revocation"]["confirmed"], json!(2), "{answer}");
    fleet.expect_refused(&kept);
}

#[test]
fn a_process_that_is_both_is_one_gateway_among_others() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).serving().gateways(1).start();
    let key = fleet.key(json!({"limits": {"quotas": [{"requests": 10, "per": "month"}]}}));
    let both = fleet.consoles[0].process.address();
    let ask = || Client::connect(both).exchange(&Request::get("/agents/echo/x").key(&key.secret)).status;
    eventually("the key opens it", || ask() == 200);
    fleet.until_answered(0, &key, 429);
    eventually("the quota is one for both", || ask() == 429);
    assert_eq!(fleet.upstream.seen().len(), 10);
    let management = fleet.management();
    let (status, answer) = fleet.log.delete(&management, &key);
    assert_eq!((status, &answer["revocation"]["confirmed"]), (200, &json!(2)), "{answer}");
    fleet.expect_refused(&key);
    assert_eq!(ask(), 401);
}
