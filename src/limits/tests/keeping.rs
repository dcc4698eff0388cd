//! What outlives a process: clean leaving, kill -9, and a store that fails for a while.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::support::*;
use crate::domain::clock::Clock;
use crate::domain::denial::Denial;
use crate::domain::id::{AgentId, KeyId};
use crate::domain::limit::{Limits, Period, Window};
use crate::limits::*;

#[tokio::test]
async fn leaving_cleanly_forgets_nothing_and_wastes_nothing() {
    for limits in [quota(100, Window::Hour), rate(100, Period::Hour, 100), rate(1, Period::Second, 9)] {
        let (ledger, clock, key) =
            (Arc::new(MemoryLedger::default()), Clock::manual(START), KeyId::generate());
        let limits = compiled(&limits);
        let mut admitted = 0;
        for _ in 0..4 {
            let life = Life::begin(&ledger, &clock, key);
            admitted += life.admitted(&limits, 3).await;
            life.leave().await;
        }
        let life = Life::begin(&ledger, &clock, key);
        admitted += life.admitted(&limits, 1_000).await;
        let burst = limits.limits().rate.map_or(100, |rate| rate.burst);
        assert_eq!(admitted, burst);
        life.leave().await;
        assert_eq!(ledger.recorded(key), burst);
    }
}

#[tokio::test]
async fn a_killed_process_is_never_forgiven_and_costs_at_most_one_block() {
    for limits in [quota(1_000, Window::Hour), rate(1_000, Period::Hour, 1_000)] {
        let (ledger, clock, key) =
            (Arc::new(MemoryLedger::default()), Clock::manual(START), KeyId::generate());
        let limits = compiled(&limits);
        let mut admitted = 0;
        let mut lost_at_most = 0;
        for turn in 1..20 {
            let life = Life::begin(&ledger, &clock, key);
            life.limiter.recall(&life.account, &limits).await;
            let shown = life.account.snapshot(&limits, clock.now())[0].used;
            assert!(shown >= admitted, "{shown} shown, {admitted} admitted");
            assert!(shown <= admitted + lost_at_most, "{shown} shown, {admitted} admitted");
            assert!(ledger.recorded(key) >= admitted, "totals show less than was admitted");
            admitted += life.admitted(&limits, turn * 3).await;
            lost_at_most += life.account.block.load(Ordering::Relaxed);
            life.kill().await;
        }
        let life = Life::begin(&ledger, &clock, key);
        admitted += life.admitted(&limits, 2_000).await;
        assert!(admitted <= 1_000);
        assert!(admitted + lost_at_most >= 1_000);
    }
}

#[tokio::test]
async fn a_killed_process_leaves_fast_buckets_empty_rather_than_full() {
    let (ledger, clock, key) = (Arc::new(MemoryLedger::default()), Clock::manual(START), KeyId::generate());
    let limits = compiled(&rate(10, Period::Second, 50));
    let life = Life::begin(&ledger, &clock, key);
    assert_eq!(life.admitted(&limits, 100).await, 50);
    life.kill().await;
    let life = Life::begin(&ledger, &clock, key);
    assert_eq!(life.admitted(&limits, 100).await, 0);
    clock.advance(Duration::from_millis(1_000));
    assert_eq!(life.admitted(&limits, 100).await, 10);
}

#[tokio::test]
async fn a_failing_store_does_not_stop_serving_and_nothing_is_lost_when_it_recovers() {
    let (ledger, clock, key) = (Arc::new(MemoryLedger::default()), Clock::manual(START), KeyId::generate());
    let limits = compiled(&quota(100, Window::Hour));
    let life = Life::begin(&ledger, &clock, key);
    assert_eq!(life.admitted(&limits, 10).await, 10);
    life.kill().await;
    let on_record = {
        let life = Life::begin(&ledger, &clock, key);
        life.limiter.recall(&life.account, &limits).await;
        let used = life.account.snapshot(&limits, clock.now())[0].used;
        life.leave().await;
        used
    };

    let life = Life::begin(&ledger, &clock, key);
    life.limiter.flush().await;
    ledger.failing.store(true, Ordering::SeqCst);
    assert_eq!(life.admitted(&limits, 20).await, 20);
    life.limiter.flush().await;
    assert!(life.limiter.ledger_failing());
    assert!(life.limiter.unsecured_grants() > 0);

    ledger.failing.store(false, Ordering::SeqCst);
    life.limiter.recall(&life.account, &limits).await;
    assert_eq!(life.account.snapshot(&limits, clock.now())[0].used, on_record + 20);
    assert_eq!(life.admitted(&limits, 1_000).await, 100 - on_record - 20);
    life.leave().await;
    assert!(ledger.recorded(key) >= 10 + 20 + (100 - on_record - 20));
}

