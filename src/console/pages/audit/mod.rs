//! `/orgs/{org}/audit` and `/orgs/{org}/audit.csv`: who did what, to read and to take away.
//!
//! Promises that page and sheet show the same lines for the same filter, and that agent admins see their own only,
//! which the operation decides.

mod export;
mod filter;
mod words;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use super::chart::grouped;
use super::failure::Failure;
use super::form::Asked;
use super::page;
use super::shell::{Place, Shell};
use super::time::{Reading, Stamp};
use crate::console::Shared;
use crate::console::operations::Operations;
use crate::console::session::Visitor;
use crate::console::view::{AuditView, OrganizationView};
use crate::domain::role::Role;
use filter::{Wanted, Written};

/// Lines on one page.
const PAGE: u32 = 50;

/// The pages of the audit log.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/orgs/{org}/audit", get(show)).route("/orgs/{org}/audit.csv", get(export::download))
}

struct Row {
    action: String,
    subject: String,
    changes: Vec<ChangeRow>,
    actor: String,
    at: Stamp,
}

struct ChangeRow {
    field: String,
    from: Option<String>,
    to: Option<String>,
}

struct Choice {
    value: &'static str,
    words: &'static str,
    chosen: bool,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "audit.html")]
struct AuditPage {
    shell: Shell,
    organization: OrganizationView,
    base: String,
    only_own: bool,
    zone: String,
    filter: Written,
    is_filtered: bool,
    actions: Vec<Choice>,
    rows: Vec<Row>,
    older: Option<String>,
    newest: Option<String>,
    sheet_query: String,
    rows_max: String,
}

async fn show(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = Shell::read(&operations, caller, Some(&org), Place::Audit).await?;
    let Some(organization) = shell.organization.clone() else { return Err(Failure::NotFound) };
    let base = format!("/orgs/{}", organization.slug);
    let filter = wanted.read(&shell.reading);
    let found = operations.list_audit(caller, &org, filter.filter.clone(), wanted.before(), PAGE).await?;
    let address = |before: Option<&str>| {
        let query = filter.query(before);
        if query.is_empty() { format!("{base}/audit") } else { format!("{base}/audit?{query}") }
    };
    let sheet_query = filter.query(None);
    let template = AuditPage {
        only_own: shell.role == Role::AgentAdmin,
        zone: zone(&shell.reading),
        is_filtered: !sheet_query.is_empty(),
        actions: choices(&filter.written.action),
        rows: found.items.into_iter().map(|line| row(line, &shell.reading)).collect(),
        older: found.next.as_deref().map(|next| address(Some(next))),
        newest: wanted.before().map(|_| address(None)),
        sheet_query: if sheet_query.is_empty() { sheet_query } else { format!("?{sheet_query}") },
        rows_max: grouped(export::ROWS_MAX as u64),
        filter: filter.written,
        shell,
        organization,
        base,
    };
    Ok(page(StatusCode::OK, &template))
}

fn row(line: AuditView, reading: &Reading) -> Row {
    let change = |change: crate::store::FieldChange| ChangeRow {
        field: words::field(&change.field).into_owned(),
        from: change.from.map(|value| words::value(&change.field, value, reading)),
        to: change.to.map(|value| words::value(&change.field, value, reading)),
    };
    Row {
        action: words::action(&line.action).into_owned(),
        subject: line.subject.name,
        changes: line.changes.into_iter().map(change).collect(),
        actor: line.actor,
        at: reading.date_second(line.at.0),
    }
}

fn choices(chosen: &str) -> Vec<Choice> {
    words::actions().map(|(value, words)| Choice { value, words, chosen: value == chosen }).collect()
}

fn zone(reading: &Reading) -> String {
    let (name, letters) = (reading.zone(), reading.abbreviation(reading.now()));
    if name == letters { letters } else { format!("{name} ({letters})") }
}
