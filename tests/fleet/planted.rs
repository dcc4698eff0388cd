//! The judge itself: it finds violations that are planted, and accuses nobody of what clients cannot know.

use std::time::Duration;

use serde_json::json;

use crate::support::history::{At, Attempt, Deletion, History, Pause, Run};

const KEY: &str = "key";
const MILLI: At = 1_000_000;
const SECOND: At = 1000 * MILLI;
const MINUTE_MS: u64 = 60_000;

fn attempt(number: u64, sent: At, answer: Option<(u16, At)>) -> Attempt {
    Attempt { number, key: KEY.to_owned(), gateway: 0, sent, answer }
}

/// Attempts that were answered 200 within a millisecond.
fn admitted(instants: impl IntoIterator<Item = At>) -> History {
    let attempts = instants.into_iter().enumerate();
    let attempts = attempts.map(|(number, at)| attempt(number as u64, at, Some((200, at + MILLI)))).collect();
    History { attempts, ..History::default() }
}

fn deleted(sent: At, holds_from: Option<At>) -> Vec<Deletion> {
    vec![Deletion { key: KEY.to_owned(), sent, holds_from }]
}

fn count(breaches: &[String], beginning: &str) -> usize {
    breaches.iter().filter(|breach| breach.starts_with(beginning)).count()
}

#[test]
fn an_admission_after_the_deletion_was_answered_is_found() {
    let found = |sent: At, answer: Option<(u16, At)>, reached: bool| {
        let mut history = History { attempts: vec![attempt(7, sent, answer)], ..History::default() };
        history.deletions = deleted(0, Some(SECOND));
        history.reached.extend(reached.then_some(7));
        count(&history.revocation_breaches(Duration::ZERO), "G1")
    };
    assert_eq!(found(SECOND + 1, Some((200, 2 * SECOND)), false), 1);
    assert_eq!(found(SECOND + 1, Some((502, 2 * SECOND)), false), 1, "let in, though the upstream failed");
    assert_eq!(found(SECOND + 1, None, true), 1, "the upstream saw it, though no answer came");
    assert_eq!(found(SECOND + 1, Some((401, 2 * SECOND)), false), 0);
    assert_eq!(found(SECOND + 1, None, false), 0);
    assert_eq!(found(SECOND - 1, Some((200, 2 * SECOND)), true), 0, "it may have been let in before");
}

#[test]
fn what_was_sent_to_a_gateway_that_stood_still_counts_from_when_it_goes_on() {
    let mut history = admitted([SECOND]);
    history.deletions = deleted(SECOND, Some(2 * SECOND));
    assert_eq!(history.revocation_breaches(Duration::ZERO).len(), 0);
    history.pauses.push(Pause { gateway: 0, from: SECOND / 2, until: Some(3 * SECOND) });
    assert_eq!(count(&history.revocation_breaches(Duration::ZERO), "G1"), 1);
    history.pauses[0].gateway = 1;
    assert_eq!(history.revocation_breaches(Duration::ZERO).len(), 0, "another gateway's pause");
}

#[test]
fn an_answer_that_runs_on_is_found() {
    let found = |ended: Option<At>| {
        let run = Run { key: KEY.to_owned(), gateway: 0, begun: 0, ended };
        let history = History { runs: vec![run], deletions: deleted(0, Some(SECOND)), ..History::default() };
        history.revocation_breaches(Duration::from_secs(1)).len()
    };
    assert_eq!(found(None), 1);
    assert_eq!(found(Some(2 * SECOND + 1)), 1);
    assert_eq!(found(Some(2 * SECOND)), 0);
}

#[test]
fn without_a_promise_there_is_no_breach() {
    let mut history = admitted([SECOND]);
    history.deletions = deleted(0, None);
    assert_eq!(history.revocation_breaches(Duration::ZERO).len(), 0);
}

