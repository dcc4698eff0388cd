//! The management API, `/api/v1`: JSON in, JSON out, problem documents (RFC 9457) where something is wrong.
//!
//! Handlers parse, call one operation, and render. Every answer has an `x-request-id` and is kept out of caches. Never
//! decides who may do what: operations do.

mod agents;
mod answer;
mod describe;
mod examples;
mod extract;
#[cfg(test)]
mod failing;
mod failures;
mod keys;
mod organizations;
mod problem;
mod shapes;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::operations::Operations;
use extract::{BODY_BYTES_MAX, By};
use problem::Problem;

/// Everything the console serves, ready for a listener. `public_url` (no slash at its end) is how clients reach it:
/// what is created is said to be there.
pub fn router(operations: Operations, public_url: &str) -> Router {
    let (calls, said) = OpenApiRouter::with_openapi(describe::blank(public_url))
        .nest("/api/v1", calls())
        .split_for_parts();
    let description = Arc::new(describe::complete(&said));
    Router::new()
        .merge(calls)
        .route("/api/v1/openapi.json", get(async move || answer::json(StatusCode::OK, &*description)))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::of(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::from(public_url), frame))
        .with_state(operations)
}

/// Every call, each with what it says of itself.
fn calls() -> OpenApiRouter<Operations> {
    OpenApiRouter::default()
        .routes(routes!(session))
        .routes(routes!(organizations::list, organizations::create))
        .routes(routes!(organizations::read, organizations::change, organizations::delete))
        .routes(routes!(agents::list, agents::create))
        .routes(routes!(agents::read, agents::change, agents::delete))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::read, keys::change, keys::delete))
        .routes(routes!(keys::usage))
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

/// Who the caller is.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionView {
    name: String,
    roles: Vec<RoleView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HeldRole)]
struct RoleView {
    role: &'static str,
}

/// Who is calling
///
/// With their roles.
#[utoipa::path(get, path = "/session", tag = "session", operation_id = "readSession",
    responses((status = 200, description = "The caller.", body = SessionView)))]
async fn session(By(caller): By) -> Response {
    let roles = vec![RoleView { role: caller.role().as_str() }];
    answer::json(StatusCode::OK, &SessionView { name: caller.name().to_owned(), roles })
}
