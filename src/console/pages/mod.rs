//! The pages for people: HTML from templates, the same operations as the API, everything without script but copying.
//!
//! Handlers parse, call operations and render. Never decides who may do what: operations do.

mod agents;
mod assets;
mod audit;
mod breakable;
mod chart;
mod confirm;
mod curl;
mod failure;
mod form;
mod gateways;
mod invitation;
mod keys;
mod limit_words;
mod members;
mod named;
mod notice;
mod openid;
mod organizations;
mod refusal;
mod scope;
mod settings;
mod sheet;
mod shell;
mod sign_in;
mod time;
mod usage;

use askama::Template;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use super::Shared;
use super::openid::CALLBACK;
pub(crate) use assets::asset;
pub(super) use failure::Failure;
pub(crate) use sign_in::local;

/// Largest form: names and limits are under a kibibyte.
const FORM_BYTES_MAX: usize = 64 * 1_024;

/// All pages.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .merge(keys::router())
        .merge(usage::routes())
        .merge(members::routes())
        .merge(agents::routes())
        .merge(audit::routes())
        .merge(settings::routes())
        .merge(organizations::routes())
        .merge(gateways::routes())
        .route("/", get(sign_in::home))
        .route("/sign-in", get(sign_in::show).post(sign_in::enter))
        .route("/sign-in/openid", get(openid::begin))
        .route(CALLBACK, get(openid::finish))
        .route("/sign-out", post(sign_in::leave))
        .route("/invitations/{token}", get(invitation::show).post(invitation::accept))
        .route("/assets/{version}/{name}", get(assets::serve))
        .method_not_allowed_fallback(async || Failure::Method)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
}

/// The page where there is nothing.
pub(super) fn not_found() -> Response {
    Failure::NotFound.into_response()
}

/// The page that answers a change which another site asked a browser for.
pub(super) fn from_elsewhere() -> Response {
    Failure::FromElsewhere.into_response()
}

/// A failure's page, which shows the request's id; every other answer as it is.
pub(super) fn shown(response: Response, request_id: &str) -> Response {
    match response.extensions().get::<Failure>() {
        Some(failure) => {
            let mut page = failure.page(request_id);
            // A cookie that is given or taken away is so whatever the page says.
            for cookie in response.headers().get_all(header::SET_COOKIE) {
                page.headers_mut().append(header::SET_COOKIE, cookie.clone());
            }
            page
        }
        None => response,
    }
}

/// A page.
pub(crate) fn page<T: Template>(status: StatusCode, template: &T) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = (status, html).into_response();
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, html);
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            Failure::Broken.into_response()
        }
    }
}

/// Leads on with GET once a form has done what it says.
pub(crate) fn see_other(address: &str) -> Response {
    Redirect::to(address).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failures_page_takes_away_the_cookies_that_its_answer_did() {
        let mut response = Failure::Unavailable.into_response();
        let cookie = HeaderValue::from_static("keystile-openid-1=; Max-Age=0");
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
        let page = shown(response, "id");
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(page.headers().get(header::SET_COOKIE), Some(&cookie));
    }
}