#[test]
fn one_more_than_the_quota_in_a_window_is_found() {
    let minute = 60 * SECOND;
    let mut history = admitted([0, SECOND, 2 * SECOND, minute + SECOND]);
    assert_eq!(history.quota_breaches(KEY, 2, MINUTE_MS).len(), 1);
    assert_eq!(history.quota_breaches(KEY, 3, MINUTE_MS).len(), 0);
    assert_eq!(history.quota_breaches("another", 0, MINUTE_MS).len(), 0);
    assert_eq!(history.total_breaches(KEY, 3).len(), 1);
    assert_eq!(history.total_breaches(KEY, 4).len(), 0);
    history.attempts[2].answer = Some((200, minute + 1));
    assert_eq!(history.quota_breaches(KEY, 2, MINUTE_MS).len(), 0, "it may belong to the next window");
    history.began_unix_ms = MINUTE_MS / 2;
    history.attempts = admitted([29 * SECOND, 31 * SECOND]).attempts;
    assert_eq!(history.quota_breaches(KEY, 1, MINUTE_MS).len(), 0, "windows are the calendar's");
}

#[test]
fn one_more_than_the_rate_gives_in_any_span_is_found() {
    // A burst of 3, then one every 100 ms, is what 3 and 10 a second give.
    let steady = (0..50).map(|at| at * 100 * MILLI);
    let within = [0, 0].into_iter().chain(steady);
    let mut history = admitted(within);
    assert_eq!(history.rate_breaches(KEY, 3, 10.0).len(), 0);
    history.attempts.push(attempt(99, 2 * SECOND + 50 * MILLI, Some((200, 2 * SECOND + 51 * MILLI))));
    history.attempts.push(attempt(99, 2 * SECOND + 52 * MILLI, Some((200, 2 * SECOND + 53 * MILLI))));
    assert_eq!(history.rate_breaches(KEY, 3, 10.0).len(), 1);
    history.attempts.pop();
    let slow = history.attempts.last_mut().unwrap();
    slow.sent = 0;
    slow.answer = Some((200, 60 * SECOND));
    assert_eq!(history.rate_breaches(KEY, 3, 10.0).len(), 0, "it may have happened whenever there was room");
}

#[test]
fn one_more_in_flight_than_may_be_is_found() {
    let run = |begun: At, ended: Option<At>| Run { key: KEY.to_owned(), gateway: 0, begun, ended };
    let runs = vec![run(0, Some(5)), run(1, None), run(5, Some(9)), run(9, None)];
    let mut history = History { runs, ..History::default() };
    assert_eq!(history.concurrency_breaches(KEY, 2).len(), 0);
    history.runs.push(run(8, Some(9)));
    assert_eq!(history.concurrency_breaches(KEY, 2).len(), 1);
}

#[test]
fn a_good_key_that_was_told_401_is_found() {
    let refused = attempt(0, SECOND, Some((401, 2 * SECOND)));
    let mut history = History { attempts: vec![refused], ..History::default() };
    assert_eq!(history.wrong_refusals().len(), 1);
    history.deletions = deleted(3 * SECOND, None);
    assert_eq!(history.wrong_refusals().len(), 1);
    history.deletions = deleted(SECOND, None);
    assert_eq!(history.wrong_refusals().len(), 0, "its deletion was under way");
    history.attempts[0].answer = Some((503, 2 * SECOND));
    history.deletions.clear();
    assert_eq!(history.wrong_refusals().len(), 0);
}

#[test]
fn usage_that_differs_by_one_is_found() {
    let mut history = admitted([0, 1, 2]);
    history.attempts.push(attempt(3, 3, Some((429, 4))));
    let usage =
        |allowed: u64, denied: u64| json!({"totals": {"allowed": allowed, "denied": denied, "failed": 0}});
    assert_eq!(history.account_breaches(KEY, &usage(3, 1)).len(), 0);
    assert_eq!(history.account_breaches(KEY, &usage(2, 1)).len(), 1);
    assert_eq!(history.account_breaches(KEY, &usage(3, 0)).len(), 1);
    history.attempts.push(attempt(4, 4, None));
    assert_eq!(count(&history.account_breaches(KEY, &usage(3, 1)), "G3 cannot be judged"), 1);
}
