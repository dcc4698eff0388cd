//! Deleting a key while gateways are dead, stand still, or cannot be reached: the answer tells the truth, and it holds.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::fault_proxy::{Direction, Fault};
use crate::support::fleet::{Fleet, Plan};
use crate::support::judge::expect_none;
use crate::support::management::Key;
use crate::support::redis::RedisServer;
use crate::support::traffic::{CALM, Running, Traffic};

/// How long after the promise a running response may take to end on a machine that is busy with other tests.
const CUT_WITHIN: Duration = Duration::from_secs(2);

/// Traffic with a key on both gateways, which have each answered some of it.
fn hammered(fleet: &mut Fleet) -> (Key, Traffic) {
    let key = fleet.key(json!({}));
    let since = fleet.log.at();
    let traffic = Traffic::everywhere(fleet, &key, CALM);
    for gateway in fleet.running() {
        eventually("every gateway serves", || fleet.log.answered_by(gateway, 200, since) >= 5);
    }
    (key, traffic)
}

fn delete(fleet: &mut Fleet, key: &Key) -> (u16, Value) {
    let management = fleet.management();
    fleet.log.delete(&management, key)
}

/// The answer names these gateways and an instant.
fn expect_pending(status: u16, answer: &Value, awaited: &[&str]) {
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["revocation"]["state"], "pending", "{answer}");
    assert_eq!(answer["revocation"]["awaiting"], json!(awaited), "{answer}");
    assert!(answer["revocation"]["effectiveBy"].is_string(), "{answer}");
}

fn expect_kept(fleet: &Fleet) {
    let history = fleet.history();
    expect_none(&history.revocation_breaches(CUT_WITHIN));
    expect_none(&history.wrong_refusals());
}

/// Waits until a gateway has refused the key so often after now.
fn until_refused(fleet: &Fleet, gateway: usize) {
    let since = fleet.log.at();
    eventually("the gateway refuses the key", || fleet.log.answered_by(gateway, 401, since) >= 3);
}

#[test]
fn a_killed_gateway_delays_the_answer_by_no_more_than_its_trust() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).refuse().start();
    let (key, traffic) = hammered(&mut fleet);
    fleet.kill_gateway(1);
    let (status, answer) = delete(&mut fleet, &key);
    assert_eq!((status, &answer["revocation"]["state"]), (200, &json!("complete")), "{answer}");
    until_refused(&fleet, 0);
    fleet.revive_gateway(1);
    until_refused(&fleet, 1);
    traffic.stop();
    expect_kept(&fleet);
}

#[test]
fn a_killed_gateway_that_might_serve_on_is_named_until_it_cannot() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).serve_for("3s").start();
    let (key, traffic) = hammered(&mut fleet);
    fleet.kill_gateway(1);
    let (status, answer) = delete(&mut fleet, &key);
    expect_pending(status, &answer, &["gateway-1"]);
    until_refused(&fleet, 0);
    traffic.stop();
    expect_kept(&fleet);
    eventually("a killed gateway is forgotten once it cannot serve", || {
        let key = fleet.key(json!({}));
        delete(&mut fleet, &key).0 == 200
    });
}

#[test]
fn a_gateway_that_stood_still_admits_nothing_when_it_goes_on() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).refuse().start();
    let (key, traffic) = hammered(&mut fleet);
    let stream = Running::stream(&fleet, 1, &key).unwrap();
    fleet.freeze_gateway(1);
    let (status, answer) = delete(&mut fleet, &key);
    // Its process cannot cut anything while it stands; it does so before it admits anything again.
    assert_eq!(status, 200, "{answer}");
    fleet.thaw_gateway(1);
    until_refused(&fleet, 1);
    stream.last_words();
    traffic.stop();
    let mut history = fleet.history();
    // What stood with it ends after it goes on, which is later than the bound for others.
    history.runs.clear();
    expect_none(&history.revocation_breaches(CUT_WITHIN));
    expect_none(&history.wrong_refusals());
}

