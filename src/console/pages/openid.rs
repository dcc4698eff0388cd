//! `/sign-in/openid` and the address that the provider sends people back to.
//!
//! Promises that whatever goes wrong is a page that says what to do, logged once with its cause. Never shows what the
//! address of an answer says.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::failure::Failure;
use super::form::Asked;
use super::sign_in::Onward;
use super::{page, see_other};
use crate::console::openid::{CookieName, Failed, Returned, Vouched};
use crate::console::operations::{OpenIdIdentity, Operations, Refused, Whence};
use crate::console::{Site, session};

/// Whom a provider vouches for, but nobody else does.
const NOT_INVITED: &str = "Nobody has invited this e-mail address, or another company account signs in with it already. \
    Ask an admin of your organization for an invitation.";

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "openid_failed.html")]
struct FailedPage {
    text: &'static str,
}

/// Leads to the provider.
pub(super) async fn begin(State(site): State<Arc<Site>>, Asked(onward): Asked<Onward>) -> Response {
    let Some(provider) = &site.openid else {
        return Failure::NotFound.into_response();
    };
    match provider.begin(&onward.next).await {
        Ok(begun) => with_cookie(see_other(&begun.location), &begun.cookie),
        Err(failed) => failed_page(&failed),
    }
}

/// Comes back from the provider.
pub(super) async fn finish(
    State(site): State<Arc<Site>>,
    State(operations): State<Operations>,
    from: Whence,
    headers: HeaderMap,
    returned: Result<Query<Returned>, QueryRejection>,
) -> Response {
    let Some(provider) = &site.openid else {
        return Failure::NotFound.into_response();
    };
    let Ok(Query(returned)) = returned else {
        return failed_page(&Failed::NotBegun);
    };
    let carried = carried(&headers, provider.cookie());
    match provider.finish(returned, carried).await {
        Ok((vouched, next)) => {
            let answer = match operations.sign_in_openid(identity(vouched), from).await {
                Ok(session) => session::begin(see_other(&next), &site, &session),
                Err(Refused::SignInFailed) => refused_page(NOT_INVITED),
                Err(refused) => Failure::from(refused).into_response(),
            };
            with_cookie(answer, &provider.cookie().removal())
        }
        // It may belong to a sign-in in another tab, which goes on.
        Err(failed @ Failed::NotBegun) => failed_page(&failed),
        Err(failed) => with_cookie(failed_page(&failed), &provider.cookie().removal()),
    }
}

fn identity(vouched: Vouched) -> OpenIdIdentity {
    let Vouched { issuer, subject, email, name } = vouched;
    // What is no name here is left out: people set their own.
    OpenIdIdentity { issuer, subject, email, name: name.and_then(|name| name.parse().ok()) }
}

/// What the browser carries along. None where it carries two of them: one is not ours.
fn carried<'h>(headers: &'h HeaderMap, name: &CookieName) -> Option<&'h str> {
    let fields = headers.get_all(header::COOKIE).into_iter().filter_map(|field| field.to_str().ok());
    let mut values = fields
        .flat_map(|field| field.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name.as_str())
        .map(|(_, value)| value);
    let first = values.next();
    if values.next().is_some() { None } else { first }
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn failed_page(failed: &Failed) -> Response {
    // In quotes: what a provider writes may hold anything.
    let cause = failed.chain();
    match failed {
        // Whoever opens the address of answers can have that: not for a log that people watch.
        Failed::NotBegun => tracing::debug!(?cause, "a sign-in with OpenID Connect failed"),
        Failed::Unreachable(_)
        | Failed::Busy
        | Failed::Interrupted
        | Failed::OtherProvider
        | Failed::Declined(_)
        | Failed::Unverified(_)
        | Failed::NoEmail
        | Failed::EmailUnverified
        | Failed::DomainNotAllowed => tracing::warn!(?cause, "a sign-in with OpenID Connect failed"),
    }
    page(failed.status(), &FailedPage { text: failed.text() })
}

fn refused_page(text: &'static str) -> Response {
    page(StatusCode::FORBIDDEN, &FailedPage { text })
}
