//! The dashboard: readable, and every query of it, like every alarm's, is evaluated by Debian's Prometheus that scraped
//! processes with traffic. A query that finds nothing would be an empty panel.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::alarms::alerts;
use crate::files::read;
use crate::prometheus::{Job, Prometheus};
use crate::support::{Gateway, Request, Scene, Upstream, eventually, unknown_key};

/// What Grafana puts in place of its variables: all processes, and a span of some scrapes.
const VARIABLES: &[(&str, &str)] = &[("$__rate_interval", "20s"), ("$instance", ".+")];

fn panels() -> Vec<Value> {
    let board: Value = serde_json::from_str(&read("deploy/grafana/keystile.json")).unwrap();
    let panels = board["panels"].as_array().unwrap().clone();
    panels.into_iter().filter(|panel| panel["type"] != "row").collect()
}

/// The queries of all panels, with the panel's title, variables filled in.
fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for panel in panels() {
        for target in panel["targets"].as_array().unwrap() {
            let mut query = target["expr"].as_str().unwrap().to_owned();
            for (name, value) in VARIABLES {
                query = query.replace(name, value);
            }
            assert!(!query.contains('$'), "an unknown variable in {query}");
            queries.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    queries
}

#[test]
fn every_panel_has_a_title_a_description_a_unit_and_a_place_of_its_own() {
    let panels = panels();
    let mut titles = std::collections::BTreeSet::new();
    let mut taken = std::collections::BTreeSet::new();
    for panel in &panels {
        let title = panel["title"].as_str().unwrap();
        assert!(titles.insert(title), "{title} stands twice");
        assert!(panel["description"].as_str().is_some_and(|text| text.len() > 20), "{title}: no description");
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
        assert!(unit.is_some_and(|unit| !unit.is_empty()), "{title}: no unit");
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title} is out of the grid");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} lies on another panel");
            }
        }
    }
}

/// What was scraped while it had traffic of every kind that the dashboard shows.
struct Scraped {
    prometheus: Prometheus,
    /// Whether there was a fleet: without one, queries about it find nothing.
    fleet: bool,
    /// Held, so that it runs as long as it is scraped.
    _processes: Scene,
}

/// One process and its traffic.
fn scrape() -> Scraped {
    let mut scene = Scene::with(Upstream::echo(), |settings| {
        let refusing = crate::support::upstream::Refusing::new().url();
        settings.upstream("broken", &[refusing], "");
        settings.route(r#"path: "/broken/{agent}", agent: "{agent}", upstream: broken"#);
        settings.key_limits(
            "{ rate: { requests: 1000, per: second, burst: 1000 }, concurrency: 100, quotas: [] }",
        );
    });
    let limited = scene
        .management()
        .key("acme", json!({"limits": {"rate": {"requests": 1, "per": "day", "burst": 1}}}));
    let jobs: Vec<Job<'_>> = vec![("keystile-gateway", vec![scene.gateway.ops_address()])];
    let prometheus = Prometheus::scraping(&jobs);
    let keys = [scene.key.secret.clone(), limited.secret];
    until_seen(&prometheus, "up == 1", || ());
    // The first sight of a counter is no growth yet: traffic goes on until rates see all of it.
    for seen in [
        "rate(keystile_upstream_failures_total[20s]) > 0",
        r#"rate(keystile_denials_total{reason="rate_exceeded"}[20s]) > 0"#,
        r#"rate(keystile_denials_total{reason="unknown_key"}[20s]) > 0"#,
        r#"rate(keystile_key_requests_total{outcome="allowed"}[20s]) > 0"#,
        "rate(keystile_response_body_bytes_total[20s]) > 0",
    ] {
        until_seen(&prometheus, seen, || traffic(&scene.gateway, scene.gateway.address(), &keys));
    }
    Scraped { prometheus, fleet: false, _processes: scene }
}

/// A request of each kind: one that passes, one over its limit, one to a backend that is away, one with a key that
/// nobody issued.
fn traffic(gateway: &Gateway, _address: SocketAddr, keys: &[String; 2]) {
    let mut client = gateway.connect();
    for (target, key) in
        [("/agents/echo/x", &keys[0]), ("/agents/echo/x", &keys[1]), ("/broken/echo", &keys[0])]
    {
        client.exchange(&Request::post(target, "hello").key(key));
    }
    client.exchange(&Request::get("/agents/echo/x").key(&unknown_key()));
}

fn until_seen(prometheus: &Prometheus, expression: &str, mut meanwhile: impl FnMut()) {
    eventually(expression, || {
        meanwhile();
        !prometheus.query(expression).unwrap().is_empty()
    });
}

/// Metrics that only a fleet has.
fn is_about_a_fleet(query: &str) -> bool {
    ["keystile_fleet_", "keystile_redis_", "keystile_publish", "keystile_outbox_", "keystile_republications_"]
        .iter()
        .chain(&["keystile_revocation", "keystile_usage_", "keystile_ledger_o", "keystile_ledger_resumed_"])
        .chain(&["keystile_ledger_stranded_"])
        .any(|prefix| query.contains(prefix))
}

#[test]
fn every_query_of_the_dashboard_returns_data_and_every_alarm_can_be_evaluated() {
    let scraped = scrape();
    for (title, query) in queries() {
        if scraped.fleet || !is_about_a_fleet(&query) {
            until_seen(&scraped.prometheus, &query, || ());
        } else {
            scraped.prometheus.query(&query).unwrap_or_else(|error| panic!("{title}: {query}: {error}"));
        }
    }
    for alert in alerts() {
        let expression = alert["expr"].as_str().unwrap();
        scraped.prometheus.query(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    }
    let evaluated = || scraped.prometheus.rules();
    eventually("every rule is evaluated", || evaluated().iter().all(|(_, health)| health != "unknown"));
    for (name, health) in evaluated() {
        assert_eq!(health, "ok", "{name}");
    }
    assert_eq!(evaluated().len(), alerts().len());
}
