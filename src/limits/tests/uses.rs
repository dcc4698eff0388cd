//! What the usage page of a fleet shows, from what gateways have told the ledger.

use std::time::Duration;

use super::scene::*;
use super::support::*;
use crate::domain::clock::UnixMillis;
use crate::domain::id::KeyId;
use crate::domain::limit::{Limits, Period, Quota, Rate, Window};
use crate::limits::slices::*;
use crate::limits::{LimitKind, LimitUse};

fn of(uses: &[LimitUse], kind: LimitKind) -> (u64, u64, u64) {
    let line = uses.iter().find(|line| line.kind == kind).unwrap();
    (line.limit, line.used, line.remaining)
}

#[tokio::test(start_paused = true)]
async fn usage_is_what_was_used_and_what_died_with_a_gateway_is_neither_used_nor_left() {
    let mut scene = Scene::begin(2, 1).floored().await;
    let limits = compiled(&Limits {
        rate: Some(Rate { requests: 60, per: Period::Hour, burst: 60 }),
        quotas: Some(vec![Quota { requests: 100, per: Window::Day }]),
        concurrency: Some(4),
    });
    let key = KeyId::generate();
    assert_eq!(scene.admitted(0, key, &limits, 10).await + scene.admitted(1, key, &limits, 5).await, 15);
    // What is unused goes back, and the ledger is told of what is not.
    scene.pass(Duration::from_secs(30)).await;
    let (record, now_us) = scene.ledger.account(key).await.unwrap().unwrap();
    let uses = record.uses(&limits, now_us);
    assert_eq!(of(&uses, LimitKind::Quota), (100, 15, 85));
    assert_eq!(of(&uses, LimitKind::Rate), (60, 15, 45));
    assert_eq!(of(&uses, LimitKind::Concurrency), (4, 0, 4));
    assert_eq!(record.stranded(UnixMillis(now_us / 1_000)), 0);

    assert_eq!(scene.admitted(0, key, &limits, 1).await, 1);
    let (record, _) = scene.ledger.account(key).await.unwrap().unwrap();
    let held = record.windows[2].unwrap().total - 15;
    assert!(held > 1, "a slice");
    scene.kill(0).await;
    scene.pass(Duration::from_secs(1_000)).await;
    assert_eq!(scene.admitted(0, key, &limits, 1).await, 1);
    scene.pass(Duration::from_secs(30)).await;
    let (record, now_us) = scene.ledger.account(key).await.unwrap().unwrap();
    assert_eq!(record.stranded(UnixMillis(now_us / 1_000)), held);
    assert_eq!(of(&record.uses(&limits, now_us), LimitKind::Quota), (100, 16, 84 - held));
    let tomorrow_us = now_us + 86_400_000_000;
    assert_eq!(record.stranded(UnixMillis(tomorrow_us / 1_000)), 0);
    assert_eq!(of(&record.uses(&limits, tomorrow_us), LimitKind::Quota), (100, 0, 100));
}
