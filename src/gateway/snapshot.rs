//! What the phases read of the configuration, compiled once and shared by all workers until it is replaced whole.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::http1::request::HeadBounds;
use super::routes::Routes;
use crate::domain::network::Network;
use crate::domain::route::Route;
use crate::domain::secret::SecretFormat;
use crate::domain::upstream::{Endpoint, Timeouts, Upstream};
use crate::telemetry::Metrics;

/// What a gateway is told: the data plane's part of a resolved configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Routes, in any order.
    pub routes: Vec<Route>,
    /// Upstreams that routes name.
    pub upstreams: Vec<Upstream>,
    /// What keys look like.
    pub key_format: SecretFormat,
    /// Proxies whose `x-forwarded-for` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Largest request head, in bytes.
    pub head_bytes_max: usize,
    /// Most field lines in a request head.
    pub head_fields_max: usize,
    /// Longest request target, in bytes.
    pub target_bytes_max: usize,
    /// From a head's first byte to its last.
    pub head_timeout: Duration,
    /// How long a connection may wait for its next request.
    pub idle_timeout: Duration,
}

/// One generation of the configuration, as the phases use it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) routes: Routes,
    /// Where each route is counted, by its place.
    route_places: Vec<RoutePlace>,
    upstreams: HashMap<String, UpstreamTarget>,
    pub(crate) key_format: SecretFormat,
    trusted_proxies: Vec<Network>,
    pub(crate) bounds: HeadBounds,
    pub(crate) head_timeout: Duration,
    pub(crate) idle_timeout: Duration,
}

/// Where a route is counted, in metrics and in the use of keys.
#[derive(Debug)]
pub(crate) struct RoutePlace {
    pub(crate) index: usize,
    /// The label of that place: the route's own, or `other` where there were too many.
    pub(crate) label: Arc<str>,
}

/// An upstream, as forwarding uses it.
#[derive(Debug)]
pub(crate) struct UpstreamTarget {
    pub(crate) name: String,
    pub(crate) endpoints: Vec<EndpointTarget>,
    pub(crate) timeouts: Timeouts,
    pub(crate) idle_connections_max: usize,
    pub(crate) idle_connection_timeout: Duration,
    /// Where metrics count it.
    pub(crate) metrics: usize,
}

/// An endpoint with its authority written out once.
#[derive(Debug)]
pub(crate) struct EndpointTarget {
    pub(crate) endpoint: Endpoint,
    /// The key of its connection pool, and the `host` of forwarded requests.
    pub(crate) authority: String,
}

impl RoutePlace {
    fn of(label: &str, metrics: &Metrics) -> RoutePlace {
        let index = metrics.intern_route(label);
        // Each worker its own copy, so that requests share no counter of references.
        RoutePlace { index, label: Arc::from(&*metrics.route_label(index)) }
    }
}

impl Snapshot {
    pub(crate) fn compile(settings: &Settings, metrics: &Metrics) -> Snapshot {
        let upstreams = settings.upstreams.iter().map(|upstream| {
            let endpoint = |endpoint: &Endpoint| EndpointTarget {
                endpoint: endpoint.clone(),
                authority: endpoint.authority(),
            };
            let target = UpstreamTarget {
                name: upstream.name.clone(),
                endpoints: upstream.endpoints.iter().map(endpoint).collect(),
                timeouts: upstream.timeouts,
                idle_connections_max: upstream.idle_connections_max as usize,
                idle_connection_timeout: upstream.idle_connection_timeout,
                metrics: metrics.intern_upstream(&upstream.name),
            };
            (upstream.name.clone(), target)
        });
        Snapshot {
            routes: Routes::compile(&settings.routes),
            route_places: settings.routes.iter().map(|route| RoutePlace::of(&route.label, metrics)).collect(),
            upstreams: upstreams.collect(),
            key_format: settings.key_format.clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
            bounds: HeadBounds {
                head_bytes_max: settings.head_bytes_max,
                fields_max: settings.head_fields_max,
                target_bytes_max: settings.target_bytes_max,
            },
            head_timeout: settings.head_timeout,
            idle_timeout: settings.idle_timeout,
        }
    }

    pub(crate) fn upstream(&self, name: &str) -> Option<&UpstreamTarget> {
        self.upstreams.get(name)
    }

    pub(crate) fn route_place(&self, place: usize) -> Option<&RoutePlace> {
        self.route_places.get(place)
    }

    /// Whether `peer` may say for whom it asks.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(peer))
    }
}
