//! `/sign-in`.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::page;

/// Where to go once signed in.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Onward {
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "sign_in.html")]
struct SignInPage<'a> {
    refusal: Option<String>,
    note: Option<&'static str>,
    next: &'a str,
    email: &'a str,
    with_openid: bool,
}

pub(super) async fn show(Query(onward): Query<Onward>) -> Response {
    let next = local(&onward.next);
    page(StatusCode::OK, &SignInPage { refusal: None, note: None, next, email: "", with_openid: false })
}

/// An address of ours, or `/`: a link to the sign-in page must not lead anywhere else afterwards.
pub(crate) fn local(next: &str) -> &str {
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_ours { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_ours_is_followed_after_signing_in() {
        assert_eq!(local("/orgs/acme/keys?q=1"), "/orgs/acme/keys?q=1");
        for elsewhere in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb", "javascript:1"]
        {
            assert_eq!(local(elsewhere), "/", "{elsewhere}");
        }
    }
}
