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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::domain::id::KeyId;
    use crate::telemetry::keys::{KeyCounters, KeyTotals};
    use crate::telemetry::readiness::NotReady;

    struct NoKeys;

    impl KeyCounters for NoKeys {
        fn visit(&self, _: &mut dyn FnMut(KeyId, KeyTotals)) {}

        fn key_count(&self) -> usize {
            0
        }
    }

    async fn ask(readiness: &Readiness, method: &str, path: &str) -> (u16, String, String) {
        let metrics = Arc::new(Metrics::new(Arc::new(NoKeys), 10, readiness.clone()));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = router(metrics, readiness.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, kind.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_process_that_leaves_is_healthy_and_not_ready() {
        let readiness = Readiness::starting();
        readiness.unset(NotReady::Starting);
        readiness.set_generation(3);
        let (status, _, body) = ask(&readiness, "GET", "/readyz").await;
        assert_eq!((status, body.as_str()), (200, r#"{"ready":true,"generation":3,"reasons":[]}"#));
        readiness.set(NotReady::Draining);
        let (status, _, body) = ask(&readiness, "GET", "/readyz").await;
        assert_eq!(
            (status, body.as_str()),
            (503, r#"{"ready":false,"generation":3,"reasons":["draining"]}"#)
        );
        assert_eq!(ask(&readiness, "GET", "/healthz").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_shown_in_the_text_format() {
        let (status, kind, body) = ask(&Readiness::starting(), "GET", "/metrics").await;
        assert_eq!(status, 200);
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        assert!(body.contains("keystile_build_info{version="), "{body}");
    }

    #[tokio::test]
    async fn only_get_and_head_of_three_pages_are_served() {
        let readiness = Readiness::starting();
        let (status, _, body) = ask(&readiness, "HEAD", "/healthz").await;
        assert_eq!((status, body.as_str()), (200, ""));
        assert_eq!(ask(&readiness, "POST", "/metrics").await.0, 405);
        assert_eq!(ask(&readiness, "DELETE", "/readyz").await.0, 405);
        assert_eq!(ask(&readiness, "GET", "/").await.0, 404);
    }
}
