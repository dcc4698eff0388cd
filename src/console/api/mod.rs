//! The management API, `/api/v1`: JSON in, JSON out, problem documents (RFC 9457) where something is wrong.
//!
//! Handlers parse, call one operation, and render. Never decides who may do what: operations do.

mod agents;
mod answer;
mod audit;
mod describe;
mod docs;
mod examples;
mod extract;
#[cfg(test)]
mod failing;
mod failures;
mod gateways;
mod keys;
mod members;
mod organizations;
mod problem;
mod session;
mod shapes;
mod tidy;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Shared, Site};
use extract::BODY_BYTES_MAX;
use problem::Problem;

/// The API of the console at `site`, without what stands before all of the console.
pub(super) fn router(site: &Site) -> Router<Shared> {
    let (calls, said) = OpenApiRouter::with_openapi(describe::blank(&site.public_url))
        .nest("/api/v1", calls())
        .split_for_parts();
    let description = Arc::new(describe::complete(&said, &super::session::cookie_name(site)));
    let page = Arc::new(docs::page(&description, &site.public_url));
    Router::new()
        .merge(calls)
        .route("/api/v1/openapi.json", get(async move || answer::json(StatusCode::OK, &*description)))
        .route("/api/docs", get(async move || docs::show(&page)))
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Every call, each with what it says of itself.
fn calls() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(session::read, session::sign_in, session::change, session::sign_out))
        .routes(routes!(session::change_password))
        .routes(routes!(session::list, session::sign_out_everywhere))
        .routes(routes!(session::end))
        .routes(routes!(organizations::list, organizations::create))
        .routes(routes!(organizations::read, organizations::change, organizations::delete))
        .routes(routes!(agents::list, agents::create))
        .routes(routes!(agents::read, agents::change, agents::delete))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::read, keys::change, keys::delete))
        .routes(routes!(keys::usage))
        .routes(routes!(members::list, members::create))
        .routes(routes!(members::read, members::change, members::delete))
        .routes(routes!(members::renew))
        .routes(routes!(audit::list))
        .routes(routes!(gateways::list))
        .routes(routes!(session::read_invitation, session::accept_invitation))
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
