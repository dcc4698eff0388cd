//! A fleet without its ledger, for a while: what gateways go on with.

use std::time::Duration;

use super::scene::*;
use super::support::*;
use crate::domain::id::KeyId;
use crate::domain::limit::{Limits, Period, Quota, Rate, Window};

/// Requests that were refused before, in and after an outage, and those of the outage.
#[derive(Debug, Default)]
struct Outage {
    before: u64,
    during: u64,
    after: u64,
    sent: u64,
}

/// Forty requests a second and gateway for each key, under a rate and a burst of so much for each gateway.
async fn outage(gateways: u32, per_second: u64, burst: u64, seed: u64) -> Outage {
    let mut scene = Scene::begin(gateways, seed).floored().await;
    let keys: Vec<KeyId> = (0..5).map(|_| KeyId::generate()).collect();
    let (requests, burst) = (per_second * u64::from(gateways), burst * u64::from(gateways));
    let limits = compiled(&Limits {
        rate: Some(Rate { requests, per: Period::Second, burst }),
        quotas: Some(vec![Quota { requests: 100_000, per: Window::Day }]),
        concurrency: Some(100),
    });
    let (mut dice, mut seen) = (Dice(seed), Outage::default());
    // Turns of 5 ms: twenty seconds with the ledger, eight without, seven with it again.
    for turn in 0..7_000_u64 {
        match turn {
            4_000 => scene.outage(true),
            5_600 => scene.outage(false),
            _ => {}
        }
        for (at, key) in (0..gateways as usize).flat_map(|at| keys.iter().map(move |key| (at, key))) {
            if dice.below(10) < 2 {
                let refused = u64::from(scene.admit(at, *key, &limits).await.is_err());
                match turn {
                    0..4_000 => seen.before += refused,
                    4_000..5_600 => (seen.during, seen.sent) = (seen.during + refused, seen.sent + 1),
                    _ => seen.after += refused,
                }
            }
        }
        scene.pass(Duration::from_millis(5)).await;
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_some_seconds_refuses_nothing_where_limits_are_far_away() {
    for (gateways, seed) in [(2, 1), (2, 2), (3, 3)] {
        let seen = outage(gateways, 200, 400, seed).await;
        assert_eq!((seen.before, seen.during, seen.after), (0, 0, 0), "{gateways} gateways: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn near_its_rate_a_key_is_served_in_an_outage_from_what_flows_in() {
    for (gateways, seed) in [(2, 1), (3, 2)] {
        let seen = outage(gateways, 50, 300, seed).await;
        assert_eq!((seen.before, seen.during), (0, 0), "{gateways} gateways: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_burst_costs_an_outage_no_more_than_the_silence_before_shares_flow() {
    let seen = outage(2, 50, 20, 1).await;
    println!("{seen:?}");
    // At most two seconds of eight, and a little for a bucket of that size.
    assert!(seen.during * 100 < seen.sent * 30, "{seen:?}");
}
