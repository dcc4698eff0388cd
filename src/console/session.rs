//! A browser's session over HTTP: the cookies that carry it, and who a request belongs to.
//!
//! Promises that a cookie is out of reach of scripts, of other sites' changes and of plain text on a wire: `__Host-`,
//! `Secure` and `HttpOnly` behind https, and no sign-in by plain http but on this machine (RFC 6265bis section 4.1).
//! Never decides whether a session holds: operations do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Redirect, Response};
use cookie::{Cookie, SameSite};

use super::operations::{BROWSER_LIFETIME, NewSession, Operations, Refused, SignedIn, Whence};
use super::pages::Failure;
use super::{Shared, Site};
use crate::domain::network::nearest_untrusted;

/// Longest name of a browser that is looked at.
const USER_AGENT_BYTES_MAX: usize = 1_024;

/// What is kept in the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Session,
    Browser,
}

/// A cookie's name. Plain http has no `__Host-`, and its cookies do not tell ports apart: the name does, so that two
/// consoles on one machine do not sign each other's people out.
fn name(site: &Site, kept: Kept) -> String {
    let word = match kept {
        Kept::Session => "keystile",
        Kept::Browser => "keystile-browser",
    };
    if site.is_https() {
        return format!("__Host-{word}");
    }
    let port = site.authority().rsplit_once(':').map_or("80", |(_, port)| port);
    format!("{word}-{port}")
}

/// The name of the cookie that holds a session.
pub(super) fn cookie_name(site: &Site) -> String {
    name(site, Kept::Session)
}

fn cookie(site: &Site, kept: Kept, value: &str, lifetime: Duration) -> Option<HeaderValue> {
    // More than a browser keeps anything anyway.
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    let cookie = Cookie::build((name(site, kept), value.to_owned()))
        .path("/")
        .http_only(true)
        .secure(site.is_https())
        .same_site(SameSite::Lax)
        .max_age(cookie::time::Duration::seconds(seconds))
        .build();
    let mut value = HeaderValue::from_str(&cookie.to_string()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The value of exactly one cookie of this name: two are somebody's attempt to be taken for somebody else.
fn presented(site: &Site, kept: Kept, headers: &HeaderMap) -> Option<Vec<u8>> {
    let name = name(site, kept);
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|field| field.to_str().ok());
    let cookies = fields.flat_map(Cookie::split_parse).filter_map(Result::ok);
    let mut own = cookies.filter(|cookie| cookie.name() == name);
    let (found, None) = (own.next()?, own.next()) else { return None };
    Some(found.value().as_bytes().to_vec())
}

/// Whose session the request carries.
pub(super) async fn resume(
    operations: &Operations,
    site: &Site,
    headers: &HeaderMap,
) -> Result<Option<SignedIn>, Refused> {
    match presented(site, Kept::Session, headers) {
        Some(secret) => operations.resume(&secret).await,
        None => Ok(None),
    }
}

/// What the browser keeps since somebody signed in with it.
pub(super) fn known_browser(site: &Site, headers: &HeaderMap) -> Option<Vec<u8>> {
    presented(site, Kept::Browser, headers)
}

/// `response`, which begins a session.
pub(super) fn begin(mut response: Response, site: &Site, session: &NewSession) -> Response {
    let held = cookie(site, Kept::Session, session.secret.expose(), session.lifetime);
    let browser = session.browser.as_ref();
    let browser = browser.and_then(|secret| cookie(site, Kept::Browser, secret.expose(), BROWSER_LIFETIME));
    for value in [held, browser].into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// `response`, which ends the session of the browser. It stays known.
pub(super) fn end(mut response: Response, site: &Site) -> Response {
    if let Some(value) = cookie(site, Kept::Session, "", Duration::ZERO) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// Somebody who is signed in; whoever is not is led to the sign-in page, and back again.
#[derive(Debug, Clone)]
pub(super) struct Visitor(pub(super) SignedIn);

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Visitor, Response> {
        let found = resume(&shared.operations, &shared.site, &parts.headers).await;
        match found.map_err(|refused| Failure::from(refused).into_response())? {
            Some(signed_in) => Ok(Visitor(signed_in)),
            None => Err(Redirect::to(&sign_in_address(parts)).into_response()),
        }
    }
}

/// The sign-in page that leads back to where somebody wanted to go; a form that was sent is not sent again.
fn sign_in_address(parts: &Parts) -> String {
    let wanted = parts.uri.path_and_query().map_or("/", |wanted| wanted.as_str());
    if parts.method != Method::GET || wanted == "/" {
        return "/sign-in".to_owned();
    }
    // Strings only: this cannot fail.
    let query = serde_html_form::to_string([("next", wanted)]).unwrap_or_default();
    format!("/sign-in?{query}")
}

impl FromRequestParts<Shared> for Whence {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Whence, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let chains = parts.headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes);
        let named: Vec<&[u8]> = chains.flat_map(|chain| chain.split(|byte| *byte == b',')).collect();
        let proxies = &shared.site.trusted_proxies;
        let trusts = |address| proxies.iter().any(|network| network.contains(address));
        let user_agent = parts.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
        let user_agent = user_agent.get(..user_agent.len().min(USER_AGENT_BYTES_MAX)).unwrap_or_default();
        Ok(Whence {
            address: peer.map(|peer| nearest_untrusted(peer, named.into_iter().rev(), trusts)),
            user_agent: String::from_utf8_lossy(user_agent).into_owned(),
            session: presented(&shared.site, Kept::Session, &parts.headers),
        })
    }
}
