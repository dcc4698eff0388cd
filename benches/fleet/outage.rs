//! What requests notice of a Redis that is gone for a while.

use std::time::Duration;

use serde_json::json;

use super::load::Load;
use super::support::fault_proxy::Fault;
use super::support::fleet::Plan;
use super::support::redis::RedisServer;
use super::{backend, table};

const PER_SECOND: u64 = 2000;
const CLIENTS: u64 = 16;
const KEYS: usize = 20;
const PHASE: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(3);

/// The ways in which Redis goes and comes back.
const OUTAGES: [(&str, Fault); 2] =
    [("refuses connections", Fault::Refuse), ("answers nothing", Fault::Blackhole)];

/// The table of the outage.
pub(crate) fn measure() {
    let mut rows = Vec::new();
    for (name, fault) in OUTAGES {
        let redis = RedisServer::start();
        let backend = format!("http://{}", backend::start());
        let mut fleet = Plan::around(&redis.address()).trust("2s").upstream(&backend).start();
        let limits = json!({"limits": {"quotas": [{"requests": 100_000_000, "per": "day"}]}});
        let secrets: Vec<String> = (0..KEYS).map(|_| fleet.key(limits.clone()).secret).collect();
        let addresses: Vec<_> = fleet.gateways.iter().map(|member| member.process.address()).collect();
        let load = Load::begin(&addresses, &secrets, PER_SECOND, CLIENTS);
        std::thread::sleep(WARM_UP);
        let links = || fleet.gateways.iter().chain(&fleet.consoles).map(|member| member.link());
        let mut phases = vec![("before", load.now_us())];
        std::thread::sleep(PHASE);
        phases.push(("during", load.now_us()));
        links().for_each(|link| link.set(fault));
        std::thread::sleep(PHASE);
        phases.push(("after", load.now_us()));
        links().for_each(|link| link.heal());
        std::thread::sleep(PHASE);
        let end = load.now_us();
        let samples = load.end();
        for (at, (phase, from)) in phases.iter().enumerate() {
            let until = phases.get(at + 1).map_or(end, |next| next.1);
            let within = samples.iter().filter(|sample| (*from..until).contains(&sample.due_us));
            let not_served = within.clone().filter(|sample| sample.status != 200).count();
            let mut took: Vec<u64> = within.map(|sample| sample.took_us).collect();
            let served = format!("{:.0}", took.len() as f64 / ((until - from) as f64 / 1e6));
            let spread = table::spread_ms(&mut took);
            rows.push(
                [vec![format!("{name}: {phase}"), served], spread, vec![format!("{not_served}")]].concat(),
            );
        }
    }
    let title =
        format!("Requests before, during and after {} s without Redis, `serve_for: 10m`", PHASE.as_secs());
    table::print(&title, &["Redis", "requests/s", "p50 ms", "p99 ms", "max ms", "not served"], &rows);
}
