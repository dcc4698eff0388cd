//! A key's use through the API.

use std::time::Duration;

use keystile::console::operations::Caller;
use keystile::domain::clock::{Clock, UnixMillis};
use keystile::domain::denial::Denial;
use keystile::limits::{Admission, Outcome};
use serde_json::{Value, json};

use crate::harness::Console;

const START: &str = "2026-11-23T10:20:30Z";

async fn console_with_key() -> (Console, String, String) {
    let clock = Clock::manual(UnixMillis::parse_rfc3339(START).unwrap());
    let console = Console::start_with(clock).await;
    console
        .post("/organizations", r#"{"slug":"acme","name":"Acme","timeZone":"Europe/Berlin"}"#)
        .await
        .is(201);
    let body = r#"{"name":"k","scope":{"type":"organization"},"limits":{
        "concurrency":5,"quotas":[{"requests":10,"per":"day"}]}}"#;
    let made = console.post("/organizations/acme/keys", body).await.is(201);
    let id = made.json["key"]["id"].as_str().unwrap();
    let usage = format!("/organizations/acme/keys/{id}/usage");
    (console, usage, made.json["secret"].as_str().unwrap().to_owned())
}

/// Counts without refusals or failures.
fn counts(allowed: u64) -> Value {
    json!({ "allowed": allowed, "denied": 0, "failed": 0,
        "deniedBy": { "rate": 0, "quota": 0, "concurrency": 0, "other": 0 } })
}

/// Lets one request pass.
pub(crate) async fn pass(console: &Console, secret: &str) {
    let entry = console.lookup(secret).unwrap();
    loop {
        match console.limiter.admit(entry.account(), &entry.limits, console.clock.now()) {
            Admission::Admitted(_) => break console.limiter.count(entry.account(), Outcome::Allowed),
            Admission::NeedsLease(wait) => wait.ready().await,
            Admission::Denied(refusal) => panic!("{refusal:?}"),
        }
    }
}

#[tokio::test]
async fn usage_is_exact_as_of_the_instant_it_names() {
    let (console, usage, secret) = console_with_key().await;
    for _ in 0..3 {
        pass(&console, &secret).await;
    }
    let answer = console.get(&usage).await.is(200);
    assert_eq!(answer.json["asOf"], "2026-11-23T10:20:30.000Z");
    assert_eq!(answer.json["totals"], counts(3));
    let limits = answer.json["limits"].as_array().unwrap();
    let quota = limits.iter().find(|limit| limit["kind"] == "quota").unwrap();
    assert_eq!(
        *quota,
        json!({ "kind": "quota", "per": "day", "limit": 10, "used": 3, "remaining": 7,
            "resetsAt": "2026-11-23T23:00:00.000Z" })
    );
    let concurrency = limits.iter().find(|limit| limit["kind"] == "concurrency").unwrap();
    assert_eq!((&concurrency["used"], &concurrency["remaining"]), (&json!(0), &json!(5)));
    let series = answer.json["series"].as_array().unwrap();
    assert_eq!(series.len(), 25);
    let mut bucket = counts(3);
    bucket["at"] = json!("2026-11-23T10:00:00.000Z");
    assert_eq!(series[24], bucket);
}

#[tokio::test]
async fn a_key_says_when_it_was_last_used() {
    let (console, usage, secret) = console_with_key().await;
    pass(&console, &secret).await;
    console.get(&usage).await.is(200);
    let key = console.get(usage.trim_end_matches("/usage")).await.is(200);
    assert_eq!(key.json["lastUsedAt"], "2026-11-23T10:20:30.000Z");
}

#[tokio::test]
async fn a_span_is_cut_into_steps_of_the_calendar() {
    let (console, usage, secret) = console_with_key().await;
    pass(&console, &secret).await;
    let days = console
        .get(&format!("{usage}?from=2026-11-21T12:00:00Z&to=2026-11-24T00:00:00Z&step=day"))
        .await
        .is(200);
    let at: Vec<&str> =
        days.json["series"].as_array().unwrap().iter().map(|point| point["at"].as_str().unwrap()).collect();
    assert_eq!(
        at,
        [
            "2026-11-20T23:00:00.000Z",
            "2026-11-21T23:00:00.000Z",
            "2026-11-22T23:00:00.000Z",
            "2026-11-23T23:00:00.000Z"
        ]
    );
    assert_eq!(days.json["series"][2]["allowed"], 1);
    let minutes = console
        .get(&format!("{usage}?from=2026-11-23T10:20:00Z&to=2026-11-23T10:21:00Z&step=minute"))
        .await
        .is(200);
    let mut bucket = counts(1);
    bucket["at"] = json!("2026-11-23T10:20:00.000Z");
    assert_eq!(minutes.json["series"], json!([bucket]));
}

