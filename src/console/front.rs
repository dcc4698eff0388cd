//! What every answer of the console carries, API and pages alike, and what no request gets past.
//!
//! Promises a request id on each answer, security headers, nothing kept in caches but assets, and that a change asked
//! for by another site is refused before any handler sees it. Never knows who the caller is.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tower_http::csrf::{CsrfLayer, ProtectionError};
use uuid::Uuid;

use super::{Site, api, pages};

/// How long browsers reach this host by https only: a year.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the frame needs to know, worked out once.
struct Frame {
    public_url: String,
    is_https: bool,
}

/// Puts the front before `router`.
pub(super) fn before(router: Router, site: &Site) -> Router {
    let frame = Frame { public_url: site.public_url.clone(), is_https: site.is_https() };
    // A public URL that is no origin was refused with the configuration; without it the request's own host counts.
    let csrf = CsrfLayer::new().add_trusted_origin(&site.public_url).unwrap_or_default();
    router.layer(csrf).layer(from_fn_with_state(Arc::new(frame), around))
}

/// What pages may load and where their forms may lead (Content Security Policy level 3). Nothing inline, nothing from
/// elsewhere.
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

async fn around(State(frame): State<Arc<Frame>>, request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let is_api = api::is_address(request.uri().path());
    let mut response = next.run(request).await;
    if response.extensions().get::<ProtectionError>().is_some() {
        response = if is_api { api::from_elsewhere() } else { pages::from_elsewhere() };
    }
    if !is_api {
        response = pages::shown(response, &id);
    }
    let headers = response.headers_mut();
    if headers.get(header::CACHE_CONTROL).is_none() {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    if frame.is_https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    // Redirects of pages stay relative: whoever came by another name for this host stays with it.
    if response.status() == StatusCode::CREATED {
        make_location_absolute(&mut response, &frame.public_url);
    }
    response
}

fn make_location_absolute(response: &mut Response, public_url: &str) {
    let headers = response.headers_mut();
    if let Some(path) = headers.get(header::LOCATION).and_then(|path| path.to_str().ok())
        && let Ok(location) = HeaderValue::from_str(&format!("{public_url}{path}"))
    {
        headers.insert(header::LOCATION, location);
    }
}
