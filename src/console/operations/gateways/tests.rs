//! How gateways stand, state by state, from what was seen of them.

use super::*;
use crate::fleet::hub::Presence;

const NOW: UnixMillis = UnixMillis(1_795_442_551_000);
const TRUST: Duration = Duration::from_secs(2);
const HEAD: Position = Position { epoch: 3, seq: 1_204 };
const TEN_MINUTES_MS: u64 = 600_000;

fn registered(name: &str) -> Registered {
    Registered {
        gateway: GatewayId::generate(),
        beat: 9,
        silent_ms: 120,
        remembered: true,
        presence: Presence {
            name: name.to_owned(),
            version: "0.1.0".to_owned(),
            address: "http://10.0.0.11:8080".to_owned(),
            generation: 2,
            goes_on_ms: TEN_MINUTES_MS,
            phase: Phase::Following,
            epoch: HEAD.epoch,
            applied: Some(HEAD),
            declared: HEAD.epoch,
            outstanding: 310,
            counted: UnixMillis(0),
        },
    }
}

/// A registered gateway that is not as the usual one is.
fn with(change: impl FnOnce(&mut Registered)) -> Registered {
    let mut one = registered("gw-1");
    change(&mut one);
    one
}

fn known(name: &str, seen_ms_ago: u64) -> Known {
    Known {
        gateway: GatewayId::generate(),
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        address: "http://10.0.0.12:8080".to_owned(),
        goes_on_ms: TEN_MINUTES_MS,
        last_seen: UnixMillis(NOW.0 - seen_ms_ago),
    }
}

fn sees(register: Register, known: Vec<Known>) -> GatewaysView {
    view(Seen::Fleet(Sight { trust: TRUST, register, known }), NOW)
}

fn reads(gateways: Vec<Registered>) -> GatewaysView {
    sees(Register::Read { head: Some(HEAD), gateways }, Vec::new())
}

fn one(gateway: Registered) -> GatewayView {
    let [one] = <[GatewayView; 1]>::try_from(reads(vec![gateway]).items).unwrap();
    one
}

#[test]
fn a_gateway_that_has_applied_every_change_serves() {
    let serving = one(registered("gw-1"));
    assert_eq!((serving.state, serving.lag), (GatewayState::Serving, Some(0)));
    assert_eq!((serving.applied, serving.trust), (Some(1_204), Some(TrustView::Fresh)));
    assert_eq!(serving.may_admit_until, None);
    assert_eq!(serving.seen_at, Instant(UnixMillis(NOW.0 - 120)));
    let reloading = one(with(|one| one.presence.phase = Phase::Reloading));
    assert_eq!(reloading.state, GatewayState::Serving, "it serves from the table that it has");
}

#[test]
fn a_gateway_without_a_table_is_loading_and_admits_nothing() {
    let loading = one(with(|one| {
        one.presence.phase = Phase::Loading;
        one.presence.applied = None;
    }));
    assert_eq!((loading.state, loading.trust, loading.applied), (GatewayState::Loading, None, None));
    let gone = one(with(|one| {
        one.presence.phase = Phase::Loading;
        one.silent_ms = 5_000;
    }));
    assert_eq!((gone.state, gone.may_admit_until), (GatewayState::Over, None));
}

#[test]
fn a_gateway_that_has_not_applied_the_last_change_is_behind_by_so_many() {
    let behind = one(with(|one| one.presence.applied = Some(Position { epoch: 3, seq: 1_201 })));
    assert_eq!((behind.state, behind.lag, behind.trust), (GatewayState::Behind, Some(3), None));
    let elsewhere = one(with(|one| one.presence.applied = Some(Position { epoch: 2, seq: 1_204 })));
    assert_eq!((elsewhere.state, elsewhere.lag), (GatewayState::Behind, None), "numbers of another epoch");
    // The register was read after the head.
    let ahead = one(with(|one| one.presence.applied = Some(Position { epoch: 3, seq: 1_205 })));
    assert_eq!((ahead.state, ahead.lag), (GatewayState::Serving, Some(0)));
}

#[test]
fn a_silent_gateway_may_go_on_until_its_time_is_over() {
    let silent = one(with(|one| one.silent_ms = 1_500));
    assert_eq!((silent.state, silent.trust), (GatewayState::Silent, Some(TrustView::Fresh)));
    let until = Instant(UnixMillis(NOW.0 - 12_000 + TEN_MINUTES_MS));
    let silent = one(with(|one| one.silent_ms = 12_000));
    assert_eq!((silent.state, silent.trust), (GatewayState::Silent, Some(TrustView::OutOfTouch)));
    assert_eq!(silent.may_admit_until, Some(until));
    let over = one(with(|one| one.silent_ms = TEN_MINUTES_MS));
    assert_eq!(over.state, GatewayState::Over);
}

