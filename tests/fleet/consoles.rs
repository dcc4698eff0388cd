//! Consoles in plural around one PostgreSQL: one publishes, another takes over, and nothing is counted twice or lost.

use std::time::Duration;

use serde_json::json;

use crate::support::eventually;
use crate::support::fault_proxy::Fault;
use crate::support::fleet::{Fleet, Plan};
use crate::support::judge::expect_none;
use crate::support::postgres::Postgres;
use crate::support::redis::RedisServer;
use crate::support::traffic::{CALM, Traffic};

const CUT_WITHIN: Duration = Duration::from_secs(2);

/// The console that publishes: the one that said so with the highest term, once one did.
fn publisher(fleet: &Fleet) -> Option<(u64, usize)> {
    let terms = |logs: String| {
        let of = |line: &str| {
            line.split("publishes changes to the fleet term=").nth(1)?.trim().parse::<u64>().ok()
        };
        logs.lines().filter_map(of).max()
    };
    let said = fleet.consoles.iter().enumerate();
    said.filter_map(|(number, console)| Some((terms(console.process.logs())?, number))).max()
}

/// Two consoles and two gateways, with the number of the console that publishes.
fn start(redis: &RedisServer, postgres: &Postgres) -> (Fleet, usize) {
    let plan = Plan::around(&redis.address()).consoles(2).database(&postgres.url(), &[]);
    let fleet = plan.start();
    eventually("one console publishes", || publisher(&fleet).is_some());
    let active = publisher(&fleet).unwrap().1;
    (fleet, active)
}

#[test]
fn a_deletion_at_the_console_that_does_not_publish_is_complete_all_the_same() {
    let (redis, postgres) = (RedisServer::start(), Postgres::start());
    let (mut fleet, active) = start(&redis, &postgres);
    for number in [active, 1 - active] {
        let key = fleet.key(json!({}));
        let management = fleet.consoles[number].process.management();
        let (status, answer) = fleet.log.delete(&management, &key);
        assert_eq!(status, 200, "{answer}");
        fleet.expect_refused(&key);
    }
    expect_none(&fleet.history().revocation_breaches(CUT_WITHIN));
}

#[test]
fn another_console_takes_over_from_one_that_was_killed() {
    let (redis, postgres) = (RedisServer::start(), Postgres::start());
    let (mut fleet, active) = start(&redis, &postgres);
    let (kept, deleted) = (fleet.key(json!({})), fleet.key(json!({})));
    let mut traffic = Traffic::everywhere(&fleet, &kept, CALM);
    for gateway in 0..2 {
        traffic.client(&fleet, gateway, &deleted, CALM);
    }
    fleet.consoles[active].process.kill();
    let management = fleet.management();
    let (status, answer) = fleet.log.delete(&management, &deleted);
    assert!([200, 202].contains(&status), "{answer}");
    eventually("the other console publishes", || publisher(&fleet).unwrap().1 == 1 - active);
    for gateway in 0..2 {
        fleet.until_answered(gateway, &deleted, 401);
    }
    eventually("deletions are complete again", || {
        let key = fleet.key(json!({}));
        fleet.log.delete(&management, &key).0 == 200
    });
    fleet.consoles[active].process.run();
    assert_eq!(publisher(&fleet).unwrap().1, 1 - active, "whoever comes back takes nothing away");
    traffic.stop();
    let history = fleet.history();
    expect_none(&history.revocation_breaches(CUT_WITHIN));
    expect_none(&history.wrong_refusals());
}

#[test]
fn a_console_that_stood_still_does_not_publish_what_another_has_overtaken() {
    let (redis, postgres) = (RedisServer::start(), Postgres::start());
    let (mut fleet, active) = start(&redis, &postgres);
    let deleted = fleet.key(json!({}));
    let traffic = Traffic::everywhere(&fleet, &deleted, CALM);
    // Cut off from Redis only: it holds the publisher's lock until it notices.
    fleet.consoles[active].link().set(Fault::Blackhole);
    let other = fleet.consoles[1 - active].process.management();
    let (status, answer) = fleet.log.delete(&other, &deleted);
    assert!([200, 202].contains(&status), "{answer}");
    fleet.consoles[active].link().heal();
    for gateway in 0..2 {
        fleet.until_answered(gateway, &deleted, 401);
    }
    traffic.stop();
    expect_none(&fleet.history().revocation_breaches(CUT_WITHIN));
}

#[test]
fn usage_is_counted_once_through_a_killed_console_and_a_flushed_redis() {
    let (redis, postgres) = (RedisServer::start(), Postgres::start());
    let (mut fleet, active) = start(&redis, &postgres);
    let key = fleet.key(json!({}));
    let traffic = Traffic::everywhere(&fleet, &key, CALM);
    let served = |fleet: &Fleet, times: usize| {
        let before = fleet.log.answered(200);
        eventually("the key is used", || fleet.log.answered(200) >= before + times);
    };
    served(&fleet, 200);
    fleet.consoles[active].process.kill();
    served(&fleet, 200);
    redis.command(&["FLUSHALL"]);
    served(&fleet, 200);
    fleet.consoles[active].process.run();
    fleet.link(0).set(Fault::Blackhole);
    served(&fleet, 100);
    fleet.link(0).heal();
    fleet.until_trusted();
    served(&fleet, 200);
    traffic.stop();
    let history = fleet.history();
    fleet.until_settled(&history, &key);
    // What is told now must not grow any more: a batch that comes twice would be seen after the next one.
    assert_eq!(fleet.ask(0, &key), 200);
    let history = fleet.history();
    fleet.until_settled(&history, &key);
    expect_none(&history.wrong_refusals());
}