#[tokio::test]
async fn whoever_waits_while_the_keeper_leaves_is_refused_rather_than_left_waiting() {
    let (ledger, clock) = (Arc::new(MemoryLedger::default()), Clock::manual(START));
    let life = Life::begin(&ledger, &clock, KeyId::generate());
    let (limiter, account) = (life.limiter.clone(), Arc::clone(&life.account));
    let limits = compiled(&rate(1, Period::Hour, 1_000));
    assert_eq!(life.admitted(&limits, 1).await, 1);
    life.leave().await;
    match limiter.admit(&account, &limits, clock.now()) {
        Admission::Denied(refusal) => assert_eq!(refusal.denial, Denial::Draining),
        other @ (Admission::Admitted(_) | Admission::NeedsLease(_)) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_fresh_key_waits_once_and_a_busy_one_not_at_all() {
    let (ledger, clock) = (Arc::new(MemoryLedger::default()), Clock::manual(START));
    let life = Life::begin(&ledger, &clock, KeyId::generate());
    let limits = compiled(&Limits { concurrency: Some(5), ..rate(1_000_000, Period::Second, 1_000_000) });
    let mut waits = 0;
    for _ in 0..100_000 {
        match life.limiter.admit(&life.account, &limits, clock.now()) {
            Admission::Admitted(_) => {
                // The keeper gets its turn, as it does on its own thread.
                tokio::task::yield_now().await;
            }
            Admission::Denied(refusal) => panic!("{refusal:?}"),
            Admission::NeedsLease(wait) => {
                waits += 1;
                wait.ready().await;
            }
        }
    }
    assert_eq!(waits, 1);
    assert!(ledger.renewals() < 100, "store calls per request go to 0 as load grows: {}", ledger.renewals());
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_routes_and_agents_are_on_record_with_those_of_their_key_and_never_before() {
    const WORKERS: u64 = 4;
    const EACH: u64 = 20_000;
    let (ledger, clock, key) = (Arc::new(MemoryLedger::default()), Clock::manual(START), KeyId::generate());
    let life = Life::begin(&ledger, &clock, key);
    let label: Arc<str> = Arc::from("/agents/{agent}");
    let agents = [AgentId::generate(), AgentId::generate()];
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (limiter, account) = (life.limiter.clone(), Arc::clone(&life.account));
            let label = Arc::clone(&label);
            std::thread::spawn(move || {
                let tally = limiter.path_tally();
                for (number, agent) in (0..EACH).zip(agents.into_iter().cycle()) {
                    let path = Path { route: 1, label: &label, agent: Some((agent, "echo")) };
                    let outcome = match number % 3 {
                        0 => Outcome::Allowed,
                        1 => Outcome::Failed(Denial::BadGateway),
                        _ => Outcome::Denied(Denial::RateExceeded),
                    };
                    limiter.count_path(&tally, &account, outcome, &path);
                }
            })
        })
        .collect();
    let mut store_fails = false;
    while workers.iter().any(|worker| !worker.is_finished()) {
        store_fails = !store_fails;
        clock.advance(Duration::from_secs(7));
        ledger.failing.store(store_fails, Ordering::SeqCst);
        life.limiter.flush().await;
        let (admitted, with_path) = ledger.recorded_with_paths(key);
        assert!(with_path <= admitted, "{with_path} by path, {admitted} admitted");
    }
    ledger.failing.store(false, Ordering::SeqCst);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    life.limiter.flush().await;
    let admitted = WORKERS * (EACH - EACH / 3);
    assert_eq!(ledger.recorded_with_paths(key), (admitted, admitted));
    assert_eq!(life.limiter.unattributed_requests(), 0);
    life.leave().await;
}
