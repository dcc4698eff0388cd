//! The ledger in Redis: it keeps the contract, and answers as the rules in Rust do.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use super::fleet;
use super::servers::{Cluster, RedisServer};
use crate::domain::clock::{Clock, UnixMillis};
use crate::domain::id::{GatewayId, KeyId};
use crate::domain::limit::Window;
use crate::fleet::FleetBook;
use crate::fleet::hub::{Hub, Lease};
use crate::fleet::redis::{RedisHub, RedisLedger};
use crate::limits::slices::*;
use crate::limits::tests::scene::Dice;
use crate::limits::tests::slices::{Players, holds};
use crate::limits::tests::support::{compiled, quota};
use crate::limits::{Account, Admission, EffectiveLimits, Limiter, Seat};

/// The hub and its ledger, at an epoch that is open, and the prefix of their names.
async fn opened(url: &str, epoch: u64) -> (RedisHub, RedisLedger, String) {
    let fleet = fleet(url, "");
    let hub = RedisHub::new(&fleet).unwrap();
    let lease = Lease { term: 1, epoch };
    hub.begin(lease).await.unwrap();
    hub.open(lease, 0).await.unwrap();
    (hub.clone(), hub.ledger(), fleet.key_prefix)
}

fn now(server: &RedisServer) -> UnixMillis {
    let told = server.command(&["TIME"]);
    let mut numbers = told.split_whitespace().map(|number| number.parse::<u64>().unwrap());
    UnixMillis(numbers.next().unwrap() * 1_000 + numbers.next().unwrap() / 1_000)
}

fn began_us(server: &RedisServer, prefix: &str) -> u64 {
    server.command(&["HGET", &format!("{prefix}:{{k0}}:ledger"), "began"]).parse().unwrap()
}