#[test]
fn beats_that_come_seldom_because_trust_is_long_are_no_silence() {
    let register = Register::Read { head: Some(HEAD), gateways: vec![with(|one| one.silent_ms = 16_000)] };
    let trust = Duration::from_secs(60);
    let seen = view(Seen::Fleet(Sight { trust, register, known: Vec::new() }), NOW);
    assert_eq!(seen.items[0].state, GatewayState::Serving);
}

#[test]
fn a_gateway_on_record_that_is_not_registered_is_missing_until_it_cannot_go_on() {
    let lost = known("gw-2", 60_000);
    let seen =
        sees(Register::Read { head: Some(HEAD), gateways: vec![registered("gw-1")] }, vec![lost.clone()]);
    let missing = seen.items.iter().find(|one| one.id == Some(lost.gateway)).unwrap();
    assert_eq!((missing.state, missing.trust, missing.applied), (GatewayState::Missing, None, None));
    assert_eq!(missing.may_admit_until, Some(Instant(UnixMillis(NOW.0 - 60_000 + TEN_MINUTES_MS))));
    assert_eq!((seen.serving, seen.gateways), (1, 2), "it may still serve, so it counts");
    let seen =
        sees(Register::Read { head: Some(HEAD), gateways: vec![] }, vec![known("gw-2", TEN_MINUTES_MS)]);
    assert_eq!((seen.items[0].state, seen.gateways), (GatewayState::Over, 0));
}

#[test]
fn what_a_gateway_says_goes_before_what_is_on_record_of_it() {
    let gateway = registered("gw-1");
    let record = Known { gateway: gateway.gateway, ..known("gw-1", 60_000) };
    let seen = sees(Register::Read { head: Some(HEAD), gateways: vec![gateway] }, vec![record]);
    assert_eq!(seen.items.len(), 1);
    assert_eq!(seen.items[0].state, GatewayState::Serving);
}

#[test]
fn lives_of_a_name_that_are_over_are_left_out_where_a_later_one_is_there() {
    let (first, second) = (known("gw-1", TEN_MINUTES_MS), known("gw-1", TEN_MINUTES_MS));
    let third = registered("gw-1");
    let latest = third.gateway;
    let register = Register::Read { head: Some(HEAD), gateways: vec![third] };
    let seen = sees(register, vec![first.clone(), second.clone()]);
    assert_eq!(seen.items.iter().map(|one| one.id).collect::<Vec<_>>(), [Some(latest)]);
    let register = Register::Read { head: Some(HEAD), gateways: vec![] };
    let seen = sees(register, vec![first, second.clone()]);
    assert_eq!(seen.items.iter().map(|one| one.id).collect::<Vec<_>>(), [Some(second.gateway)]);
    // One that may still admit is shown, whoever came after it.
    let earlier = known("gw-1", 1_000);
    let register = Register::Read { head: Some(HEAD), gateways: vec![registered("gw-1")] };
    let states: Vec<GatewayState> = sees(register, vec![earlier]).items.iter().map(|one| one.state).collect();
    assert_eq!(states, [GatewayState::Serving, GatewayState::Missing]);
}

#[test]
fn the_feed_is_told_as_it_stands() {
    let current = reads(Vec::new());
    let feed = current.feed.unwrap();
    assert_eq!((feed.state, feed.epoch, feed.sequence), (FeedState::Current, Some(3), Some(1_204)));
    let renewing = sees(Register::Read { head: None, gateways: vec![registered("gw-1")] }, Vec::new());
    assert_eq!(renewing.feed.unwrap().state, FeedState::Renewing);
    assert_eq!((renewing.items[0].state, renewing.items[0].lag), (GatewayState::Behind, None));
    let unreachable = sees(Register::Unreachable, vec![known("gw-1", 3_000)]);
    assert_eq!(unreachable.feed.unwrap().state, FeedState::Unreachable);
    assert_eq!(unreachable.items[0].state, GatewayState::Missing);
}

#[test]
fn without_a_fleet_there_is_the_gateway_of_this_process() {
    let seen = view(Seen::Alone, NOW);
    assert_eq!((seen.feed, seen.gateways, seen.serving), (None, 1, 1));
    assert_eq!((seen.items[0].state, seen.items[0].id), (GatewayState::Serving, None));
}

#[test]
fn gateways_are_listed_by_name() {
    let names = ["gw-2", "gw-10", "a", "gw-1"].map(registered).to_vec();
    let names: Vec<String> = reads(names).items.into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["a", "gw-1", "gw-10", "gw-2"]);
}
