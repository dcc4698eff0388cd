//! The local ledger on a real database file, across lives that leave or are killed.

use std::sync::Arc;

use super::*;
use crate::domain::clock::Clock;
use crate::domain::denial::Denial;
use crate::domain::id::{AgentId, OrganizationId};
use crate::domain::limit::{Limits, Period, Quota, Rate};
use crate::limits::tests::support::{Life, START, compiled, quota, rate};
use crate::limits::{Outcome, Path, PathCount};
use crate::store::Database;
use crate::store::contract::Engine;
use crate::store::engine::query;

async fn open(engine: &Engine, clock: &Clock) -> (Database, Arc<LocalLedger>) {
    let database = engine.open(clock).await;
    let ledger = Arc::new(LocalLedger::new(&database));
    (database, ledger)
}

macro_rules! on_every_engine {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $test() { super::$test(super::Engine::sqlite).await; })*
        }

        mod on_postgres {
            $(#[tokio::test] async fn $test() { super::$test(super::Engine::postgres).await; })*
        }
    };
}

on_every_engine!(
    restarting_in_between_admits_no_more_than_the_limit,
    counts_and_last_use_reach_the_record_once,
    a_batch_larger_than_one_statement_is_granted_recalled_and_returned_whole,
    old_counts_are_forgotten_and_recent_ones_kept,
    the_most_used_routes_and_agents_outlive_their_process_and_a_deleted_agent_keeps_its_slug,
);

async fn allowed(database: &Database, key: KeyId) -> u64 {
    let sum = query("SELECT CAST(COALESCE(SUM(allowed), 0) AS BIGINT) FROM usage WHERE key_id = $1");
    unsigned(sum.bind(key.to_string()).fetch_number(database.counters()).await.unwrap())
}

async fn restarting_in_between_admits_no_more_than_the_limit(engine: fn() -> Engine) {
    let both = Limits {
        rate: Some(Rate { requests: 100, per: Period::Hour, burst: 100 }),
        quotas: Some(vec![Quota { requests: 100, per: Window::Hour }]),
        concurrency: Some(10),
    };
    for limits in [quota(100, Window::Hour), rate(100, Period::Hour, 100), both] {
        let (engine, clock, key) = (engine(), Clock::manual(START), KeyId::generate());
        let limits = compiled(&limits);
        let mut admitted = 0;
        let mut cleanly = true;
        for _ in 0..4 {
            let (database, ledger) = open(&engine, &clock).await;
            let life = Life::begin(&ledger, &clock, key);
            admitted += life.admitted(&limits, 7).await;
            if cleanly {
                life.leave().await
            } else {
                life.kill().await
            }
            cleanly = !cleanly;
            drop(ledger);
            database.close().await;
        }
        let (database, ledger) = open(&engine, &clock).await;
        let life = Life::begin(&ledger, &clock, key);
        admitted += life.admitted(&limits, 1_000).await;
        assert!(admitted <= 100, "{admitted} admitted");
        // Two kills, each at most one block of a quiet key.
        assert!(admitted + 2 * 16 >= 100, "{admitted} admitted");
        life.leave().await;
        assert!(allowed(&database, key).await >= admitted);
        assert!(allowed(&database, key).await <= admitted + 2 * 16);
    }
}

async fn counts_and_last_use_reach_the_record_once(engine: fn() -> Engine) {
    let (engine, clock, key) = (engine(), Clock::manual(START), KeyId::generate());
    let (database, ledger) = open(&engine, &clock).await;
    let organization = OrganizationId::generate().to_string();
    query("INSERT INTO organizations VALUES ($1, 'acme', 'Acme', 'UTC', '{}', 0, 1)")
        .bind(&organization)
        .execute(database.writer())
        .await
        .unwrap();
    query(
        "INSERT INTO keys (id, organization_id, name, hash, access, hint, created_at, created_by, disabled, limits, \
         revision) VALUES ($1, $2, 'k', $3, 'all', 'ks_…', 0, 'test', FALSE, '{}', 1)",
    )
    .bind(key.to_string())
    .bind(&organization)
    .bind(vec![0_u8; 32])
    .execute(database.writer())
    .await
    .unwrap();

    let life = Life::begin(&ledger, &clock, key);
    let limits = compiled(&quota(5, Window::Day));
    assert_eq!(life.admitted(&limits, 8).await, 5);
    life.limiter.flush().await;
    life.limiter.flush().await;
    assert_eq!(life.admitted(&limits, 2).await, 0);
    life.leave().await;

    let row: (i64, i64, i64, i64) =
        query("SELECT allowed, failed, denied_quota, at_minute FROM usage WHERE key_id = $1")
            .bind(key.to_string())
            .fetch_one(database.counters())
            .await
            .unwrap();
    assert_eq!(row, (5, 0, 5, START.as_i64() - START.as_i64() % 60_000));
    let last_used_at = query("SELECT last_used_at FROM keys WHERE id = $1")
        .bind(key.to_string())
        .fetch_number(database.counters())
        .await
        .unwrap();
    assert_eq!(last_used_at, START.as_i64());
}