#[tokio::test]
async fn the_ledger_in_redis_keeps_the_contract() {
    let server = RedisServer::start();
    let (hub, ledger, _) = opened(&server.url(), 7).await;
    holds(&ledger, now(&server)).await;
    // Who needs a floor is on the list of the publisher, which is told behind the answer.
    while ledger.wanted(100).await.unwrap().len() + hub.take_wanted(100).await.unwrap().len() == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_ledger_in_a_cluster_keeps_the_contract() {
    let mut cluster = Cluster::start();
    let (_, ledger, _) = opened(&cluster.url(), 7).await;
    let now = now(&cluster.servers()[0]);
    holds(&ledger, now).await;
    let lanes: std::collections::BTreeSet<_> = (0..200).map(|_| ledger.lane(KeyId::generate())).collect();
    assert!(lanes.len() > 1 && lanes.iter().all(|lane| *lane < ledger.lanes()));
}

#[tokio::test]
async fn a_redis_that_nobody_vouches_for_grants_nothing() {
    let server = RedisServer::start();
    let (_, ledger, prefix) = opened(&server.url(), 7).await;
    let mut players = Players::new(1, 7, now(&server).0 + 100_000, 1_000);
    let ask = players.next_move().ask;
    assert!(ledger.exchange(std::slice::from_ref(&ask)).await.is_ok());
    let other = SliceAsk { epoch: 8, ..ask.clone() };
    assert!(ledger.exchange(&[other]).await.is_err(), "of an epoch that is not there");
    let stamp = format!("{prefix}:{{k0}}:table:7");
    server.command(&["HSET", &stamp, "!process", "another"]);
    assert!(ledger.exchange(&[ask]).await.is_err());
}

#[tokio::test]
async fn redis_answers_as_the_rules_do_whatever_gateways_ask_lose_and_repeat() {
    let server = RedisServer::start();
    let (_, ledger, prefix) = opened(&server.url(), 1).await;
    for seed in 0..60 {
        println!("seed {seed}");
        let base_ms = now(&server).0 + 100_000;
        let mut players = Players::new(seed, 1, base_ms, 1 + seed % 20);
        let mut record = AccountRecord::default();
        let mut lineage = Lineage { epoch: 1, began_us: 0, floors_complete: false };
        for _ in 0..150 {
            let turn = players.next_move();
            let answer = ledger.exchange(std::slice::from_ref(&turn.ask)).await.unwrap().remove(0);
            if lineage.began_us == 0 {
                lineage.began_us = began_us(&server, &prefix);
            }
            let Some((kept, _)) = ledger.account(players.key).await.unwrap() else {
                assert_eq!(answer, SliceAnswer::Forgotten);
                continue;
            };
            // By the instant that the script took, which it noted, unless it had nothing to carry out.
            let at_us = kept.gateways.get(&turn.ask.gateway).map_or(0, |gateway| gateway.at_us);
            assert_eq!(record.exchange(&turn.ask, at_us, lineage), answer);
            assert_eq!(without_answers(&record), kept);
            players.hear(&turn, &answer);
            players.check(&kept);
        }
    }
}

fn without_answers(record: &AccountRecord) -> AccountRecord {
    let mut record = record.clone();
    record.gateways.values_mut().for_each(|gateway| gateway.answer = SliceAnswer::Late);
    record
}

/// Asks that no gateway makes, but whose numbers are at the edges of what is counted exactly.
#[tokio::test]
async fn redis_counts_exactly_at_the_edges() {
    let server = RedisServer::start();
    let (_, ledger, prefix) = opened(&server.url(), 1).await;
    let mut dice = Dice(11);
    let base_ms = now(&server).0;
    for seed in 0..40 {
        println!("seed {seed}");
        let mut players = Players::new(seed, 1, base_ms + 100_000, 1 + seed % 20);
        let mut record = AccountRecord::default();
        let mut lineage = Lineage { epoch: 1, began_us: 0, floors_complete: false };
        for number in 1..60 {
            let mut ask = SliceAsk { number, first: number == 1, ..players.next_move().ask };
            ask.key = players.key;
            ask.silent = u32::try_from(dice.below(3)).unwrap();
            ask.unrecorded = dice.below(1 << 40);
            let [interval, per_us] =
                [[1, 1_000], [1 << 52, 1], [86_400_000_000, 1], [333_333_334, 1_000]][dice.place(4)];
            if let Some(rate) = &mut ask.rate {
                (rate.interval, rate.per_us) = (interval, per_us);
                rate.burst = ((1 << 52) / interval).min(1 + dice.below(1 << 40));
                rate.quiet_us = dice.of_any_size(20);
                rate.refilled = dice.below(3);
                rate.want = rate.held + dice.of_any_size(40);
            }
            for quota in &mut ask.quotas {
                quota.limit = dice.below(1 << 40);
                quota.want = quota.used + dice.of_any_size(40);
            }
            // One gateway after the other begins anew, by a first ask of another.
            let known = record.gateways.contains_key(&ask.gateway);
            ask.first |= !known;
            let answer = ledger.exchange(std::slice::from_ref(&ask)).await.unwrap().remove(0);
            if lineage.began_us == 0 {
                lineage.began_us = began_us(&server, &prefix);
            }
            let (kept, _) = ledger.account(players.key).await.unwrap().unwrap();
            let at_us = kept.gateways.get(&ask.gateway).map_or(0, |gateway| gateway.at_us);
            assert_eq!(record.exchange(&ask, at_us, lineage), answer, "{ask:?}");
            assert_eq!(without_answers(&record), kept);
        }
        let floor = Floor { key: players.key, quotas: Vec::new(), recent: dice.below(100) };
        ledger.put_floors(1, &[floor]).await.unwrap();
        players.key = KeyId::generate();
    }
}

/// A gateway's half: its limiter, and how to have its keeper leave.
struct Gateway {
    limiter: Limiter,
    account: Arc<Account>,
    keeper: tokio::task::JoinHandle<()>,
    leave: oneshot::Sender<()>,
}

impl Gateway {
    fn begin(ledger: &RedisLedger, key: KeyId, views: watch::Receiver<FleetView>) -> Gateway {
        let (limiter, keeper) = Limiter::fleet();
        let (leave, left) = oneshot::channel::<()>();
        let seat = Seat { gateway: GatewayId::generate(), goes_on: std::time::Duration::from_secs(600) };
        let (ledger, book) = (Arc::new(ledger.clone()), Arc::new(FleetBook::default()));
        let keeper = tokio::spawn(keeper.run(ledger, book, Clock::system(), seat, views, async {
            let _ = left.await;
        }));
        Gateway { limiter, account: Arc::new(Account::new(key)), keeper, leave }
    }

    async fn admitted(&self, limits: &Arc<EffectiveLimits>, tries: u64) -> u64 {
        let mut admitted = 0;
        for _ in 0..tries {
            admitted += loop {
                match self.limiter.admit(&self.account, limits, Clock::system().now()) {
                    Admission::Admitted(_) => break 1,
                    Admission::Denied(_) => break 0,
                    Admission::NeedsLease(wait) => wait.ready().await,
                }
            };
        }
        admitted
    }
}

#[tokio::test]
async fn gateways_over_a_real_redis_spend_a_quota_to_the_last_request_and_leave_nothing_behind() {
    let server = RedisServer::start();
    let (_, ledger, _) = opened(&server.url(), 1).await;
    ledger.complete_floors(1).await.unwrap();
    let clock = Clock::system();
    let view = FleetView {
        epoch: 1,
        gateways: 2,
        ledger_open: true,
        asked_at_ns: clock.mono_ns(),
        ..FleetView::default()
    };
    let (_told, views) = watch::channel(view);
    let (key, limits) = (KeyId::generate(), compiled(&quota(300, Window::Month)));
    let [first, second] = [0, 1].map(|_| Gateway::begin(&ledger, key, views.clone()));
    let mut admitted = first.admitted(&limits, 101).await + second.admitted(&limits, 20).await;
    assert_eq!(admitted, 121);
    first.leave.send(()).unwrap();
    first.keeper.await.unwrap();
    admitted += second.admitted(&limits, 400).await;
    assert_eq!(admitted, 300);
    let (record, now_us) = ledger.account(key).await.unwrap().unwrap();
    assert_eq!(record.windows[4].unwrap().total, 300);
    assert_eq!(record.stranded(UnixMillis(now_us / 1_000)), 0);
}
