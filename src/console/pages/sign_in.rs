//! `/`, `/sign-in` and `/sign-out`: the way in and out by a browser.
//!
//! Promises that the page says the same whoever does not get in, and leads to addresses of ours only.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::form::{Asked, Filled, sentence};
use super::{page, see_other};
use crate::console::Site;
use crate::console::operations::{Operations, Refused, SignIn, Whence};
use crate::console::session::{self, Visitor};

/// Where to go once signed in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Onward {
    pub(super) next: String,
}

/// The form, as written.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SignInForm {
    next: String,
    email: String,
    password: String,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "sign_in.html")]
struct SignInPage<'a> {
    refusal: Option<String>,
    next: &'a str,
    email: &'a str,
    /// Whether a session cookie would be safe on the wire.
    may_sign_in: bool,
    with_openid: bool,
}

impl<'a> SignInPage<'a> {
    fn new(site: &Site, next: &'a str, email: &'a str) -> SignInPage<'a> {
        let may_sign_in = site.may_sign_in();
        SignInPage {
            refusal: None,
            next: local(next),
            email,
            may_sign_in,
            with_openid: site.openid.is_some(),
        }
    }
}

pub(super) async fn show(State(site): State<Arc<Site>>, Asked(onward): Asked<Onward>) -> Response {
    page(StatusCode::OK, &SignInPage::new(&site, &onward.next, ""))
}

pub(super) async fn enter(
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    from: Whence,
    headers: HeaderMap,
    Filled(form): Filled<SignInForm>,
) -> Result<Response, Failure> {
    let asked = SignInPage::new(&site, &form.next, &form.email);
    if !asked.may_sign_in {
        return Ok(page(StatusCode::FORBIDDEN, &asked));
    }
    let browser = session::known_browser(&site, &headers);
    let password = Zeroizing::new(form.password);
    let tried = SignIn { email: form.email.clone(), password, from, browser };
    match operations.sign_in(tried).await {
        Ok(begun) => Ok(session::begin(see_other(asked.next), &site, &begun)),
        Err(refused) => {
            let Some((status, retry_after_s)) = refusal(&refused) else { return Err(refused.into()) };
            let said = SignInPage { refusal: Some(sentence(&refused.to_string())), ..asked };
            Ok(retry_after(page(status, &said), retry_after_s))
        }
    }
}

/// The status of what the form itself says, and when to come again.
pub(super) fn refusal(refused: &Refused) -> Option<(StatusCode, Option<u64>)> {
    if let Refused::TooManyAttempts { retry_after_s } = refused {
        return Some((StatusCode::TOO_MANY_REQUESTS, Some(*retry_after_s)));
    }
    if matches!(refused, Refused::Busy) {
        return Some((StatusCode::SERVICE_UNAVAILABLE, Some(1)));
    }
    matches!(refused, Refused::SignInFailed).then_some((StatusCode::UNAUTHORIZED, None))
}

pub(super) fn retry_after(mut response: Response, seconds: Option<u64>) -> Response {
    if let Some(seconds) = seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

pub(super) async fn leave(
    Visitor(visitor): Visitor,
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
) -> Result<Response, Failure> {
    operations.sign_out(&visitor).await?;
    Ok(session::end(see_other("/sign-in"), &site))
}

/// Where somebody who is signed in begins.
pub(super) async fn home(
    Visitor(visitor): Visitor,
    State(operations): State<Operations>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let first = operations.list_organizations(caller, None, 2).await?.items;
    match first.as_slice() {
        [only] => Ok(see_other(&format!("/orgs/{}/keys", only.slug))),
        [] if !caller.is_operator() => Err(Failure::NotPermitted),
        // The list to choose from.
        _ => Ok(see_other("/orgs")),
    }
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
