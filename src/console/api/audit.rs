//! `/organizations/{org}/audit`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::answer;
use super::extract::{By, Named, Query, instant, page_of};
use super::problem::Problem;
use crate::console::operations::{AuditFilter, Operations};
use crate::console::view::{AuditView, Page};
use crate::domain::clock::UnixMillis;

/// `?actor&subject&action&from&to&limit&cursor` as written.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Written {
    /// A part of the name of who did it.
    #[param(required = false, value_type = String, max_length = 256)]
    actor: Option<String>,
    /// The id of a record, or a part of its name.
    #[param(required = false, value_type = String, max_length = 256)]
    subject: Option<String>,
    /// What was done, such as `key.created`.
    #[param(required = false, value_type = String, max_length = 256)]
    action: Option<String>,
    /// Not before this instant.
    #[param(value_type = UnixMillis, required = false)]
    from: Option<String>,
    /// Before this instant.
    #[param(value_type = UnixMillis, required = false)]
    to: Option<String>,
    /// How many lines at most.
    #[param(minimum = 1, maximum = 200, default = 50, required = false, value_type = u32)]
    limit: Option<u32>,
    /// The `next` of the page before.
    #[param(format = "uuid", required = false, value_type = String)]
    cursor: Option<String>,
}

/// List an organization's audit log
///
/// Who did what to which record, newest first. An agent admin is shown their own actions.
#[utoipa::path(get, path = "/organizations/{org}/audit", tag = "audit", operation_id = "listAudit",
    params(Written), responses((status = 200, description = "A page of the log, newest first.", body = Page<AuditView>)))]
pub(super) async fn list(
    By(caller): By,
    State(operations): State<Operations>,
    Named(organization): Named<String>,
    Query(written): Query<Written>,
) -> Result<Response, Problem> {
    let (before, limit) = page_of(written.limit, written.cursor)?;
    let filter = AuditFilter {
        actor: written.actor,
        subject: written.subject,
        action: written.action,
        from: instant("from", written.from)?,
        to: instant("to", written.to)?,
    };
    let page = operations.list_audit(&caller, &organization, filter, before, limit).await?;
    Ok(answer::json(StatusCode::OK, &page))
}
