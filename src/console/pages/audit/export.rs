//! The audit log as a sheet.
//!
//! Promises at most [`ROWS_MAX`] lines, the newest that match, and no cell that a spreadsheet evaluates.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::filter::Wanted;
use crate::console::operations::{Operations, Refused};
use crate::console::pages::failure::Failure;
use crate::console::pages::form::Asked;
use crate::console::pages::sheet::sheet;
use crate::console::pages::shell::{Place, Shell};
use crate::console::session::Visitor;
use crate::console::view::AuditView;
use crate::domain::id::AuditId;

/// Lines of one sheet: what is held in memory at once stays under a few megabytes.
pub(super) const ROWS_MAX: usize = 10_000;
/// Lines read at once.
const LINES_AT_ONCE: u32 = 1_000;
const HEADER: [&str; 6] = ["Time (UTC)", "Person", "Action", "Record", "Record id", "Changes"];

pub(super) async fn download(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = Shell::read(&operations, caller, Some(&org), Place::Audit).await?;
    let filter = wanted.read(&shell.reading).filter;
    let mut lines: Vec<AuditView> = Vec::new();
    let mut before: Option<AuditId> = None;
    while lines.len() < ROWS_MAX {
        let found = operations.list_audit(caller, &org, filter.clone(), before, LINES_AT_ONCE).await?;
        lines.extend(found.items);
        before = found.next.and_then(|next| next.parse().ok());
        if before.is_none() {
            break;
        }
    }
    lines.truncate(ROWS_MAX);
    let bytes = sheet(&HEADER, lines.into_iter().map(cells)).map_err(|error| {
        tracing::error!(%error, "a sheet could not be written");
        Failure::from(Refused::Interrupted)
    })?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    // A slug is letters, digits and hyphens: it needs no quoting in a file's name.
    let name = format!("attachment; filename=\"audit-{}.csv\"", shell.slug());
    let attachment = HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_DISPOSITION, attachment);
    Ok(response)
}

fn cells(line: AuditView) -> Vec<String> {
    let unset = || "not set".to_owned();
    let changes: Vec<String> = line
        .changes
        .into_iter()
        .map(|change| {
            let (from, to) = (change.from.unwrap_or_else(unset), change.to.unwrap_or_else(unset));
            format!("{}: {from} → {to}", change.field)
        })
        .collect();
    vec![
        line.at.0.to_rfc3339(),
        line.actor,
        line.action,
        line.subject.name,
        line.subject.id,
        changes.join("; "),
    ]
}
