//! The management API, `/api/v1`: JSON in, JSON out, problem documents (RFC 9457) where something is wrong.
//!
//! Handlers parse, call one operation, and render. Every answer has an `x-request-id` and is kept out of caches. Never
//! decides who may do what: operations do.

mod agents;
mod answer;
mod extract;
#[cfg(test)]
mod failing;
mod keys;
mod organizations;
mod problem;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use uuid::Uuid;

use super::operations::Operations;
use extract::{BODY_BYTES_MAX, By};
use problem::Problem;

/// Everything the console serves, ready for a listener. `public_url` (no slash at its end) is how clients reach it:
/// what is created is said to be there.
pub fn router(operations: Operations, public_url: &str) -> Router {
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
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::from(public_url), frame))
        .with_state(operations)
}

/// What every answer carries, whatever it says.
async fn frame(State(public_url): State<Arc<str>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Some(path) = headers.get(header::LOCATION).and_then(|path| path.to_str().ok())
        && let Ok(location) = HeaderValue::from_str(&format!("{public_url}{path}"))
    {
        headers.insert(header::LOCATION, location);
    }
    if let Ok(id) = HeaderValue::from_str(&Uuid::now_v7().to_string()) {
        headers.insert("x-request-id", id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn session(By(caller): By, State(operations): State<Operations>) -> Result<Response, Problem> {
    Ok(answer::json(StatusCode::OK, &operations.read_session(&caller).await?))
}
