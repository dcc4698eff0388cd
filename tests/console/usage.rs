//! A key's use through the API.

use keystile::domain::clock::{Clock, UnixMillis};
use keystile::limits::{Admission, Outcome};
use serde_json::json;

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

async fn pass(console: &Console, secret: &str) {
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
    assert_eq!(answer.json["totals"], json!({ "allowed": 3, "denied": 0, "failed": 0 }));
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
    assert_eq!(
        series[24],
        json!({ "at": "2026-11-23T10:00:00.000Z", "allowed": 3, "denied": 0, "failed": 0 })
    );
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
    assert_eq!(
        minutes.json["series"],
        json!([{ "at": "2026-11-23T10:20:00.000Z", "allowed": 1, "denied": 0, "failed": 0 }])
    );
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
