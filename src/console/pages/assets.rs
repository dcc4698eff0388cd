//! Stylesheet, modules and icons, embedded in the binary.
//!
//! Promises an address that changes with the content of any of them, so that browsers may keep each for a year. Never
//! reads a file at run time.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

/// For contents that never change under their address: a year, the longest that caches heed.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// For an address of another version, asked for by a page from before or after an update.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

#[derive(RustEmbed)]
#[folder = "src/console/assets/"]
struct Assets;

/// What stands for the contents of all assets together: modules import each other by relative address.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Assets::iter().collect();
    names.sort();
    let mut hasher = blake3::Hasher::new();
    for name in names {
        if let Some(asset) = Assets::get(&name) {
            hasher.update(name.as_bytes()).update(&asset.data);
        }
    }
    hasher.finalize().to_hex().chars().take(16).collect()
});

/// The address of an asset.
pub(crate) fn asset(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// `/assets/{version}/{name}`.
pub(super) async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    let Some(asset) = Assets::get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let mut response = asset.data.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(&name)));
    headers.insert(header::CACHE_CONTROL, if version == *VERSION { FOR_EVER } else { ASK_AGAIN });
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
