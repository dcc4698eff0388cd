//! Verdicts on gateways, reading by reading.

use super::super::hub::{Presence, Registered};
use super::super::truth::KnownGateway;
use super::*;
use crate::domain::clock::UnixMillis;
use crate::domain::id::GatewayId;

const SECOND_NS: u64 = 1_000_000_000;
const SEQ: u64 = 7;

/// A gateway of epoch 2 that has applied up to `seq` and gave its last sign at second `sign_s`. It goes on for 2 s.
fn gateway(seq: u64, sign_s: u64) -> Sighting {
    let presence = Presence {
        name: "gw".to_owned(),
        version: String::new(),
        address: String::new(),
        generation: 1,
        goes_on_ms: 2_000,
        phase: Phase::Following,
        epoch: 2,
        applied: Some(Position { epoch: 2, seq }),
        declared: 2,
        outstanding: 0,
        counted: UnixMillis(0),
    };
    let gateway = GatewayId::generate();
    let registered = Registered { gateway, beat: 1, silent_ms: 0, remembered: true, presence };
    Sighting { registered, sign_ns: sign_s * SECOND_NS }
}

fn other(change: impl FnOnce(&mut Presence)) -> Sighting {
    let mut sight = gateway(SEQ - 1, 100);
    change(&mut sight.registered.presence);
    sight
}

/// A reading at second `at_s` that finds the feed at `seq` of epoch 2, which was seen first at second 10.
fn reading(at_s: u64, seq: u64, gateways: Vec<Sighting>) -> Snapshot {
    Snapshot {
        begun_ns: at_s * SECOND_NS,
        head: Some(Position { epoch: 2, seq }),
        epoch_seen_ns: 10 * SECOND_NS,
        gateways,
        missing: Vec::new(),
    }
}

fn wait() -> Wait {
    Wait { seq: SEQ, begun_ns: 100 * SECOND_NS, published: None, overlap: Duration::from_secs(10) }
}

fn judged(wait: &mut Wait, snapshot: &Snapshot) -> (bool, u32, u32, usize) {
    let answer = wait.judge(snapshot, snapshot.begun_ns);
    (answer.complete, answer.gateways, answer.confirmed, answer.awaiting.len())
}

#[test]
fn nothing_is_promised_before_the_change_is_in_a_feed_that_is_vouched_for() {
    let behind = reading(100, SEQ - 1, vec![gateway(SEQ, 100)]);
    let unvouched = Snapshot { head: None, ..reading(100, SEQ, vec![]) };
    for snapshot in [behind, unvouched] {
        let answer = wait().judge(&snapshot, snapshot.begun_ns);
        assert_eq!((answer.complete, answer.effective_in), (false, None));
    }
}

#[test]
fn a_gateway_is_awaited_until_it_has_applied_the_change_or_can_go_on_no_more() {
    let mut wait = wait();
    assert_eq!(
        judged(&mut wait, &reading(100, SEQ, vec![gateway(SEQ, 100), gateway(SEQ - 1, 100)])),
        (false, 2, 1, 1)
    );
    assert_eq!(
        judged(&mut wait, &reading(101, SEQ, vec![gateway(SEQ, 101), gateway(SEQ, 101)])),
        (true, 2, 2, 0)
    );
    // Whatever signs it gives: from the publication on no sync lets it go on without the change.
    assert_eq!(judged(&mut wait, &reading(102, SEQ, vec![gateway(SEQ - 1, 102)])), (false, 1, 0, 1));
    assert_eq!(judged(&mut wait, &reading(103, SEQ, vec![gateway(SEQ - 1, 103)])), (true, 1, 0, 0));
}

#[test]
fn a_gateway_that_was_silent_for_long_is_not_waited_for() {
    assert_eq!(judged(&mut wait(), &reading(100, SEQ, vec![gateway(SEQ - 1, 97)])), (true, 0, 0, 0));
    assert_eq!(judged(&mut wait(), &reading(100, SEQ, vec![gateway(SEQ - 1, 98)])), (false, 1, 0, 1));
}

#[test]
fn a_reading_is_judged_by_its_own_instant_and_not_by_a_later_one() {
    let mut wait = wait();
    let snapshot = reading(100, SEQ, vec![gateway(SEQ - 1, 100)]);
    assert!(!wait.judge(&snapshot, 100 * SECOND_NS).complete);
    assert!(!wait.judge(&snapshot, 500 * SECOND_NS).complete, "another reading may have found it alive");
}

#[test]
fn a_loading_gateway_of_this_epoch_is_not_waited_for_and_one_of_an_earlier_epoch_is() {
    let loading = other(|presence| presence.phase = Phase::Loading);
    assert!(judged(&mut wait(), &reading(100, SEQ, vec![loading])).0);
    let earlier = other(|presence| (presence.phase, presence.epoch) = (Phase::Loading, 1));
    assert!(
        judged(&mut wait(), &reading(100, SEQ, vec![earlier.clone()])).0,
        "its time ran out with that epoch"
    );
    let fresh = Snapshot { epoch_seen_ns: 95 * SECOND_NS, ..reading(100, SEQ, vec![earlier]) };
    assert!(!judged(&mut wait(), &fresh).0, "an old primary may have vouched to it until a moment ago");
}

#[test]
fn what_was_applied_of_another_epoch_confirms_nothing_and_publication_counts_anew() {
    let applied = other(|presence| presence.applied = Some(Position { epoch: 1, seq: SEQ + 5 }));
    let mut wait = wait();
    assert!(!judged(&mut wait, &reading(100, SEQ, vec![applied.clone()])).0);
    let next = Snapshot { head: Some(Position { epoch: 3, seq: SEQ }), ..reading(103, SEQ, vec![]) };
    let follows = other(|presence| presence.epoch = 3);
    let next = Snapshot { gateways: vec![Sighting { sign_ns: 103 * SECOND_NS, ..follows }], ..next };
    assert!(!judged(&mut wait, &next).0, "in this epoch the change was published just now");
}

#[test]
fn a_gateway_that_redis_forgot_is_awaited_for_as_long_as_it_may_go_on() {
    let lost = KnownGateway { gateway: GatewayId::generate(), name: "lost".to_owned(), goes_on_ms: 100_000 };
    let snapshot = Snapshot { missing: vec![lost.clone()], ..reading(100, SEQ, vec![]) };
    let answer = wait().judge(&snapshot, snapshot.begun_ns);
    assert_eq!((answer.complete, answer.awaiting), (false, vec!["lost".to_owned()]));
    let later = Snapshot { missing: vec![lost], ..reading(130, SEQ, vec![]) };
    assert!(judged(&mut wait(), &later).0);
}

#[test]
fn the_ledger_opens_once_everybody_who_may_hold_grants_has_declared_or_is_over() {
    let overlap = Duration::from_secs(10);
    let open =
        |gateways, now_s: u64| may_open_ledger(&reading(now_s, SEQ, gateways), 2, overlap, now_s * SECOND_NS);
    assert!(open(vec![], 10) && open(vec![gateway(SEQ, 10)], 10));
    let undeclared = other(|presence| presence.declared = 1);
    assert!(!open(vec![undeclared], 1_000), "it lives in this epoch and spends");
    let earlier = other(|presence| (presence.declared, presence.epoch) = (1, 1));
    assert!(!open(vec![earlier.clone()], 20) && open(vec![earlier], 30));
    assert!(!may_open_ledger(&reading(10, SEQ, vec![]), 3, overlap, 10 * SECOND_NS), "another epoch");
}
