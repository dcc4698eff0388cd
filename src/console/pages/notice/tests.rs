//! What notices say, and what an address cannot make them say.

use super::*;
use crate::console::view::Instant;

fn notice(query: &str) -> Option<Notice> {
    serde_html_form::from_str::<NoticeQuery>(query).ok().and_then(NoticeQuery::notice)
}

fn reading() -> Reading {
    let now = UnixMillis::parse_rfc3339("2026-11-23T13:02:00Z").unwrap();
    Reading::new(now, None, &"Europe/Berlin".parse().unwrap())
}

fn text(notice: &Notice) -> String {
    let piece = |piece: Piece| match piece {
        Piece::Words(text) | Piece::Name(text) => text,
        Piece::At(stamp) => stamp.words().to_owned(),
    };
    notice.pieces(&reading()).into_iter().map(piece).collect()
}

fn said(query: &str) -> Option<String> {
    notice(query).as_ref().map(text)
}

impl Notice {
    /// What a page says where these gateways have not confirmed.
    pub(crate) fn of_a_pending_revocation(awaiting: Vec<String>, until: Option<Instant>) -> Option<Notice> {
        let awaiting: Vec<&str> = awaiting.iter().map(String::as_str).collect();
        let revocation = RevocationView { effective_by: until, ..pending(&awaiting, None) };
        notice(&revoked(&revocation, false))
    }
}

fn pending(awaiting: &[&str], until: Option<&str>) -> RevocationView {
    RevocationView {
        state: RevocationState::Pending,
        gateways: 3,
        confirmed: 2,
        awaiting: awaiting.iter().map(|name| (*name).to_owned()).collect(),
        took_ms: 2_004,
        effective_by: until.map(|at| Instant(UnixMillis::parse_rfc3339(at).unwrap())),
    }
}

const LATER: Option<&str> = Some("2026-11-23T13:02:31Z");

#[test]
fn a_revocation_says_what_is_true_and_an_address_cannot_add_words() {
    let all = "done=revoked&confirmed=1&gateways=1&ms=3";
    assert_eq!(said(all).as_deref(), Some("Revoked on 1 of 1 gateways in 3 ms."));
    let none = "done=revoked&confirmed=0&gateways=0&ms=3";
    assert_eq!(said(none).as_deref(), Some("Revoked. No gateway is registered."));
    let some = said("done=revoked&confirmed=1&gateways=3&ms=3");
    assert_eq!(some.as_deref(), Some("Revoked on 1 of 3 gateways. The others have not confirmed."));
    for bad in ["done=call-us-now", "done=revoked&confirmed=x&gateways=1&ms=3", "done=revoked", ""] {
        assert_eq!(said(bad), None, "{bad}");
    }
}

#[test]
fn who_has_not_confirmed_is_named_with_the_instant_after_which_they_cannot_accept_the_key() {
    for (awaiting, are_many, expected) in [
        (
            &["gw-berlin-2"][..],
            false,
            "gw-berlin-2 has not confirmed; it cannot accept the key after 14:02:31 CET.",
        ),
        (&["a", "b"], false, "a and b have not confirmed; they cannot accept the key after 14:02:31 CET."),
        (
            &["a", "b", "c"],
            true,
            "a, b and c have not confirmed; they cannot accept the keys after 14:02:31 CET.",
        ),
        (
            &["a", "b", "c", "d", "e"],
            false,
            "a, b, c and 2 more have not confirmed; they cannot accept the key after 14:02:31 CET.",
        ),
        (&[], false, "Not every gateway has confirmed; none can accept the key after 14:02:31 CET."),
    ] {
        let query = revoked(&pending(awaiting, LATER), are_many);
        let expected = format!("Revoked on 2 of 3 gateways. {expected}");
        assert_eq!(said(&query).as_deref(), Some(expected.as_str()), "{query}");
        assert_eq!(notice(&query).unwrap().tone(), "wait");
    }
}

#[test]
fn an_instant_that_is_over_or_on_another_day_is_told_as_such() {
    let over = said(&revoked(&pending(&["a"], Some("2026-11-23T13:01:59Z")), false)).unwrap();
    assert!(over.ends_with("; it has not been able to accept the key since 14:01:59 CET."), "{over}");
    let tomorrow = said(&revoked(&pending(&["a"], Some("2026-11-24T13:02:31Z")), false)).unwrap();
    assert!(tomorrow.ends_with("after 24 Nov 2026, 14:02:31 CET."), "{tomorrow}");
}

#[test]
fn where_gateways_were_not_told_no_instant_is_promised() {
    let query = revoked(&pending(&["a"], None), false);
    assert_eq!(said(&query).as_deref(), Some(UNTOLD));
    assert_eq!(notice(&query).unwrap().tone(), "wait");
}

#[test]
fn only_names_that_this_process_sealed_are_shown() {
    let query = revoked(&pending(&["gw-1"], LATER), false);
    let forged = query.replace("gw-1", "call+0900-1234");
    assert_eq!(said(&forged).as_deref(), Some("Revoked on 2 of 3 gateways. The others have not confirmed."));
    let split = query.replace("awaiting=gw-1", "awaiting=gw&awaiting=-1");
    assert!(!said(&split).unwrap().contains("gw"), "{split}");
    let later = query.replace("until=", "until=9");
    assert!(!said(&later).unwrap().contains("after"), "{later}");
}

#[test]
fn a_hostile_name_stays_a_name_and_takes_no_more_room_than_one() {
    let hostile = "&done=saved&awaiting=x <b>\u{202e}".to_owned() + &"w".repeat(10_000);
    let query = revoked(&pending(&[&hostile], LATER), false);
    assert!(query.len() < 500, "{}", query.len());
    let pieces = notice(&query).unwrap().pieces(&reading());
    let names: Vec<&Piece> = pieces.iter().filter(|piece| matches!(piece, Piece::Name(_))).collect();
    let [Piece::Name(name)] = names[..] else { panic!("{pieces:?}") };
    assert!(name.starts_with("&done=saved&awaiting=x <b>") && name.ends_with('…'), "{name}");
    assert_eq!(name.chars().count(), NAME_CHARS_MAX + 1);
}
