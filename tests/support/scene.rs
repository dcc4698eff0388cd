//! The usual scene: a gateway before one upstream, an organization `acme` with agents `echo` and `clock`, a key.

use serde_json::json;

use super::client::{Client, Request, Response};
use super::gateway::Gateway;
use super::management::{Key, Management};
use super::settings::Settings;
use super::upstream::Upstream;

/// The route of the usual scene, without its braces.
pub(crate) const AGENTS_ROUTE: &str =
    r#"path: "/agents/{agent}/{*rest}", agent: "{agent}", upstream: echo, rewrite: "/{rest}""#;

pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
    /// Opens every agent of `acme`.
    pub(crate) key: Key,
}

impl Scene {
    pub(crate) fn new(upstream: Upstream) -> Scene {
        Scene::with(upstream, |_| ())
    }

    /// The usual scene with more settings.
    pub(crate) fn with(upstream: Upstream, configure: impl FnOnce(&mut Settings)) -> Scene {
        let url = upstream.url();
        Scene::configured(upstream, |settings| {
            settings.upstream("echo", &[url], "").route(AGENTS_ROUTE);
            configure(settings);
        })
    }

    /// The usual people and keys before upstreams and routes of the test's own.
    pub(crate) fn configured(upstream: Upstream, configure: impl FnOnce(&mut Settings)) -> Scene {
        let mut gateway = Gateway::start(configure);
        let management = gateway.management();
        management.organization("acme", json!({}));
        management.agent("acme", "echo");
        management.agent("acme", "clock");
        let key = management.key("acme", json!({}));
        Scene { gateway, upstream, key }
    }

    pub(crate) fn management(&mut self) -> Management {
        self.gateway.management()
    }

    pub(crate) fn connect(&self) -> Client {
        self.gateway.connect()
    }

    /// A GET with the scene's key.
    pub(crate) fn get(&self, target: &str) -> Request {
        Request::get(target).key(&self.key.secret)
    }

    /// A POST with the scene's key.
    pub(crate) fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Request {
        Request::post(target, body).key(&self.key.secret)
    }

    /// One request on a connection of its own.
    pub(crate) fn exchange(&self, request: &Request) -> Response {
        self.gateway.exchange(request)
    }
}
