//! The ops listener's pages: `/metrics`, `/healthz`, `/readyz`.
//!
//! Promises that `/healthz` answers as long as the process runs at all and that `/readyz` says why it does not want
//! requests. Never shows a secret, and never changes anything: GET and HEAD are all there is.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::metrics::Metrics;
use super::readiness::Readiness;

/// Scrapes that are rendered at the same time; others wait, so that many of them cannot take all blocking threads.
const SCRAPES_MAX: usize = 2;

#[derive(Clone)]
struct Pages {
    metrics: Arc<Metrics>,
    readiness: Readiness,
    scrapes: Arc<Semaphore>,
}

/// What `/readyz` says.
#[derive(Debug, Serialize)]
struct Ready {
    ready: bool,
    generation: u64,
    reasons: Vec<&'static str>,
}

/// The pages, to be served on the ops listener only.
pub fn router(metrics: Arc<Metrics>, readiness: Readiness) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(show_readiness))
        .with_state(Pages { metrics, readiness, scrapes: Arc::new(Semaphore::new(SCRAPES_MAX)) })
}

async fn show_metrics(State(pages): State<Pages>) -> Response {
    let Ok(_turn) = pages.scrapes.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let metrics = Arc::clone(&pages.metrics);
    match tokio::task::spawn_blocking(move || metrics.render()).await {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn show_readiness(State(pages): State<Pages>) -> Response {
    let reasons: Vec<&str> = pages.readiness.reasons().into_iter().map(|reason| reason.as_str()).collect();
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let page = Ready { ready, generation: pages.readiness.generation(), reasons };
    (status, [(header::CACHE_CONTROL, "no-store")], axum::Json(page)).into_response()
}
