//! How long `DELETE` takes until the whole fleet refuses the key, and how soon a created key opens every gateway.

use std::net::SocketAddr;
use std::time::Duration;

use keystile::domain::clock::Clock;
use serde_json::json;

use super::load::{Load, ask, connect};
use super::support::fleet::{Fleet, Plan};
use super::support::redis::RedisServer;
use super::{backend, table};

const FLEETS: [usize; 3] = [3, 10, 30];
const DELETIONS: usize = 200;
const DELETIONS_WHILE_STOPPED: usize = 5;
const CREATIONS: usize = 100;
const LOAD_PER_SECOND: u64 = 1000;
const LOAD_CLIENTS: u64 = 30;
const OPENS_WITHIN: Duration = Duration::from_secs(10);

/// A fleet and the address of each of its gateways.
fn fleet(redis: &RedisServer, gateways: usize) -> (Fleet, Vec<SocketAddr>) {
    let backend = format!("http://{}", backend::start());
    let plan = Plan::around(&redis.address()).direct().trust("2s").refuse().gateways(gateways);
    let fleet = plan.keys_per_organization(10_000).upstream(&backend).start();
    let addresses = fleet.gateways.iter().map(|member| member.process.address()).collect();
    (fleet, addresses)
}

/// Deletes so many keys, one after the other; gives how long each call took, in microseconds.
fn deletions(fleet: &mut Fleet, count: usize, status: u16) -> Vec<u64> {
    let clock = Clock::system();
    let management = fleet.management();
    let keys: Vec<_> = (0..count).map(|_| fleet.new_key(json!({}))).collect();
    let delete = |key| {
        let began = clock.now();
        let (got, answer) = management.call("DELETE", key, None);
        let took_us = clock.now().nanos_since(began) / 1000;
        assert_eq!(got, status, "{answer}");
        took_us
    };
    keys.iter().map(|key| delete(&key.path)).collect()
}

/// The table of revocations.
pub(crate) fn measure() {
    let mut rows = Vec::new();
    for gateways in FLEETS {
        let redis = RedisServer::start();
        let (mut fleet, addresses) = fleet(&redis, gateways);
        let busy = fleet.key(json!({}));
        let load = Load::begin(&addresses, &[busy.secret], LOAD_PER_SECOND, LOAD_CLIENTS);
        deletions(&mut fleet, DELETIONS / 10, 200);
        let mut took = deletions(&mut fleet, DELETIONS, 200);
        rows.push([vec![format!("{gateways}")], table::spread_ms(&mut took)].concat());
        fleet.freeze_gateway(0);
        let mut took = deletions(&mut fleet, DELETIONS_WHILE_STOPPED, 200);
        rows.push([vec![format!("{gateways}, one of them stopped")], table::spread_ms(&mut took)].concat());
        fleet.thaw_gateway(0);
        load.end();
    }
    let title =
        format!("Deletion answered, {LOAD_PER_SECOND} requests/s, trust 2 s, `on_redis_loss: refuse`");
    table::print(&title, &["gateways", "p50 ms", "p99 ms", "max ms"], &rows);
}

/// The table of creations.
pub(crate) fn measure_propagation() {
    let mut rows = Vec::new();
    for gateways in FLEETS {
        let redis = RedisServer::start();
        let (mut fleet, addresses) = fleet(&redis, gateways);
        let mut connections: Vec<_> = addresses.iter().map(|address| connect(*address).unwrap()).collect();
        let clock = Clock::system();
        let mut first = Vec::new();
        let mut last = Vec::new();
        for _ in 0..CREATIONS {
            let key = fleet.new_key(json!({}));
            let began = clock.now();
            let mut opened = Vec::new();
            for connection in &mut connections {
                while ask(connection, &key.secret).unwrap() != 200 {
                    let waited = Duration::from_nanos(clock.now().nanos_since(began));
                    assert!(waited < OPENS_WITHIN, "a created key does not open a gateway");
                }
                opened.push(clock.now().nanos_since(began) / 1000);
            }
            first.push(opened[0]);
            last.push(opened[opened.len() - 1]);
        }
        for (name, took) in [("one gateway", &mut first), ("all gateways", &mut last)] {
            rows.push([vec![format!("{gateways}, {name}")], table::spread_ms(took)].concat());
        }
    }
    let title =
        "A created key opens gateways, from the answer to its creation on (asked one after the other)";
    table::print(title, &["gateways", "p50 ms", "p99 ms", "max ms"], &rows);
}
