//! A gateway that was taken to be gone, or for which the ledger changed while it asked, and one that leaves.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::scene::*;
use super::support::*;
use crate::domain::denial::Denial;
use crate::domain::id::KeyId;
use crate::domain::limit::{Limits, Period, Quota, Rate, Window};
use crate::limits::EffectiveLimits;
use crate::limits::slices::*;

const QUOTA: u64 = 1_000;

/// What SQL has counted, once the ledger of epoch 2 is open.
async fn put_floor(scene: &Scene, key: KeyId, admitted: u64) {
    let (record, _) = scene.ledger.account(key).await.unwrap().unwrap();
    let span = record.windows[2].unwrap().span;
    let floor = Floor { key, quotas: vec![(Window::Day, span, admitted)], recent: 0 };
    scene.ledger.put_floors(2, &[floor]).await.unwrap();
}

/// Gateway 0 spends some, holds more and is cut off; the ledger is lost and opened without it, and gateway 1 spends all
/// that is left. Gives how many were admitted.
async fn opened_without_the_first(scene: &mut Scene, key: KeyId, limits: &Arc<EffectiveLimits>) -> u64 {
    let mut admitted = scene.admitted(0, key, limits, 300).await + scene.admitted(1, key, limits, 10).await;
    assert!(scene.gateways[0].limiter.fleet_standing().unwrap().outstanding > 0, "it holds more");
    scene.cut_off(Some(0));
    scene.ledger.begin(2);
    scene.view = FleetView { epoch: 2, ledger_open: false, ..scene.view };
    scene.pass(Duration::from_secs(1)).await;
    scene.view.ledger_open = true;
    scene.pass(Duration::from_secs(1)).await;
    put_floor(scene, key, admitted).await;
    scene.pass(Duration::from_secs(1)).await;
    admitted += scene.admitted(1, key, limits, 2 * QUOTA).await;
    assert_eq!(admitted, QUOTA, "nobody knows of what the first one holds");
    admitted
}

fn show(scene: &Scene, at: usize, view: FleetView) {
    scene.gateways[at].view.send(view).unwrap();
}

fn lapses_seen(scene: &Scene) -> u64 {
    scene.gateways[0].limiter.fleet_standing().unwrap().lapses_seen
}

