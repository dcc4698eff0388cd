//! Redis behind Sentinels and as a cluster: a master that dies in mid-traffic takes nothing with it but time.

use std::time::Duration;

use serde_json::json;

use crate::support::eventually;
use crate::support::fleet::{Fleet, Plan};
use crate::support::judge::expect_none;
use crate::support::management::Key;
use crate::support::redis::{Cluster, Sentinels};
use crate::support::traffic::{CALM, Traffic};

const CUT_WITHIN: Duration = Duration::from_secs(2);
const QUOTA: usize = 100_000;

fn limited(fleet: &mut Fleet) -> Key {
    fleet.key(json!({"limits": {"quotas": [{"requests": QUOTA, "per": "month"}]}}))
}

/// Each gateway has served after now.
fn until_served(fleet: &Fleet) {
    let since = fleet.log.at();
    for gateway in fleet.running() {
        eventually("every gateway serves", || fleet.log.answered_by(gateway, 200, since) >= 5);
    }
}

/// `fail` takes a master away: keys stay what they were, and changes arrive once another has taken over.
fn survives(mut fleet: Fleet, fail: impl FnOnce()) {
    let (key, deleted) = (limited(&mut fleet), fleet.key(json!({})));
    let management = fleet.management();
    let (status, answer) = fleet.log.delete(&management, &deleted);
    assert_eq!(status, 200, "{answer}");
    let mut traffic = Traffic::everywhere(&fleet, &key, CALM);
    for gateway in fleet.running() {
        traffic.client(&fleet, gateway, &deleted, CALM);
    }
    until_served(&fleet);
    fail();
    until_served(&fleet);
    let unheard = fleet.new_key(json!({}));
    fleet.log.delete(&management, &unheard);
    fleet.until_trusted();
    for gateway in fleet.running() {
        fleet.until_answered(gateway, &unheard, 401);
    }
    let created = fleet.key(json!({}));
    eventually("deletions are complete again", || {
        let key = fleet.key(json!({}));
        fleet.log.delete(&management, &key).0 == 200
    });
    until_served(&fleet);
    traffic.stop();
    for gateway in fleet.running() {
        fleet.until_answered(gateway, &created, 200);
    }
    let history = fleet.history();
    expect_none(&history.revocation_breaches(CUT_WITHIN));
    expect_none(&history.wrong_refusals());
    expect_none(&history.total_breaches(&key.id, QUOTA));
    assert_eq!(history.admitted_count(&deleted.id), 0);
}

#[test]
fn a_master_that_is_killed_behind_sentinels_takes_nothing_with_it() {
    let mut sentinels = Sentinels::start();
    let fleet = Plan::at(&sentinels.url()).line("failover_overlap: 1s").start();
    survives(fleet, || _ = sentinels.kill_primary());
}

#[test]
fn a_failover_that_is_asked_for_behind_sentinels_takes_nothing_with_it() {
    let sentinels = Sentinels::start();
    let fleet = Plan::at(&sentinels.url()).line("failover_overlap: 1s").start();
    survives(fleet, || sentinels.fail_over());
}

#[test]
fn a_master_of_a_cluster_that_is_killed_takes_nothing_with_it() {
    let mut cluster = Cluster::with_replicas();
    let fleet = Plan::at(&cluster.url()).line("failover_overlap: 1s").start();
    survives(fleet, || cluster.holder("keystile:{feed}").kill());
}
