//! A fleet without its ledger, for a while: what gateways go on with.

use std::time::Duration;

use super::scene::*;
use super::support::*;
use crate::domain::id::KeyId;
use crate::domain::limit::{Limits, Period, Quota, Rate, Window};

/// Forty requests a second and gateway for each key. Gives how many were refused, and how many there were.
async fn refused_in_outage(gateways: u32, burst: u64, seed: u64) -> (u64, u64) {
    let mut scene = Scene::begin(gateways, seed).floored().await;
    let keys: Vec<KeyId> = (0..10).map(|_| KeyId::generate()).collect();
    let limits = compiled(&Limits {
        rate: Some(Rate { requests: 50 * u64::from(gateways), per: Period::Second, burst }),
        quotas: Some(vec![Quota { requests: 100_000, per: Window::Day }]),
        concurrency: Some(100),
    });
    let mut dice = Dice(seed);
    let (mut refused, mut sent) = (0, 0);
    for turn in 0..9_000_u64 {
        // Thirty seconds with the ledger, eight without, seven with it again.
        match turn {
            6_000 => scene.outage(true),
            7_600 => scene.outage(false),
            _ => {}
        }
        for at in 0..gateways as usize {
            for key in &keys {
                // 40 a second of the 50 that are each gateway's share.
                if dice.below(10) < 2 {
                    sent += 1;
                    refused += u64::from(scene.admit(at, *key, &limits).await.is_err());
                }
            }
        }
        scene.pass(Duration::from_millis(5)).await;
    }
    (refused, sent)
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_some_seconds_refuses_nothing_that_is_far_from_its_limits() {
    for seed in 0..2 {
        for gateways in [2, 3] {
            let burst = 300 * u64::from(gateways);
            let (refused, sent) = refused_in_outage(gateways, burst, seed).await;
            assert_eq!(refused, 0, "of {sent}, {gateways} gateways");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_a_small_burst_no_more_than_the_silence_before_shares_flow() {
    for gateways in [2, 3] {
        let (refused, sent) = refused_in_outage(gateways, 20 * u64::from(gateways), 1).await;
        println!("{refused} of {sent} refused");
        // Two of 45 seconds, and what a bucket of that size refuses by itself.
        assert!(refused * 100 < sent * 6, "{refused} of {sent}");
    }
}
