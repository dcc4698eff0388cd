//! The control plane: what may be done (`operations`), how records are shown (`view`), the management API (`api`) and
//! the pages for people (`pages`), both behind one `front`.
//!
//! Promises that keys change nowhere else. Never serves a proxied request and never knows the gateway.

pub mod api;
mod body;
mod front;
pub mod openid;
pub mod operations;
mod pages;
mod session;
pub mod view;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::FromRef;

use crate::domain::network::Network;
use crate::domain::route::Route;
use operations::Operations;

/// What the console knows of the deployment that it speaks for.
#[derive(Debug)]
pub struct Site {
    /// Under which URL people and programs reach the console: scheme, host and port, no slash at its end.
    pub public_url: String,
    /// Under which URL programs reach the gateway, no slash at its end.
    pub gateway_url: String,
    /// The gateway's routes, for the examples that a new key is shown with. Swapped by a reload.
    pub routes: ArcSwap<Vec<Route>>,
    /// Who vouches for people besides their passwords.
    pub openid: Option<openid::Provider>,
    /// Whose `x-forwarded-for` is believed.
    pub trusted_proxies: Vec<Network>,
}

impl Site {
    /// Whether people may sign in: their cookie must not travel in the clear, but on this machine.
    pub fn may_sign_in(&self) -> bool {
        self.is_https() || self.host().is_some_and(is_loopback)
    }

    /// Whether people reach the console by https.
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// The host of the public URL, with its port where one is written.
    fn authority(&self) -> &str {
        self.public_url.split_once("://").map_or("", |(_, authority)| authority)
    }

    fn host(&self) -> Option<String> {
        let authority: http::uri::Authority = self.authority().parse().ok()?;
        Some(authority.host().trim_matches(['[', ']']).to_owned())
    }
}

/// Whether a host is this machine: browsers keep what is said to it from everybody else.
fn is_loopback(host: String) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What handlers work on.
#[derive(Clone)]
pub(crate) struct Shared {
    operations: Operations,
    site: Arc<Site>,
}

impl FromRef<Shared> for Operations {
    fn from_ref(shared: &Shared) -> Operations {
        shared.operations.clone()
    }
}

impl FromRef<Shared> for Arc<Site> {
    fn from_ref(shared: &Shared) -> Arc<Site> {
        Arc::clone(&shared.site)
    }
}

/// Everything the console serves, ready for a listener.
pub fn router(operations: Operations, site: Arc<Site>) -> Router {
    let shared = Shared { operations, site: Arc::clone(&site) };
    let router = pages::router().merge(api::router(&site)).fallback(nowhere).with_state(shared);
    front::before(router, &site)
}

async fn nowhere(request: axum::extract::Request) -> axum::response::Response {
    if api::is_address(request.uri().path()) { api::not_found() } else { pages::not_found() }
}
