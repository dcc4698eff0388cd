//! The words, shapes and numbers of the page, and that names stay text in it.

use super::*;
use crate::console::pages::notice::Notice;
use crate::console::view::Instant;
use crate::domain::clock::UnixMillis;
use crate::domain::id::GatewayId;

fn at(text: &str) -> UnixMillis {
    UnixMillis::parse_rfc3339(text).unwrap()
}

fn gateway(state: GatewayState) -> GatewayView {
    let is_silent = matches!(state, GatewayState::Silent | GatewayState::Missing);
    GatewayView {
        id: Some(GatewayId::generate()),
        name: "gw-1".to_owned(),
        address: Some("http://10.0.0.11:8080".to_owned()),
        version: "0.1.0".to_owned(),
        state,
        seen_at: Instant(at("2026-11-23T13:02:19Z")),
        applied: Some(1_204),
        lag: Some(0),
        trust: Some(TrustView::Fresh),
        generation: Some(2),
        outstanding: Some(1_310),
        goes_on_ms: Some(602_000),
        may_admit_until: is_silent.then(|| Instant(at("2026-11-23T13:12:21Z"))),
    }
}

fn gateways(feed: FeedState, items: Vec<GatewayView>) -> GatewaysView {
    let is_current = feed == FeedState::Current;
    let feed =
        FeedView { state: feed, epoch: is_current.then_some(3), sequence: is_current.then_some(1_204) };
    let serving = items.iter().filter(|one| one.state == GatewayState::Serving).count();
    GatewaysView {
        as_of: Instant(at("2026-11-23T13:02:31Z")),
        version: "0.1.0".to_owned(),
        feed: Some(feed),
        gateways: u32::try_from(items.len()).unwrap(),
        serving: u32::try_from(serving).unwrap(),
        items,
    }
}

fn row(gateway: GatewayView) -> Row {
    let gateways = gateways(FeedState::Current, vec![gateway]);
    let reading = Reading::new(gateways.as_of.0, None, &"Europe/Berlin".parse().unwrap());
    let reader = Reader { reading: &reading, gateways: &gateways, own_address: "http://own" };
    reader.row(&gateways.items[0])
}

fn standing(gateway: GatewayView) -> String {
    let state = row(gateway).state;
    let at = state.at.map_or(String::new(), |at| at.words().to_owned());
    let told = [state.words, state.more.unwrap_or_default().to_owned(), at];
    told.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_state_has_words_and_a_shape_of_its_own() {
    for (state, expected) in [
        (GatewayState::Serving, "Serving"),
        (GatewayState::Loading, "Loading admits nothing yet"),
        (GatewayState::Behind, "Behind"),
        (GatewayState::Silent, "Silent for 12 s may go on until 14:12:21 CET"),
        (GatewayState::Missing, "Not seen may go on until 14:12:21 CET"),
        (GatewayState::Over, "Stopped last sign just now"),
    ] {
        assert_eq!(standing(gateway(state)), expected);
    }
    let other_epoch = GatewayView { lag: None, ..gateway(GatewayState::Behind) };
    assert_eq!(standing(other_epoch), "Behind has not loaded the present table");
    let mut shapes = [
        GatewayState::Serving,
        GatewayState::Loading,
        GatewayState::Behind,
        GatewayState::Silent,
        GatewayState::Missing,
        GatewayState::Over,
    ]
    .map(|state| row(gateway(state)).state.class);
    shapes.sort_unstable();
    assert!(shapes.windows(2).all(|pair| pair[0] != pair[1]), "{shapes:?}");
}

#[test]
fn numbers_are_exact_and_what_is_not_known_is_not_made_up() {
    let told = row(GatewayView { lag: Some(3), ..gateway(GatewayState::Behind) });
    assert_eq!((told.applied.as_str(), told.lag.as_deref()), ("1,204", Some("3 behind")));
    assert_eq!((told.holds.as_str(), told.goes_on.as_deref()), ("1,310", Some("10 min")));
    assert_eq!((told.trust, told.console), ("Fresh", None));
    let unknown = GatewayView { applied: None, lag: None, trust: None, ..gateway(GatewayState::Missing) };
    let unknown = row(GatewayView { outstanding: None, version: "0.0.9".to_owned(), ..unknown });
    assert_eq!((unknown.applied.as_str(), unknown.holds.as_str()), (NOTHING, NOTHING));
    assert_eq!((unknown.trust, unknown.console.as_deref()), ("Not known", Some("0.1.0")));
}

#[test]
fn a_sentence_says_how_all_of_them_stand() {
    let serving = |count: usize| (0..count).map(|_| gateway(GatewayState::Serving)).collect::<Vec<_>>();
    let said = |feed: FeedState, items: Vec<GatewayView>| summary(&gateways(feed, items));
    assert_eq!(
        said(FeedState::Current, serving(3)),
        "3 of 3 gateways follow the feed; the last change is 1,204."
    );
    let mut mixed = serving(1);
    mixed.push(gateway(GatewayState::Silent));
    assert_eq!(
        said(FeedState::Current, mixed),
        "1 of 2 gateways follows the feed; the last change is 1,204."
    );
    assert_eq!(
        said(FeedState::Current, Vec::new()),
        "No gateway follows the feed; the last change is 1,204."
    );
    assert!(said(FeedState::Unreachable, serving(1)).starts_with("Redis does not answer"));
    assert!(said(FeedState::Renewing, serving(1)).contains("written anew"));
    let alone = GatewaysView { feed: None, ..gateways(FeedState::Current, serving(1)) };
    assert!(summary(&alone).starts_with("There is no fleet"));
}

fn html(gateways: &GatewaysView, notice: Option<Notice>) -> String {
    let reading = Reading::new(gateways.as_of.0, None, &"Europe/Berlin".parse().unwrap());
    let shell = Shell::of_an_operator(reading).saying(notice);
    GatewaysPage::new(shell, gateways, "http://own").render().unwrap()
}

#[test]
fn what_a_gateway_calls_itself_stays_text() {
    let hostile = GatewayView {
        name: "<script>alert(1)</script>".to_owned(),
        address: Some("\"><img src=x>".to_owned()),
        version: "<b>9".to_owned(),
        ..gateway(GatewayState::Serving)
    };
    let awaiting = vec!["<i>call us</i>".to_owned()];
    let until = Some(Instant(at("2026-11-23T13:12:21Z")));
    let notice = Notice::of_a_pending_revocation(awaiting, until);
    let page = html(&gateways(FeedState::Current, vec![hostile]), notice);
    for markup in ["<script>alert", "<img", "<b>9", "<i>"] {
        assert!(!page.contains(markup), "{markup} in {page}");
    }
    assert!(page.contains("<bdi>&#60;i&#62;call us&#60;/i&#62;</bdi> has not confirmed"), "{page}");
}

#[test]
fn without_gateways_the_page_says_how_to_start_one() {
    let page = html(&gateways(FeedState::Current, Vec::new()), None);
    assert!(page.contains("No gateway has registered") && page.contains("keystile gateway --config FILE"));
    assert!(!page.contains("<table"));
}
