//! `/orgs/{org}/keys/{key}/usage`: what a key has used, may still use, and what became of its requests.
//!
//! Promises the numbers of the API, as of the instant it names. The page keeps itself up to date with script; without,
//! a reload does.

mod cards;
mod figures;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::chart::Chart;
use super::failure::Failure;
use super::form::Asked;
use super::page;
use super::scope::{AgentNames, ScopeWords};
use super::shell::{Place, Shell};
use super::time::{Reading, Stamp};
use crate::console::Shared;
use crate::console::operations::{Operations, Step, UsageSpan};
use crate::console::session::Visitor;
use crate::console::view::KeyView;
use crate::domain::clock::UnixMillis;
use cards::Card;
use figures::{Counts, Most, Reason, Row};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The page of a key's usage.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/orgs/{org}/keys/{key}/usage", get(show))
}

/// How far back the page looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
enum Span {
    #[serde(rename = "1h")]
    Hour,
    #[default]
    #[serde(rename = "24h")]
    Day,
    #[serde(rename = "30d")]
    Month,
}

impl Span {
    const ALL: [Span; 3] = [Span::Hour, Span::Day, Span::Month];

    fn value(self) -> &'static str {
        match self {
            Span::Hour => "1h",
            Span::Day => "24h",
            Span::Month => "30d",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Span::Hour => "1 h",
            Span::Day => "24 h",
            Span::Month => "30 d",
        }
    }

    /// As in "requests in the last 24 hours".
    fn words(self) -> &'static str {
        match self {
            Span::Hour => "last hour",
            Span::Day => "last 24 hours",
            Span::Month => "last 30 days",
        }
    }

    fn step(self) -> Step {
        match self {
            Span::Hour => Step::Minute,
            Span::Day => Step::Hour,
            Span::Month => Step::Day,
        }
    }

    /// The length of a bar; none where each is a day of the calendar.
    fn bucket_ms(self) -> Option<u64> {
        match self {
            Span::Hour => Some(MINUTE_MS),
            Span::Day => Some(HOUR_MS),
            Span::Month => None,
        }
    }

    /// The instants to ask for, so that the last bar is the one that runs: 60 minutes, 24 hours or 30 days.
    fn usage(self, now: UnixMillis) -> UsageSpan {
        let back_ms = match self {
            Span::Hour => 59 * MINUTE_MS,
            Span::Day => 23 * HOUR_MS,
            Span::Month => 29 * DAY_MS,
        };
        UsageSpan { from: Some(UnixMillis(now.0.saturating_sub(back_ms))), to: None, step: self.step() }
    }
}

#[derive(Debug, Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    span: Span,
}

struct Choice {
    value: &'static str,
    label: &'static str,
    spoken: &'static str,
    chosen: bool,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "usage.html")]
struct UsagePage {
    shell: Shell,
    keys_address: String,
    key: KeyView,
    scope: ScopeWords,
    last_used: Option<Stamp>,
    as_of: Stamp,
    spans: Vec<Choice>,
    span_words: &'static str,
    zone: String,
    cards: Vec<Card>,
    totals: Counts,
    requests: String,
    chart: Chart,
    rows: Vec<Row>,
    /// The sum of what was denied, by reason.
    denied: Vec<Reason>,
    most: [Most; 2],
}

async fn show(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path((org, key)): Path<(String, String)>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = Shell::read(&operations, caller, Some(&org), Place::Keys).await?;
    let span = wanted.span;
    let usage = operations.read_usage(caller, &org, &key, span.usage(shell.reading.now())).await?;
    // After the usage, so that a key that was never used before this minute is not called unused beside its requests.
    let key = operations.read_key(caller, &org, &key).await?;
    let names = AgentNames::read(&operations, caller, &org).await?;
    // Everything on the page is as of one instant: that of the numbers.
    let reading = shell.reading.at(usage.as_of.0);
    let template = UsagePage {
        keys_address: format!("/orgs/{}/keys", shell.slug()),
        scope: names.scope(&key.scope),
        last_used: key.last_used_at.map(|at| reading.relative(at.0)),
        as_of: reading.clock(usage.as_of.0),
        spans: choices(span),
        span_words: span.words(),
        zone: zone(&reading),
        cards: cards::cards(&usage.limits, &reading),
        totals: figures::totals(&usage),
        requests: figures::requests(&usage),
        chart: figures::chart(&usage, &reading, span.bucket_ms()),
        rows: figures::rows(&usage, &reading, span.bucket_ms()),
        denied: figures::denied(&usage),
        most: figures::most(&usage, &names),
        key,
        shell,
    };
    Ok(page(StatusCode::OK, &template))
}

fn choices(chosen: Span) -> Vec<Choice> {
    let choice = |span: Span| Choice {
        value: span.value(),
        label: span.label(),
        spoken: span.words(),
        chosen: span == chosen,
    };
    Span::ALL.into_iter().map(choice).collect()
}

fn zone(reading: &Reading) -> String {
    reading.abbreviation(reading.now())
}
