//! What requests cost Redis: calls for 1,000 requests, as load grows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::load::Load;
use super::support::fleet::{Fleet, Plan};
use super::support::redis::RedisServer;
use super::{backend, table};

const PACES: [(u64, u64); 3] = [(10, 2), (1_000, 8), (10_000, 32)];
const KEYS: usize = 100;
const GATEWAYS: usize = 2;
const WARM_UP: Duration = Duration::from_secs(3);
const LENGTH: Duration = Duration::from_secs(15);

/// Commands that only clients send: scripts, and reading the feed. What scripts do inside is not counted with them.
const SENT_BY_CLIENTS: [&str; 9] =
    ["evalsha", "evalsha_ro", "eval", "eval_ro", "fcall", "fcall_ro", "xread", "script|load", "ping"];

/// Calls so far: those that clients sent, and all that Redis carried out, inside scripts too.
fn calls(redis: &RedisServer) -> (u64, u64) {
    let stats = redis.command(&["INFO", "commandstats"]);
    let counted: BTreeMap<&str, u64> = stats.lines().filter_map(count_of).collect();
    let sent = SENT_BY_CLIENTS.iter().filter_map(|name| counted.get(name)).sum();
    (sent, counted.values().sum())
}

/// A line such as `cmdstat_evalsha:calls=12,usec=…`.
fn count_of(line: &str) -> Option<(&str, u64)> {
    let (name, fields) = line.strip_prefix("cmdstat_")?.split_once(':')?;
    let calls = fields.strip_prefix("calls=")?.split(',').next()?;
    Some((name, calls.parse().ok()?))
}

/// What is sent while nobody asks for anything, in calls a second.
fn idle(redis: &RedisServer) -> f64 {
    let before = calls(redis).0;
    std::thread::sleep(LENGTH);
    (calls(redis).0 - before) as f64 / LENGTH.as_secs_f64()
}

fn fleet(redis: &RedisServer) -> (Fleet, Vec<String>) {
    let backend = format!("http://{}", backend::start());
    let plan = Plan::around(&redis.address()).direct().trust("2s").gateways(GATEWAYS);
    let mut fleet = plan.upstream(&backend).start();
    let limits = json!({"limits": {
        "rate": {"requests": 1000, "per": "second", "burst": 1000},
        "quotas": [{"requests": 100_000_000, "per": "day"}, {"requests": 1_000_000_000, "per": "month"}],
    }});
    let secrets = (0..KEYS).map(|_| fleet.key(limits.clone()).secret).collect();
    (fleet, secrets)
}

/// The table of calls.
pub(crate) fn measure() {
    let redis = RedisServer::start();
    let (fleet, secrets) = fleet(&redis);
    let addresses: Vec<_> = fleet.gateways.iter().map(|member| member.process.address()).collect();
    let idle_per_second = idle(&redis);
    let mut rows = Vec::new();
    for (per_second, clients) in PACES {
        let load = Load::begin(&addresses, &secrets, per_second, clients);
        std::thread::sleep(WARM_UP);
        let (began_us, before) = (load.now_us(), calls(&redis));
        std::thread::sleep(LENGTH);
        let (ended_us, after) = (load.now_us(), calls(&redis));
        let samples = load.end();
        let within = samples.iter().filter(|sample| (began_us..ended_us).contains(&sample.due_us));
        let served = within.clone().filter(|sample| sample.status == 200).count() as f64;
        let mut took: Vec<u64> = within.map(|sample| sample.took_us).collect();
        let seconds = (ended_us - began_us) as f64 / 1e6;
        let per_thousand = |calls: f64| format!("{:.2}", calls * 1000.0 / served);
        let sent = (after.0 - before.0) as f64;
        rows.push(vec![
            format!("{per_second}"),
            format!("{:.0}", served / seconds),
            per_thousand(sent),
            per_thousand((sent - idle_per_second * seconds).max(0.0)),
            per_thousand((after.1 - before.1) as f64),
            table::millis(table::percentile(&mut took, 0.5)),
            table::millis(table::percentile(&mut took, 0.99)),
        ]);
    }
    let title = format!(
        "Redis calls for 1,000 requests, {GATEWAYS} gateways, {KEYS} keys with a rate and two quotas \
         (idle: {idle_per_second:.1} calls/s)"
    );
    let columns =
        ["requests/s", "served/s", "calls", "above idle", "commands, inside scripts too", "p50 ms", "p99 ms"];
    table::print(&title, &columns, &rows);
}