async fn a_batch_larger_than_one_statement_is_granted_recalled_and_returned_whole(engine: fn() -> Engine) {
    let (engine, clock) = (engine(), Clock::manual(START));
    let (_database, ledger) = open(&engine, &clock).await;
    ledger.begin(START, START).await.unwrap();
    let span = Span { start: START, end: UnixMillis(START.0 + 3_600_000) };
    let keys: Vec<KeyId> = (0..ROWS_MAX * 2 + 7).map(|_| KeyId::generate()).collect();
    let ask = |key: &KeyId| crate::limits::QuotaAsk {
        key: *key,
        window: Window::Hour,
        span,
        limit: 10,
        held: Held::Unknown { unsecured: 0 },
        want: 4,
    };
    let asks = Asks {
        quotas: keys.iter().map(ask).collect(),
        meters: keys.iter().map(|key| MeterGrant { key: *key, granted: 16 }).collect(),
        ..Asks::default()
    };
    let granted: Vec<Vec<u64>> = [
        ledger.renew(&asks, START.0 * 1_000_000).await.unwrap(),
        ledger.renew(&asks, START.0 * 1_000_000).await.unwrap(),
        ledger.renew(&asks, START.0 * 1_000_000).await.unwrap(),
        ledger.renew(&asks, START.0 * 1_000_000).await.unwrap(),
    ]
    .into_iter()
    .map(|grants| grants.quotas.into_iter().map(|grant| grant.granted).collect())
    .collect();
    for (grants, expected) in granted.iter().zip([4, 8, 10, 10]) {
        assert_eq!(grants.len(), keys.len());
        assert!(grants.iter().all(|granted| *granted == expected));
    }
}

async fn old_counts_are_forgotten_and_recent_ones_kept(engine: fn() -> Engine) {
    let (engine, clock, key) = (engine(), Clock::manual(START), KeyId::generate());
    let (database, ledger) = open(&engine, &clock).await;
    ledger.begin(START, START).await.unwrap();
    let counts = crate::limits::Totals { allowed: 1, ..Default::default() };
    let paths = [(key, vec![PathCount { route: Arc::from("r"), agent: None, requests: 1 }])];
    let delta = UsageDelta { key, counts, settled: 1 };
    for days_ago in [40, 33, 31, 0] {
        let at = UnixMillis(START.0 - days_ago * 86_400_000);
        ledger.record_usage(&[delta], at, START).await.unwrap();
        ledger.record_paths(&paths, at).await.unwrap();
    }
    ledger.prune(START).await.unwrap();
    assert_eq!(allowed(&database, key).await, 2);
    let paths = query("SELECT CAST(SUM(requests) AS BIGINT) FROM usage_paths");
    assert_eq!(paths.fetch_number(database.counters()).await.unwrap(), 2);
}

async fn the_most_used_routes_and_agents_outlive_their_process_and_a_deleted_agent_keeps_its_slug(
    engine: fn() -> Engine,
) {
    let (engine, clock, key) = (engine(), Clock::manual(START), KeyId::generate());
    let (deleted, renamed) = (AgentId::generate(), AgentId::generate());
    let life_of = async |requests: u64| {
        let (database, ledger) = open(&engine, &clock).await;
        let life = Life::begin(&ledger, &clock, key);
        let tally = life.limiter.path_tally();
        let labels: Vec<Arc<str>> = (0..12).map(|route| Arc::from(format!("/{route:02}"))).collect();
        for (route, label) in labels.iter().enumerate() {
            for (agent, slug) in [(deleted, "gone"), (renamed, "old-name")] {
                let path = Path { route, label, agent: Some((agent, slug)) };
                for _ in 0..requests + u64::from(agent == renamed) {
                    life.limiter.count_path(&tally, &life.account, Outcome::Allowed, &path);
                }
            }
        }
        let path = Path { route: 99, label: &Arc::from("/no-agent"), agent: None };
        life.limiter.count_path(&tally, &life.account, Outcome::Failed(Denial::BadGateway), &path);
        (database, life)
    };
    let (database, life) = life_of(1).await;
    life.leave().await;
    database.close().await;
    drop(database);
    let (database, life) = life_of(2).await;
    life.limiter.flush().await;
    let organization = OrganizationId::generate().to_string();
    query("INSERT INTO organizations VALUES ($1, 'acme', 'Acme', 'UTC', '{}', 0, 1)")
        .bind(&organization)
        .execute(database.writer())
        .await
        .unwrap();
    query("INSERT INTO agents VALUES ($1, $2, 'new-name', 'n', 0, 1)")
        .bind(renamed.to_string())
        .bind(&organization)
        .execute(database.writer())
        .await
        .unwrap();
    let minute = UnixMillis(START.0 - START.0 % 60_000);
    let next = UnixMillis(minute.0 + 60_000);
    let usage = database.usage(key, minute, next, 60_000).await.unwrap();
    assert_eq!((usage.counts[0].totals.allowed, usage.counts[0].totals.failed), (12 * 8, 2));
    assert_eq!(usage.agents, [("new-name".to_owned(), 12 * 5), ("gone".to_owned(), 12 * 3)]);
    let ten: Vec<_> = (0..10).map(|route| (format!("/{route:02}"), 8)).collect();
    assert_eq!(usage.routes, ten);
    let later = database.usage(key, next, UnixMillis(next.0 + 60_000), 60_000).await.unwrap();
    assert_eq!((later.counts.len(), later.routes.len(), later.agents.len()), (0, 0, 0));
    life.leave().await;
}
