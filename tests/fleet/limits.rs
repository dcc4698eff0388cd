//! Limits of a fleet: never exceeded under skewed load, kills and lost answers; usable to the last request without them.

use serde_json::json;

use crate::support::eventually;
use crate::support::fault_proxy::{Direction, Fault};
use crate::support::fleet::{Fleet, Plan};
use crate::support::judge::expect_none;
use crate::support::management::Key;
use crate::support::redis::RedisServer;
use crate::support::traffic::{CALM, EAGER, Running, Traffic};

const QUOTA: usize = 3000;
const BURST: usize = 40;
const PER_SECOND: usize = 100;

fn quota(requests: usize) -> serde_json::Value {
    json!({"limits": {"quotas": [{"requests": requests, "per": "month"}]}})
}

/// Most of the load on gateway 0, some on 1, none on 2 and above.
fn skewed(fleet: &Fleet, key: &Key) -> Traffic {
    let mut traffic = Traffic::new();
    for (gateway, pause) in [(0, EAGER), (0, EAGER), (0, EAGER), (1, CALM)] {
        traffic.client(fleet, gateway, key, pause);
    }
    traffic
}

/// Asks all gateways until none has admitted anything for a while: what is left of the quota is used up.
fn use_up(fleet: &Fleet, key: &Key) {
    let traffic = Traffic::everywhere(fleet, key, CALM);
    let mut admitted = usize::MAX;
    while admitted != fleet.log.answered(200) {
        admitted = fleet.log.answered(200);
        let since = fleet.log.at();
        for gateway in fleet.running() {
            eventually("it is used up", || fleet.log.answered_by(gateway, 429, since) >= 50);
        }
    }
    traffic.stop();
}

#[test]
fn skewed_load_uses_a_quota_up_to_the_last_request_and_no_further() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).gateways(3).start();
    let key = fleet.key(quota(500));
    let traffic = skewed(&fleet, &key);
    eventually("it is used up", || fleet.log.answered(429) >= 100);
    traffic.stop();
    use_up(&fleet, &key);
    let history = fleet.history();
    expect_none(&history.total_breaches(&key.id, 500));
    assert_eq!(history.admitted_count(&key.id), 500, "all of it can be used");
}

#[test]
fn a_quota_holds_through_kills_of_the_gateways_that_spend_it() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).gateways(3).start();
    let key = fleet.key(quota(QUOTA));
    let traffic = skewed(&fleet, &key);
    for number in [0, 1, 0] {
        let since = fleet.log.at();
        eventually("it spends", || fleet.log.answered_by(number, 200, since) >= 20);
        fleet.kill_gateway(number);
        fleet.revive_gateway(number);
    }
    eventually("it is used up", || fleet.log.answered(429) >= 50);
    traffic.stop();
    use_up(&fleet, &key);
    expect_none(&fleet.history().total_breaches(&key.id, QUOTA));
}

#[test]
fn a_rate_is_one_for_the_whole_fleet() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).gateways(3).start();
    let rate = json!({"rate": {"requests": PER_SECOND, "per": "second", "burst": BURST}});
    let key = fleet.key(json!({"limits": rate}));
    let traffic = skewed(&fleet, &key);
    let served = |at_least: usize| fleet.log.answered(200) >= at_least;
    eventually("it is used for a while", || served(3 * PER_SECOND) && fleet.log.answered(429) >= 100);
    traffic.stop();
    let traffic = Traffic::everywhere(&fleet, &key, EAGER);
    eventually("it is used evenly", || served(5 * PER_SECOND));
    traffic.stop();
    expect_none(&fleet.history().rate_breaches(&key.id, BURST, PER_SECOND as f64));
}

#[test]
fn answers_that_are_lost_grant_nothing_twice_and_charge_nothing_twice() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).start();
    let key = fleet.key(quota(QUOTA));
    let traffic = skewed(&fleet, &key);
    for round in 0..4 {
        let direction = if round % 2 == 0 { Direction::ToProcess } else { Direction::ToServer };
        let since = fleet.log.at();
        fleet.link(0).set(Fault::Lose(direction));
        eventually("it is asked", || {
            fleet.log.answered_by(0, 200, since) + fleet.log.answered_by(0, 503, since) >= 50
        });
        fleet.link(0).heal();
        fleet.until_trusted();
    }
    eventually("it is used up", || fleet.log.answered(429) >= 50);
    traffic.stop();
    use_up(&fleet, &key);
    let history = fleet.history();
    expect_none(&history.total_breaches(&key.id, QUOTA));
    assert_eq!(history.admitted_count(&key.id), QUOTA, "no slice is lost with an answer");
    fleet.until_settled(&history, &key);
    expect_none(&history.wrong_refusals());
}

#[test]
fn a_gateway_that_leaves_gives_back_what_it_has_not_spent() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).start();
    let key = fleet.key(quota(400));
    let mut traffic = Traffic::new();
    traffic.client(&fleet, 0, &key, EAGER);
    eventually("it spends", || fleet.log.answered_by(0, 200, 0) >= 100);
    traffic.stop();
    fleet.dismiss_gateway(0);
    use_up(&fleet, &key);
    assert_eq!(fleet.history().admitted_count(&key.id), 400, "nothing is stranded");
}

#[test]
fn requests_in_flight_are_counted_over_the_whole_fleet() {
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).gateways(3).start();
    let key = fleet.key(json!({"limits": {"concurrency": 4}}));
    let begin = |fleet: &Fleet| -> Vec<Running> {
        (0..12).filter_map(|number| Running::stream(fleet, number % 3, &key).ok()).collect()
    };
    let mut running = begin(&fleet);
    eventually("all four places can be used", || {
        running.extend(begin(&fleet));
        fleet.log.running() == 4
    });
    // What a gateway held that died stays taken until it has lapsed: nobody knows yet that it ended nothing elsewhere.
    fleet.kill_gateway(0);
    for gateway in [1, 2, 1, 2] {
        running.extend(Running::stream(&fleet, gateway, &key).ok());
    }
    expect_none(&fleet.history().concurrency_breaches(&key.id, 4));
    let management = fleet.management();
    fleet.log.delete(&management, &key);
    running.into_iter().for_each(|run| drop(run.last_words()));
}