#[tokio::test]
async fn a_span_that_does_not_read_or_is_too_fine_is_refused() {
    let (console, usage, _) = console_with_key().await;
    for query in [
        "from=yesterday",
        "step=year",
        "from=2026-11-23T00:00:00Z&to=2026-11-22T00:00:00Z",
        "from=2020-01-01T00:00:00Z&step=minute",
        "to=9999-12-31T23:59:59Z&from=1970-01-01T00:00:00Z",
        "colour=red",
    ] {
        console.get(&format!("{usage}?{query}")).await.is_problem(400);
    }
    console.get("/organizations/acme/keys/nobody/usage").await.is_problem(404);
}

#[tokio::test]
async fn refusals_are_told_apart_by_what_refused() {
    let (console, usage, secret) = console_with_key().await;
    let entry = console.lookup(&secret).unwrap();
    for (denial, times) in [
        (Denial::RateExceeded, 1),
        (Denial::QuotaExceeded, 2),
        (Denial::ConcurrencyExceeded, 3),
        (Denial::NoRoute, 4),
        (Denial::AgentNotPermitted, 5),
    ] {
        for _ in 0..times {
            console.limiter.count(entry.account(), Outcome::Denied(denial));
        }
    }
    let answer = console.get(&usage).await.is(200);
    let expected = json!({ "allowed": 0, "denied": 15, "failed": 0,
        "deniedBy": { "rate": 1, "quota": 2, "concurrency": 3, "other": 9 } });
    assert_eq!(answer.json["totals"], expected);
    assert_eq!(answer.json["series"][24]["deniedBy"], expected["deniedBy"]);
    assert_eq!((&answer.json["routes"], &answer.json["agents"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn recent_use_is_by_the_hour_for_every_key_and_today_begins_at_local_midnight_though_clocks_change() {
    // Two hours after clocks went back in Berlin: it is 03:30, and midnight is four and a half hours ago.
    let start = UnixMillis::parse_rfc3339("2026-10-24T20:30:00Z").unwrap();
    let console = Console::start_with(Clock::manual(start)).await;
    console
        .post("/organizations", r#"{"slug":"acme","name":"Acme","timeZone":"Europe/Berlin"}"#)
        .await
        .is(201);
    let ((used, secret), (unused, _)) = (console.key("used").await, console.key("unused").await);
    let account = console.lookup(&secret).unwrap();
    // From 22:30 in summer time to 03:30 in winter time: six hours pass, and two of them are called two.
    for requests in 1..=7 {
        // Counts belong to the minute in which they begin to gather: a second ago at most, where clocks run by themselves.
        console.limiter.flush().await;
        for _ in 0..requests {
            console.limiter.count(account.account(), Outcome::Allowed);
        }
        console.limiter.count(account.account(), Outcome::Denied(Denial::RateExceeded));
        if requests < 7 {
            console.limiter.flush().await;
            console.clock.advance(Duration::from_secs(3_600));
        }
    }
    let caller = Caller::operator("test");
    let recent = console.operations.recent_use(&caller, "acme").await.unwrap();
    assert_eq!(recent.len(), 2);
    let mut expected = [0; 24];
    expected[17..].copy_from_slice(&[2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(recent[&used.parse().unwrap()], expected);
    assert_eq!(recent[&unused.parse().unwrap()], [0; 24]);
    // Midnight was at 22:00 UTC: the first two hours belong to yesterday.
    let today = console.operations.requests_today(&caller, "acme", &used).await.unwrap();
    assert_eq!(today, 4 + 5 + 6 + 7 + 8);
    assert!(console.operations.requests_today(&caller, "acme", "nobody").await.is_err());
    assert!(console.operations.recent_use(&caller, "nowhere").await.is_err());
}
