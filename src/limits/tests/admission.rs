//! What is admitted, what is refused, and what clients are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::support::*;
use crate::domain::clock::Clock;
use crate::domain::denial::Denial;
use crate::domain::id::KeyId;
use crate::domain::limit::{Limits, Period, Quota, Rate, Window};
use crate::limits::*;

fn life(clock: &Clock) -> Life {
    Life::begin(&Arc::new(MemoryLedger::default()), clock, KeyId::generate())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_requests_at_once_against_a_hundred_an_hour_admit_exactly_a_hundred() {
    let clock = Clock::manual(START);
    for limits in [quota(100, Window::Hour), rate(100, Period::Hour, 100)] {
        let (life, limits) = (Arc::new(life(&clock)), compiled(&limits));
        let connections: Vec<_> = (0..50)
            .map(|_| {
                let (life, limits) = (Arc::clone(&life), Arc::clone(&limits));
                tokio::spawn(async move { life.admitted(&limits, 20).await })
            })
            .collect();
        let mut admitted = 0;
        for connection in connections {
            admitted += connection.await.unwrap();
        }
        assert_eq!(admitted, 100);
        assert_eq!(life.account.totals().allowed, 100);
        assert_eq!(life.account.totals().denied(), 900);
    }
}

#[tokio::test]
async fn threads_racing_for_a_quota_and_for_places_get_exactly_the_limit() {
    let clock = Clock::manual(START);
    let life = life(&clock);
    let limits = compiled(&Limits { concurrency: Some(700), ..quota(1_000, Window::Day) });
    // One permit is taken first, so that a lease is there; the threads cannot wait for the keeper.
    let mut permits = vec![life.admit(&limits).await.unwrap()];
    life.limiter.recall(&life.account, &limits).await;
    let admitted = AtomicU64::new(0);
    while permits.len() < 700 {
        std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let mut won = Vec::new();
                        while let Admission::Admitted(permit) =
                            life.limiter.admit(&life.account, &limits, clock.now())
                        {
                            admitted.fetch_add(1, Ordering::Relaxed);
                            won.push(permit);
                        }
                        won
                    })
                })
                .collect();
            for racer in racers {
                permits.extend(racer.join().unwrap());
            }
        });
        assert!(life.account.in_flight() <= 700);
        if permits.len() < 700 {
            permits.push(life.admit(&limits).await.unwrap());
        }
    }
    let refusal = life.admit(&limits).await.unwrap_err();
    assert_eq!(refusal, Refusal { denial: Denial::ConcurrencyExceeded, retry_after_s: 1 });
    drop(permits);
    assert_eq!(life.account.in_flight(), 0);
    assert_eq!(life.admitted(&limits, 1_000).await, 300);
}

#[tokio::test]
async fn a_refused_request_is_not_charged_to_any_limit() {
    let clock = Clock::manual(START);
    let life = life(&clock);
    let limits = compiled(&Limits {
        rate: Some(Rate { requests: 10, per: Period::Hour, burst: 10 }),
        quotas: Some(vec![
            Quota { requests: 3, per: Window::Minute },
            Quota { requests: 100, per: Window::Day },
        ]),
        concurrency: None,
    });
    assert_eq!(life.admitted(&limits, 50).await, 3);
    let used: Vec<u64> = life.account.snapshot(&limits, clock.now()).iter().map(|line| line.used).collect();
    assert_eq!(used, [3, 3, 3]);
    assert_eq!(life.account.in_flight(), 0);
}

#[tokio::test]
async fn a_changed_limit_keeps_use_and_window() {
    let clock = Clock::manual(START);
    let life = life(&clock);
    let narrow = compiled(&quota(5, Window::Day));
    assert_eq!(life.admitted(&narrow, 9).await, 5);
    let resets_at = life.account.snapshot(&narrow, clock.now())[0].resets_at;
    let wide = compiled(&quota(8, Window::Day));
    assert_eq!(life.account.snapshot(&wide, clock.now())[0].used, 5);
    assert_eq!(life.account.snapshot(&wide, clock.now())[0].resets_at, resets_at);
    assert_eq!(life.admitted(&wide, 9).await, 3);
    assert_eq!(life.admitted(&narrow, 9).await, 0);
    clock.advance(Duration::from_secs(86_400));
    assert_eq!(life.admitted(&narrow, 9).await, 5);
}

#[tokio::test]
async fn a_key_over_its_quota_never_asks_the_ledger_again_in_that_window() {
    let ledger = Arc::new(MemoryLedger::default());
    let clock = Clock::manual(START);
    let life = Life::begin(&ledger, &clock, KeyId::generate());
    let limits = compiled(&quota(20, Window::Hour));
    assert_eq!(life.admitted(&limits, 21).await, 20);
    let asked = ledger.renewals();
    assert_eq!(life.admitted(&limits, 10_000).await, 0);
    assert_eq!(ledger.renewals(), asked);
}

#[tokio::test]
async fn clients_are_told_where_they_stand() {
    let clock = Clock::manual(START);
    let life = life(&clock);
    let limits = compiled(&Limits {
        rate: Some(Rate { requests: 100, per: Period::Second, burst: 200 }),
        concurrency: Some(100),
        quotas: Some(vec![Quota { requests: 100_000, per: Window::Day }]),
    });
    let _permit = life.admit(&limits).await.unwrap();
    let mut out = Vec::new();
    life.limiter.write_fields(&life.account, &limits, clock.now(), &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "ratelimit-policy: \"rate\";q=200;w=2, \"day\";q=100000;w=86400, \
         \"concurrency\";q=100;qu=\"concurrent-requests\"\r\n\
         ratelimit: \"rate\";r=199;t=1, \"day\";r=99999;t=35849\r\n"
    );
    let mut out = Vec::new();
    life.limiter.write_fields(&life.account, &compiled(&Limits::default()), clock.now(), &mut out);
    assert!(out.is_empty());
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let period = prop::sample::select(vec![Period::Second, Period::Minute, Period::Hour, Period::Day]);
    let rate =
        (1_u64..2_000, period, 1_u64..6).prop_map(|(requests, per, burst)| Rate { requests, per, burst });
    let quotas = prop::sample::subsequence(Window::ALL.to_vec(), 0..4).prop_flat_map(|windows| {
        let quotas: Vec<_> = windows
            .into_iter()
            .map(|per| (1_u64..8).prop_map(move |requests| Quota { requests, per }))
            .collect();
        quotas
    });
    (prop::option::of(rate), prop::option::of(1_u32..3), prop::option::of(quotas))
        .prop_map(|(rate, concurrency, quotas)| Limits { rate, concurrency, quotas })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_lone_client_that_waits_exactly_as_told_is_admitted(
        limits in any_limits(),
        start_ms in 0_u64..200_000_000_000,
        pauses_ms in prop::collection::vec(0_u64..90_000, 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told_truly = runtime.block_on(async {
            let clock = Clock::manual(crate::domain::clock::UnixMillis(START.0 + start_ms));
            let life = life(&clock);
            let limits = compiled(&limits);
            for pause in pauses_ms {
                clock.advance(Duration::from_millis(pause));
                if let Err(refusal) = life.admit(&limits).await {
                    clock.advance(Duration::from_secs(refusal.retry_after_s));
                    if let Err(again) = life.admit(&limits).await {
                        return Err((refusal, again));
                    }
                }
            }
            Ok(())
        });
        prop_assert_eq!(told_truly, Ok(()));
    }
}
