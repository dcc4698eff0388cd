//! A gateway with a million keys: how long it takes to be ready, and what it holds in memory.

use std::path::Path;
use std::time::Duration;

use keystile::domain::clock::{Clock, Moment};
use sqlx::Connection;

use super::support::fleet::{Fleet, Plan};
use super::support::redis::RedisServer;
use super::table;

const KEYS: u32 = 1_000_000;
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Keys that nobody knows the secret of, of the organization that is there. Ids are random UUIDs; hashes are unique.
const FILL: &str = "
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
    INSERT INTO keys (id, organization_id, name, hash, access, hint, created_at, created_by, disabled, limits, revision)
    SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-7' || substr(hex(randomblob(2)), 2) || '-8'
           || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
           (SELECT id FROM organizations LIMIT 1), 'key ' || n, randomblob(32), 'all', 'abcd', 0, 'bench', FALSE, '{}', 1
    FROM numbers";

fn fill(database: &Path, keys: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(FILL).bind(keys).execute(&mut connection).await.unwrap();
    });
}

/// Adds a gateway; gives the seconds until it says that it is ready, and its resident memory in MiB.
fn add(fleet: &mut Fleet, clock: &Clock) -> (f64, f64) {
    let began = clock.now();
    let number = fleet.add_gateway();
    let took = seconds(clock, began);
    (took, resident_mib(fleet.gateways[number].process.pid()))
}

fn seconds(clock: &Clock, since: Moment) -> f64 {
    clock.now().nanos_since(since) as f64 / 1e9
}

fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// The table of starts.
pub(crate) fn measure() {
    let clock = Clock::system();
    let redis = RedisServer::start();
    let mut fleet = Plan::around(&redis.address()).direct().trust("5s").gateways(0).start();
    let (empty_s, empty_mib) = add(&mut fleet, &clock);
    assert!(fleet.consoles[0].process.stop().success());
    fill(&fleet.consoles[0].process.database(), KEYS);
    redis.command(&["FLUSHALL"]);
    fleet.kill_gateway(0);
    let began = clock.now();
    fleet.consoles[0].process.run();
    let published = |fleet: &Fleet| {
        fleet.consoles[0].process.metric("keystile_publisher_active_ratio", &[]) == 1.0
            && fleet.consoles[0].process.metric("keystile_outbox_lag_changes", &[]) == 0.0
            && fleet.consoles[0].process.metric("keystile_republications_total", &[]) >= 1.0
    };
    while !published(&fleet) {
        assert!(seconds(&clock, began) < READY_WITHIN.as_secs_f64(), "the table is not published in time");
        std::thread::sleep(Duration::from_millis(50));
    }
    let published_s = seconds(&clock, began);
    let (full_s, full_mib) = add(&mut fleet, &clock);
    let (second_s, second_mib) = add(&mut fleet, &clock);
    let row = |name: &str, ready_s: f64, mib: f64| {
        vec![name.to_owned(), format!("{ready_s:.2}"), format!("{mib:.0}")]
    };
    let rows = [
        row("no keys", empty_s, empty_mib),
        row("1,000,000 keys", full_s, full_mib),
        row("1,000,000 keys, a second gateway", second_s, second_mib),
    ];
    table::print("Start of a gateway", &["table", "ready after s", "resident MiB"], &rows);
    let memory = redis.command(&["INFO", "memory"]);
    let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap_or("0").trim();
    let used_mib = used.parse::<f64>().unwrap_or_default() / (1024.0 * 1024.0);
    let per_key = (full_mib - empty_mib) * 1024.0 * 1024.0 / f64::from(KEYS);
    println!(
        "\n{per_key:.0} bytes a key in a gateway; the console started and wrote all keys to Redis in \
         {published_s:.1} s, where they take {used_mib:.0} MiB"
    );
}
