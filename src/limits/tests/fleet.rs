//! A fleet's limits: exact under skewed load, lost answers, deaths, outages, and a ledger that forgets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::scene::*;
use super::support::*;
use crate::domain::denial::Denial;
use crate::domain::id::KeyId;
use crate::domain::limit::{Limits, Period, Quota, Rate, Window};
use crate::limits::slices::*;
use crate::limits::*;

#[tokio::test(start_paused = true)]
async fn a_fleet_under_skewed_load_admits_exactly_the_quota() {
    for seed in 0..8 {
        let mut scene = Scene::begin(3, seed).floored().await;
        let (key, limits, mut dice) = (KeyId::generate(), compiled(&quota(1_000, Window::Day)), Dice(seed));
        let mut admitted = 0;
        for _ in 0..2_000 {
            let at = [0, 0, 0, 0, 0, 0, 0, 1, 1, 2][dice.place(10)];
            admitted += scene.admitted(at, key, &limits, 1).await;
            scene.pass(Duration::from_millis(dice.below(20))).await;
        }
        assert!(admitted <= 1_000, "{admitted} admitted");
        // What one of them did not use comes back, and the others get it.
        for _ in 0..4 {
            scene.pass(Duration::from_secs(20)).await;
            admitted += scene.admitted(0, key, &limits, 1_000).await;
        }
        assert_eq!(admitted, 1_000);
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_dead_gateways_cost_at_most_what_they_held_and_grant_nothing_twice() {
    for seed in 0..8 {
        let mut scene = Scene::begin(4, seed).floored().await;
        for gateway in &scene.gateways {
            gateway.way.lost.store(200, Ordering::SeqCst);
            gateway.way.undelivered.store(100, Ordering::SeqCst);
        }
        let (key, limits, mut dice) = (KeyId::generate(), compiled(&quota(2_000, Window::Day)), Dice(seed));
        let (mut admitted, mut stranded) = (0, 0);
        for turn in 0..3_000 {
            let at = dice.place(scene.gateways.len());
            admitted += scene.admitted(at, key, &limits, 1).await;
            scene.pass(Duration::from_millis(dice.below(30))).await;
            if turn == 300 || turn == 600 {
                let (record, _) = scene.ledger.account(key).await.unwrap().unwrap();
                stranded += record
                    .gateways
                    .values()
                    .map(|gateway| gateway.windows[2].1 - gateway.windows[2].2)
                    .max()
                    .unwrap();
                scene.kill(at).await;
            }
        }
        assert!(admitted <= 2_000, "{admitted} admitted");
        for gateway in &scene.gateways {
            gateway.way.lost.store(0, Ordering::SeqCst);
            gateway.way.undelivered.store(0, Ordering::SeqCst);
        }
        for _ in 0..4 {
            scene.pass(Duration::from_secs(20)).await;
            admitted += scene.admitted(0, key, &limits, 2_000).await;
        }
        assert!(
            admitted <= 2_000 && admitted + stranded >= 2_000,
            "{admitted} admitted, {stranded} stranded"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_admits_over_all_gateways_no_more_than_its_bucket_and_little_less() {
    for seed in 0..8 {
        let mut scene = Scene::begin(3, seed).floored().await;
        let (key, mut dice) = (KeyId::generate(), Dice(seed));
        let rule = Rate { requests: 50, per: Period::Second, burst: 1 + dice.below(100) };
        let limits = compiled(&Limits { rate: Some(rule), ..Limits::default() });
        let interval = 1_000_000_000 / 50;
        let mut times = Vec::new();
        // What one bucket for all would admit of the same requests.
        let (mut ideal, mut full_at) = (0, 0);
        for turn in 0..4_000 {
            let (at, now_ns) = (dice.place(3), scene.clock.mono_ns());
            if scene.admit(at, key, &limits).await.is_ok() {
                times.push(now_ns);
            }
            let next = now_ns.max(full_at) + interval;
            if next <= now_ns + rule.burst * interval {
                (ideal, full_at) = (ideal + 1, next);
            }
            let pause = if turn % 400 == 399 { 3_000_000 } else { dice.below(8_000) };
            scene.pass(Duration::from_micros(pause)).await;
        }
        for (from, first) in times.iter().enumerate() {
            for (more, last) in times[from..].iter().enumerate().take(400) {
                let allowed = rule.burst + (last - first) / interval + 1;
                assert!((more as u64) < allowed, "{} in {} ns", more + 1, last - first);
            }
        }
        let admitted = times.len();
        assert!(admitted * 100 >= ideal * 90, "{admitted} admitted of {ideal}, burst {}", rule.burst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_cut_off_goes_on_with_its_share_of_a_rate_and_all_together_with_no_more_than_the_rate()
 {
    for seed in 0..4 {
        let mut scene = Scene::begin(3, seed).floored().await;
        let (key, mut dice) = (KeyId::generate(), Dice(seed));
        let rule = Rate { requests: 60, per: Period::Second, burst: 60 };
        let limits = compiled(&Limits { rate: Some(rule), ..Limits::default() });
        let (mut times, mut by_cut_off) = (Vec::new(), 0);
        for turn in 0..6_000 {
            match turn {
                1_000 => scene.cut_off(Some(1)),
                5_000 => scene.cut_off(None),
                _ => {}
            }
            let at = dice.place(3);
            if scene.admit(at, key, &limits).await.is_ok() {
                times.push(scene.clock.mono_ns());
                by_cut_off += u64::from(at == 1 && (2_000..5_000).contains(&turn));
            }
            scene.pass(Duration::from_micros(dice.below(8_000))).await;
        }
        let interval = 1_000_000_000 / 60;
        for (from, first) in times.iter().enumerate() {
            for (more, last) in times[from..].iter().enumerate() {
                let allowed = rule.burst + (last - first) / interval + 1;
                assert!((more as u64) < allowed, "{} in {} ns", more + 1, last - first);
            }
        }
        // 20 a second for about ten seconds.
        assert!(by_cut_off > 120, "{by_cut_off} admitted by the one that was cut off");
    }
}

#[tokio::test(start_paused = true)]
async fn places_of_all_gateways_together_are_the_concurrency_and_come_back() {
    let mut scene = Scene::begin(3, 1).floored().await;
    let key = KeyId::generate();
    let limits = compiled(&Limits { concurrency: Some(10), ..Limits::default() });
    let mut permits = Vec::new();
    for round in 0..3 {
        for _ in 0..40 {
            for at in 0..3 {
                permits.extend(scene.admit(at, key, &limits).await.ok());
            }
            scene.pass(Duration::from_millis(500)).await;
        }
        assert_eq!(permits.len(), 10, "round {round}");
        let refusal = scene.admit(0, key, &limits).await.unwrap_err();
        assert_eq!(refusal, Refusal { denial: Denial::ConcurrencyExceeded, retry_after_s: 1 });
        permits.clear();
        scene.pass(Duration::from_secs(20)).await;
    }
    for _ in 0..40 {
        permits.extend(scene.admit(2, key, &limits).await.ok());
        scene.pass(Duration::from_millis(500)).await;
    }
    assert_eq!(permits.len(), 10, "one gateway alone gets all");
    scene.kill(2).await;
    scene.pass(Duration::from_secs(900)).await;
    assert!(scene.admit(0, key, &limits).await.is_err(), "it may go on until then");
    scene.pass(Duration::from_secs(60)).await;
    assert!(scene.admit(0, key, &limits).await.is_ok(), "places of the dead lapse");
}

#[tokio::test(start_paused = true)]
async fn without_the_ledger_slices_go_on_and_then_the_answer_is_unavailable_and_not_a_refusal_by_the_limit() {
    let mut scene = Scene::begin(2, 1).floored().await;
    let (key, limits) = (KeyId::generate(), compiled(&quota(10_000, Window::Day)));
    let mut admitted = scene.admitted(0, key, &limits, 10).await;
    scene.gateways[0].way.undelivered.store(1_000, Ordering::SeqCst);
    let refusal = loop {
        match scene.admit(0, key, &limits).await {
            Ok(_) => admitted += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, Refusal { denial: Denial::Unavailable, retry_after_s: 1 });
    assert!((11..5_000).contains(&admitted), "{admitted}");
    let standing = scene.gateways[0].limiter.fleet_standing().unwrap();
    assert!(standing.away && standing.undecided > 0);
    scene.gateways[0].way.undelivered.store(0, Ordering::SeqCst);
    scene.pass(Duration::from_secs(1)).await;
    admitted += scene.admitted(0, key, &limits, 20_000).await;
    scene.pass(Duration::from_secs(20)).await;
    admitted += scene.admitted(0, key, &limits, 1).await;
    assert_eq!(admitted, 10_000);
    assert!(!scene.gateways[0].limiter.fleet_standing().unwrap().away);
}

#[tokio::test(start_paused = true)]
async fn leaving_gives_back_what_was_not_used() {
    let mut scene = Scene::begin(2, 1).floored().await;
    let key = KeyId::generate();
    let limits = compiled(&Limits {
        rate: Some(Rate { requests: 100, per: Period::Hour, burst: 100 }),
        quotas: Some(vec![Quota { requests: 60, per: Window::Day }]),
        concurrency: Some(4),
    });
    let mut admitted = scene.admitted(0, key, &limits, 7).await;
    scene.leave(0).await;
    admitted += scene.admitted(0, key, &limits, 1_000).await;
    assert_eq!(admitted, 60);
    let (record, _) = scene.ledger.account(key).await.unwrap().unwrap();
    assert_eq!(record.windows[2].unwrap().stranded, 0);
}

#[tokio::test(start_paused = true)]
async fn busy_keys_cost_less_than_one_call_in_a_hundred_requests() {
    let mut scene = Scene::begin(3, 1).floored().await;
    let keys: Vec<KeyId> = (0..100).map(|_| KeyId::generate()).collect();
    let limits = compiled(&Limits {
        rate: Some(Rate { requests: 200, per: Period::Second, burst: 400 }),
        concurrency: Some(100),
        quotas: Some(vec![
            Quota { requests: 10_000_000, per: Window::Day },
            Quota { requests: 200_000_000, per: Window::Month },
        ]),
    });
    // 10,000 requests a second over all of them.
    for second in 0..12 {
        let before = scene.ledger.exchanges();
        for turn in 0..100_u64 {
            for (at, key) in keys.iter().enumerate() {
                let gateway = (at as u64 + turn) % 3;
                assert!(scene.admit(gateway as usize, *key, &limits).await.is_ok());
            }
            scene.pass(Duration::from_millis(10)).await;
        }
        let calls = scene.ledger.exchanges() - before;
        println!("second {second}: {calls} calls");
        assert!(second < 2 || calls <= 100, "{calls} calls for 10,000 requests");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_lost_its_data_goes_on_from_what_sql_knows_and_what_gateways_say() {
    let mut scene = Scene::begin(2, 1).floored().await;
    let (key, limits) = (KeyId::generate(), compiled(&quota(1_000, Window::Day)));
    let before = scene.admitted(0, key, &limits, 300).await + scene.admitted(1, key, &limits, 40).await;
    assert_eq!(before, 340);
    scene.ledger.begin(2);
    scene.view = FleetView { epoch: 2, ledger_open: false, ..scene.view };
    scene.pass(Duration::from_secs(1)).await;
    for gateway in &scene.gateways {
        assert_eq!(gateway.limiter.fleet_standing().unwrap().declared_epoch, 2);
    }
    scene.view.ledger_open = true;
    scene.sync();
    let mut after = scene.admitted(0, key, &limits, 1_000).await;
    assert!(after < 1_000 - before, "only what is held, until SQL has spoken");
    assert_eq!(scene.admit(0, key, &limits).await.unwrap_err().denial, Denial::Unavailable);
    assert_eq!(scene.ledger.wanted(10).await.unwrap(), [key]);
    let (record, _) = scene.ledger.account(key).await.unwrap().unwrap();
    let span = record.windows[2].unwrap().span;
    let floor = Floor { key, quotas: vec![(Window::Day, span, before)], recent: before };
    assert_eq!(scene.ledger.put_floors(2, &[floor]).await.unwrap(), 1);
    scene.pass(Duration::from_secs(1)).await;
    after += scene.admitted(0, key, &limits, 1_000).await;
    scene.pass(Duration::from_secs(20)).await;
    after += scene.admitted(1, key, &limits, 1_000).await + scene.admitted(0, key, &limits, 1_000).await;
    assert_eq!(before + after, 1_000);
}
