//! The management API, `/api/v1`: JSON in, JSON out, problem documents (RFC 9457) where something is wrong.
//!
//! Handlers parse, call one operation, and render. Never decides who may do what: operations do.

mod agents;
mod answer;
mod extract;
#[cfg(test)]
mod failing;
mod keys;
mod organizations;
mod problem;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Shared;
use super::operations::Operations;
use extract::{BODY_BYTES_MAX, By};
use problem::Problem;

/// The API, without what stands before all of the console.
pub(super) fn router() -> Router<Shared> {
    let organization = "/api/v1/organizations/{org}";
    Router::new()
        .route("/api/v1/session", get(session))
        .route("/api/v1/organizations", get(organizations::list).post(organizations::create))
        .route(
            organization,
            get(organizations::read).patch(organizations::change).delete(organizations::delete),
        )
        .route(&format!("{organization}/agents"), get(agents::list).post(agents::create))
        .route(
            &format!("{organization}/agents/{{agent}}"),
            get(agents::read).patch(agents::change).delete(agents::delete),
        )
        .route(&format!("{organization}/keys"), get(keys::list).post(keys::create))
        .route(
            &format!("{organization}/keys/{{key}}"),
            get(keys::read).patch(keys::change).delete(keys::delete),
        )
        .route(&format!("{organization}/keys/{{key}}/usage"), get(keys::usage))
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Whether a path belongs to the API, where answers are JSON whatever they say.
pub(super) fn is_address(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// The answer where there is nothing.
pub(super) fn not_found() -> Response {
    Problem::not_found().into_response()
}

/// The answer to a change that another site asked a browser for.
pub(super) fn from_elsewhere() -> Response {
    Problem::with(StatusCode::FORBIDDEN, "the request comes from another site; nothing was changed")
        .into_response()
}

async fn session(By(caller): By, State(operations): State<Operations>) -> Result<Response, Problem> {
    Ok(answer::json(StatusCode::OK, &operations.read_session(&caller).await?))
}