#[tokio::test(start_paused = true)]
async fn a_gateway_whose_trust_ran_out_comes_back_with_empty_hands() {
    let mut scene = Scene::begin(2, 1).floored().await;
    let (key, limits) = (KeyId::generate(), compiled(&quota(QUOTA, Window::Day)));
    let earlier = scene.view;
    let mut admitted = opened_without_the_first(&mut scene, key, &limits).await;
    show(&scene, 0, FleetView { lapses: 1, ..earlier });
    scene.settle().await;
    assert_eq!(lapses_seen(&scene), 1);
    assert_eq!(scene.gateways[0].limiter.fleet_standing().unwrap().outstanding, 0);
    // What it is told first of the new epoch may be from before its ledger was opened.
    scene.gateways[0].way.undelivered.store(0, Ordering::SeqCst);
    show(&scene, 0, FleetView { lapses: 1, ledger_open: false, ..scene.view });
    scene.settle().await;
    admitted += scene.admitted(0, key, &limits, QUOTA).await;
    scene.view.lapses = 1;
    scene.cut_off(None);
    scene.pass(Duration::from_secs(2)).await;
    admitted += scene.admitted(0, key, &limits, QUOTA).await;
    assert_eq!(admitted, QUOTA);
    assert_eq!(scene.gateways[0].limiter.fleet_standing().unwrap().declared_epoch, 2);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_finds_the_ledger_opened_without_it_comes_back_with_empty_hands() {
    for under_way in [false, true] {
        let mut scene = Scene::begin(2, 1).floored().await;
        let (key, limits) = (KeyId::generate(), compiled(&quota(QUOTA, Window::Day)));
        let mut admitted = opened_without_the_first(&mut scene, key, &limits).await;
        scene.gateways[0].way.undelivered.store(0, Ordering::SeqCst);
        if under_way {
            // It is told that the ledger is open while its declaration is on its way.
            scene.gateways[0].way.slow.send_replace(true);
            show(&scene, 0, FleetView { ledger_open: false, ..scene.view });
            scene.settle().await;
        }
        show(&scene, 0, scene.view);
        scene.settle().await;
        scene.gateways[0].way.slow.send_replace(false);
        scene.settle().await;
        admitted += scene.admitted(0, key, &limits, QUOTA).await;
        scene.cut_off(None);
        scene.pass(Duration::from_secs(2)).await;
        admitted += scene.admitted(0, key, &limits, QUOTA).await;
        assert_eq!(admitted, QUOTA, "under way: {under_way}");
    }
}

/// Has gateway 0 ask for more; the answer stays under way.
async fn ask_slowly(scene: &mut Scene, key: KeyId, limits: &Arc<EffectiveLimits>) -> u64 {
    let way = Arc::clone(&scene.gateways[0].way);
    way.slow.send_replace(true);
    let (mut admitted, before) = (0, way.done.load(Ordering::SeqCst));
    while way.done.load(Ordering::SeqCst) == before {
        admitted += scene.admitted(0, key, limits, 1).await;
        // Longer than renewals are gathered, and shorter than an answer is waited for.
        scene.pass(Duration::from_millis(60)).await;
        assert!(admitted < QUOTA, "it asks for more some time");
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_when_trust_runs_out_is_let_go_of_before_that_is_said() {
    let mut scene = Scene::begin(2, 1).floored().await;
    let limits = compiled(&Limits {
        rate: Some(Rate { requests: 100, per: Period::Hour, burst: 1_000 }),
        quotas: Some(vec![Quota { requests: QUOTA, per: Window::Day }]),
        concurrency: Some(40),
    });
    let key = KeyId::generate();
    let mut admitted = scene.admitted(0, key, &limits, 20).await;
    admitted += ask_slowly(&mut scene, key, &limits).await;
    scene.view.lapses = 1;
    scene.sync();
    scene.settle().await;
    assert_eq!(lapses_seen(&scene), 0, "an answer may still bring something");
    scene.gateways[0].way.slow.send_replace(false);
    scene.settle().await;
    assert_eq!(lapses_seen(&scene), 1);
    assert_eq!(scene.gateways[0].limiter.fleet_standing().unwrap().outstanding, 0);
    scene.pass(Duration::from_secs(1)).await;
    let (record, _) = scene.ledger.account(key).await.unwrap().unwrap();
    assert_eq!((record.windows[2].unwrap().total, record.tokens_out()), (admitted, 0), "and it went back");
    let level = record.rate.unwrap().left();
    // 100 an hour flow in meanwhile.
    assert!((1_000 - admitted..=1_000 - admitted + 2).contains(&level), "{level} left after {admitted}");
    // In the same epoch all of it can be used again.
    admitted += scene.admitted(0, key, &limits, 2 * QUOTA).await;
    scene.pass(Duration::from_secs(40)).await;
    admitted += scene.admitted(1, key, &limits, 2 * QUOTA).await;
    assert_eq!(admitted, QUOTA);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_an_earlier_lineage_grants_nothing_in_the_next() {
    let mut scene = Scene::begin(2, 1).floored().await;
    let (key, limits) = (KeyId::generate(), compiled(&quota(QUOTA, Window::Day)));
    let mut admitted = scene.admitted(0, key, &limits, 100).await;
    admitted += ask_slowly(&mut scene, key, &limits).await;
    let held = scene.gateways[0].limiter.fleet_standing().unwrap().outstanding;
    scene.ledger.begin(2);
    scene.view = FleetView { epoch: 2, ledger_open: false, ..scene.view };
    scene.sync();
    scene.settle().await;
    assert_ne!(
        scene.gateways[0].limiter.fleet_standing().unwrap().declared_epoch,
        2,
        "it has said nothing yet"
    );
    scene.gateways[0].way.slow.send_replace(false);
    scene.settle().await;
    assert_eq!(scene.gateways[0].limiter.fleet_standing().unwrap().declared_epoch, 2);
    let (record, _) = scene.ledger.account(key).await.unwrap().unwrap();
    assert!(record.windows[2].unwrap().total <= held, "what was granted before, and no more");
    scene.view.ledger_open = true;
    scene.sync();
    put_floor(&scene, key, admitted).await;
    for at in [0, 1, 0, 1] {
        admitted += scene.admitted(at, key, &limits, QUOTA).await;
        scene.pass(Duration::from_secs(20)).await;
    }
    assert_eq!(admitted, QUOTA);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_leaves_strands_nothing_whatever_it_was_about_to_ask_and_whichever_answer_is_lost() {
    for spent in 1..60 {
        let mut scene = Scene::begin(2, spent).floored().await;
        let limits = compiled(&Limits {
            rate: Some(Rate { requests: 100, per: Period::Hour, burst: 400 }),
            quotas: Some(vec![Quota { requests: 400, per: Window::Day }]),
            concurrency: Some(40),
        });
        let key = KeyId::generate();
        let admitted = scene.admitted(0, key, &limits, spent).await;
        // A renewal that nobody waits for is gathered with others for a moment.
        scene.settle().await;
        scene.gateways[0].way.lost.store(if spent % 2 == 0 { 300 } else { 0 }, Ordering::SeqCst);
        scene.leave(0).await;
        let (record, _) = scene.ledger.account(key).await.unwrap().unwrap();
        assert_eq!(record.windows[2].unwrap().total, admitted);
        assert_eq!((record.tokens_out(), record.places_out()), (0, 0), "{spent} spent");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_rate_goes_on_in_a_new_lineage_from_what_sql_counted_lately() {
    let mut scene = Scene::begin(1, 1).floored().await;
    let (key, limits) = (KeyId::generate(), compiled(&rate(10, Period::Hour, 10)));
    scene.ledger.begin(2);
    scene.view.epoch = 2;
    scene.pass(Duration::from_secs(1)).await;
    assert_eq!(scene.admit(0, key, &limits).await.unwrap_err().denial, Denial::Unavailable);
    assert_eq!(scene.ledger.wanted(10).await.unwrap(), [key]);
    let floor = Floor { key, quotas: Vec::new(), recent: 7 };
    assert_eq!(scene.ledger.put_floors(2, &[floor]).await.unwrap(), 1);
    scene.pass(Duration::from_secs(1)).await;
    assert_eq!(scene.admitted(0, key, &limits, 10).await, 3);
    assert_eq!(scene.admit(0, key, &limits).await.unwrap_err().denial, Denial::RateExceeded);
}
