//! The dashboard: readable, and every query of it, like every alarm's, is evaluated by Debian's Prometheus that scraped
//! processes with traffic. A query that finds nothing would be an empty panel.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::alarms::alerts;
use crate::files::read;
use crate::prometheus::Prometheus;
use crate::redis::Redis;
use crate::support::fleet::{Fleet, Plan};
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
    let mut titles = BTreeSet::new();
    let mut taken = BTreeSet::new();
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

/// A fleet around the deployment's Redis, and one process by itself, scraped while they have traffic of every kind that
/// the dashboard shows.
struct Scraped {
    prometheus: Prometheus,
    fleet: Fleet,
    alone: Scene,
    /// Held, so that it runs as long as the fleet.
    _redis: Redis,
}

impl Scraped {
    fn start() -> Scraped {
        let alone = Scene::with(Upstream::echo(), |settings| {
            let refusing = crate::support::upstream::Refusing::new().url();
            settings.upstream("broken", &[refusing], "");
            settings.route(r#"path: "/broken/{agent}", agent: "{agent}", upstream: broken"#);
        });
        let redis = Redis::start();
        let password = format!("password: {}", redis.password());
        let fleet = Plan::around(&redis.address()).user("keystile").line(&password).start();
        let ops = |process: &Gateway| process.ops_address();
        let mut gateways: Vec<_> = fleet.gateways.iter().map(|member| ops(&member.process)).collect();
        gateways.push(ops(&alone.gateway));
        let consoles = fleet.consoles.iter().map(|member| ops(&member.process)).collect();
        let prometheus =
            Prometheus::scraping(&[("keystile-gateway", gateways), ("keystile-console", consoles)]);
        Scraped { prometheus, fleet, alone, _redis: redis }
    }

    /// Traffic until an expression finds something.
    fn until_seen(&mut self, expression: &str, keys: &[String; 2]) {
        eventually(expression, || {
            self.traffic(keys);
            !self.prometheus.query(expression).unwrap().is_empty()
        });
    }

    /// A request of each kind: one that passes, one over its limit, one to a backend that is away, one with a key that
    /// nobody issued; and in the fleet a key that is made, used and deleted.
    fn traffic(&mut self, keys: &[String; 2]) {
        let mut client = self.alone.gateway.connect();
        for (target, key) in
            [("/agents/echo/x", &keys[0]), ("/agents/echo/x", &keys[1]), ("/broken/echo", &keys[0])]
        {
            client.exchange(&Request::post(target, "hello").key(key));
        }
        client.exchange(&Request::get("/agents/echo/x").key(&unknown_key()));
        let key = self.fleet.key(json!({}));
        for gateway in self.fleet.running() {
            self.fleet.ask(gateway, &key);
        }
        self.fleet.management().delete(&key);
    }

    /// Names of all metrics that some process exposes.
    fn exposed(&self) -> BTreeSet<String> {
        let members = self.fleet.gateways.iter().chain(&self.fleet.consoles).map(|member| &member.process);
        let pages = members.chain([&self.alone.gateway]).map(|process| process.ops("/metrics").text());
        pages.flat_map(|page| metrics_of(&page)).collect()
    }
}

/// The names of metrics in a text.
fn metrics_of(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("keystile_")).map(str::to_owned).collect()
}

/// Whether a process exposes a metric; the parts of a histogram are its own.
fn is_exposed(name: &str, exposed: &BTreeSet<String>) -> bool {
    exposed.contains(name) || name.strip_suffix("_bucket").is_some_and(|name| exposed.contains(name))
}

/// Whether a metric or the histogram that it is a part of is in the documents.
fn is_explained(name: &str, explained: &BTreeSet<String>) -> bool {
    let whole = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
    explained.contains(name) || whole.is_some_and(|whole| explained.contains(whole))
}

#[test]
fn every_query_of_the_dashboard_returns_data_and_every_alarm_can_be_evaluated() {
    let mut scraped = Scraped::start();
    let limited = json!({"limits": {"rate": {"requests": 1, "per": "day", "burst": 1}}});
    let limited = scraped.alone.management().key("acme", limited);
    let keys = [scraped.alone.key.secret.clone(), limited.secret];
    let exposed = scraped.exposed();
    let explained = metrics_of(&read("docs/metrics.md"));
    let unexplained: Vec<&String> = exposed.iter().filter(|name| !is_explained(name, &explained)).collect();
    assert!(unexplained.is_empty(), "docs/metrics.md does not explain {unexplained:?}");
    for (title, query) in queries() {
        let unknown = |name: &String| !is_exposed(name, &exposed);
        let unknown: Vec<String> = metrics_of(&query).into_iter().filter(unknown).collect();
        assert!(unknown.is_empty(), "{title}: nobody exposes {unknown:?}");
        scraped.until_seen(&query, &keys);
    }
    for alert in alerts() {
        let expression = alert["expr"].as_str().unwrap();
        for name in metrics_of(expression) {
            assert!(is_exposed(&name, &exposed), "{}: nobody exposes {name}", alert["alert"]);
        }
        scraped.prometheus.query(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    }
    let evaluated = || scraped.prometheus.rules();
    eventually("every rule is evaluated", || evaluated().iter().all(|(_, health)| health != "unknown"));
    for (name, health) in evaluated() {
        assert_eq!(health, "ok", "{name}");
    }
    assert_eq!(evaluated().len(), alerts().len());
}

#[test]
fn every_metric_of_the_dashboard_and_the_alarms_is_explained() {
    let explained = metrics_of(&read("docs/metrics.md"));
    let alarms = alerts().into_iter().map(|alert| alert["expr"].as_str().unwrap().to_owned());
    for text in queries().into_iter().map(|(_, query)| query).chain(alarms) {
        for name in metrics_of(&text) {
            assert!(is_exposed(&name, &explained), "docs/metrics.md does not explain {name}");
        }
    }
}