#[test]
fn a_gateway_that_stands_still_and_may_serve_on_is_named() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).serve_for("10m").start();
    let (key, traffic) = hammered(&mut fleet);
    fleet.freeze_gateway(1);
    let (status, answer) = delete(&mut fleet, &key);
    expect_pending(status, &answer, &["gateway-1"]);
    fleet.thaw_gateway(1);
    until_refused(&fleet, 1);
    traffic.stop();
    expect_kept(&fleet);
}

#[test]
fn a_gateway_cut_off_from_redis_refuses_with_503_once_its_trust_has_run_out() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).refuse().start();
    let other = fleet.key(json!({}));
    let (key, traffic) = hammered(&mut fleet);
    let stream = Running::stream(&fleet, 1, &key).unwrap();
    fleet.link(1).set(Fault::Blackhole);
    let (status, answer) = delete(&mut fleet, &key);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(fleet.ask(1, &other), 503, "unavailable is no verdict on a key");
    stream.last_words();
    fleet.until_answered(0, &other, 200);
    fleet.link(1).heal();
    fleet.until_answered(1, &other, 200);
    until_refused(&fleet, 1);
    traffic.stop();
    expect_kept(&fleet);
}

#[test]
fn a_gateway_cut_off_from_redis_serves_on_where_it_may_and_is_named() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).serve_for("10m").start();
    let (key, traffic) = hammered(&mut fleet);
    fleet.link(1).set(Fault::Blackhole);
    let (status, answer) = delete(&mut fleet, &key);
    expect_pending(status, &answer, &["gateway-1"]);
    let since = fleet.log.at();
    eventually("it serves on", || fleet.log.answered_by(1, 200, since) >= 3);
    // A key that was created meanwhile is not known there, and nobody is told that it is not a key.
    let unknown_there = fleet.new_key(json!({}));
    fleet.until_answered(1, &unknown_there, 503);
    fleet.link(1).heal();
    until_refused(&fleet, 1);
    fleet.until_answered(1, &unknown_there, 200);
    traffic.stop();
    expect_kept(&fleet);
}

#[test]
fn one_way_loss_in_either_direction_promises_nothing_that_does_not_hold() {
    for direction in [Direction::ToServer, Direction::ToProcess] {
        for fault in [Fault::Hold(direction), Fault::Lose(direction)] {
            let redis = RedisServer::start();
            let mut fleet = Plan::around(&redis.address()).refuse().start();
            let (key, traffic) = hammered(&mut fleet);
            fleet.link(1).set(fault);
            let (status, answer) = delete(&mut fleet, &key);
            assert_eq!(status, 200, "{fault:?}: {answer}");
            fleet.link(1).heal();
            until_refused(&fleet, 1);
            traffic.stop();
            expect_kept(&fleet);
        }
    }
}

#[test]
fn a_console_cut_off_from_redis_says_that_nothing_is_done_yet() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).refuse().start();
    let (key, traffic) = hammered(&mut fleet);
    fleet.consoles[0].link().set(Fault::Blackhole);
    let (status, answer) = delete(&mut fleet, &key);
    assert_eq!((status, &answer["revocation"]["state"]), (202, &json!("pending")), "{answer}");
    let created = fleet.new_key(json!({}));
    fleet.consoles[0].link().heal();
    for gateway in 0..2 {
        until_refused(&fleet, gateway);
        fleet.until_known(gateway, &created);
    }
    traffic.stop();
    expect_kept(&fleet);
    assert_eq!(delete(&mut fleet, &created).0, 200);
}

#[test]
fn a_console_killed_in_mid_deletion_leaves_a_deletion_that_arrives() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).start();
    let (key, traffic) = hammered(&mut fleet);
    fleet.consoles[0].link().set(Fault::Blackhole);
    assert_eq!(delete(&mut fleet, &key).0, 202);
    fleet.consoles[0].process.kill();
    fleet.consoles[0].link().heal();
    fleet.consoles[0].process.run();
    for gateway in 0..2 {
        until_refused(&fleet, gateway);
    }
    traffic.stop();
    expect_kept(&fleet);
}
