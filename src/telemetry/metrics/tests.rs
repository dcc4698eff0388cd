//! What a scrape shows, and the rules that every name in it keeps.

use std::collections::HashMap;

use super::super::exposition::flaw;
use super::*;
use crate::domain::id::{KeyId, OrganizationId};
use crate::domain::limit::Limits;
use crate::domain::scope::{Access, Scope};
use crate::domain::secret::SecretHash;
use crate::keytable::{KeyFacts, KeyTable, OrganizationFacts};
use crate::limits::{Limiter, Outcome};
use crate::telemetry::keys::KeyTotals;
use crate::telemetry::samples::settled;
use crate::telemetry::settled::{RouteLabel, Settled};

/// A key table of which tests set the totals.
#[derive(Default)]
struct Keys(Mutex<HashMap<KeyId, KeyTotals>>);

impl KeyCounters for Keys {
    fn visit(&self, tell: &mut dyn FnMut(KeyId, KeyTotals)) {
        lock(&self.0).iter().for_each(|(key, totals)| tell(*key, *totals));
    }

    fn key_count(&self) -> usize {
        lock(&self.0).len()
    }
}

impl Keys {
    fn set(&self, key: KeyId, allowed: u64) {
        lock(&self.0).insert(key, KeyTotals { allowed, denied: 1, failed: 0 });
    }

    fn remove(&self, key: KeyId) {
        lock(&self.0).remove(&key);
    }
}

fn metrics(keys_max: usize) -> (Metrics, Arc<Keys>) {
    let keys = Arc::new(Keys::default());
    let source: Arc<dyn KeyCounters> = Arc::clone(&keys) as _;
    (Metrics::new(source, keys_max, Readiness::starting()), keys)
}

/// The value of one series, as `name{labels}` is written.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn key_series(text: &str, key: &str, outcome: &str) -> Option<f64> {
    value(text, &format!("keystile_key_requests_total{{key=\"{key}\",outcome=\"{outcome}\"}}"))
}

#[test]
fn every_metric_is_prefixed_has_its_unit_and_a_help_that_is_a_sentence() {
    let (metrics, _) = metrics(10);
    metrics.intern_upstream("echo");
    metrics.intern_route("/status");
    metrics.worker();
    let text = metrics.render();
    let help_of = |line: &str| line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')).map(owned);
    let helps: HashMap<String, String> = text.lines().filter_map(help_of).collect();
    let types: HashMap<String, String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')).map(owned))
        .collect();
    assert!(helps.len() >= 25, "{text}");
    for (name, kind) in &types {
        let kind = match kind.as_str() {
            "counter" => Some(Kind::Counter),
            "gauge" => Some(Kind::Gauge),
            _ => None,
        };
        assert_eq!(flaw(name, &helps[name], kind), None);
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        let name =
            line[..end].trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
        assert!(types.contains_key(name), "{line}");
    }
}

fn owned((name, rest): (&str, &str)) -> (String, String) {
    (name.to_owned(), rest.to_owned())
}

#[test]
fn workers_are_summed_by_route_and_class_of_status() {
    let (metrics, _) = metrics(10);
    let index = metrics.intern_route("runs");
    let route = Some(RouteLabel { index, label: "runs" });
    let workers = [metrics.worker(), metrics.worker()];
    for worker in &workers {
        worker.request_started();
        worker.settle(&Settled { route, ..settled() });
        worker.request_started();
        worker.settle(&Settled { status: 404, ..settled() });
        worker.request_started();
    }
    let text = metrics.render();
    let requests = |route, class| {
        value(&text, &format!("keystile_requests_total{{route=\"{route}\",status_class=\"{class}\"}}"))
    };
    assert_eq!(requests("runs", "2xx"), Some(2.0));
    assert_eq!(requests("runs", "5xx"), Some(0.0));
    assert_eq!(requests("none", "4xx"), Some(2.0));
    assert_eq!(requests("other", "4xx"), None);
    assert_eq!(value(&text, "keystile_in_flight_requests"), Some(2.0));
    assert_eq!(value(&text, "keystile_request_body_bytes_total"), Some(40.0));
    assert_eq!(value(&text, "keystile_response_body_bytes_total"), Some(80.0));
}

#[test]
fn an_unknown_index_counts_as_none_or_other_and_never_gets_lost() {
    let (metrics, _) = metrics(10);
    let worker = metrics.worker();
    worker.settle(&Settled { route: Some(RouteLabel { index: usize::MAX, label: "x" }), ..settled() });
    worker.upstream(usize::MAX).connection_opened();
    let text = metrics.render();
    assert_eq!(value(&text, "keystile_requests_total{route=\"none\",status_class=\"2xx\"}"), Some(1.0));
    assert_eq!(value(&text, "keystile_upstream_connections_opened_total{upstream=\"other\"}"), Some(1.0));
}

#[test]
fn a_failure_shows_as_other_even_where_no_connection_was_ever_opened() {
    let (metrics, _) = metrics(10);
    let worker = metrics.worker();
    worker.upstream(usize::MAX).failed(UpstreamFailure::Connect);
    let series = "keystile_upstream_failures_total{kind=\"connect\",upstream=\"other\"}";
    assert_eq!(value(&metrics.render(), series), Some(1.0));
}

#[test]
fn routes_over_the_bound_share_other() {
    let (metrics, _) = metrics(10);
    let worker = metrics.worker();
    for number in 0..2 * ROUTE_PLACES_MAX {
        let index = metrics.intern_route(&format!("route-{number}"));
        worker.settle(&Settled { route: Some(RouteLabel { index, label: "" }), ..settled() });
    }
    let text = metrics.render();
    let known = ROUTE_PLACES_MAX - 2;
    let series = "keystile_requests_total{route=\"other\",status_class=\"2xx\"}";
    assert_eq!(value(&text, series), Some((2 * ROUTE_PLACES_MAX - known) as f64));
    let routes =
        text.lines().filter(|line| line.starts_with("keystile_requests_total{") && line.contains("\"2xx\""));
    assert_eq!(routes.count(), known + 1);
}

#[test]
fn every_denial_and_every_abort_has_a_series_from_the_start() {
    let (metrics, _) = metrics(10);
    let worker = metrics.worker();
    for denial in Denial::ALL {
        worker.settle(&Settled { denial: Some(denial), end: End::Cut, ..settled() });
    }
    let text = metrics.render();
    for denial in Denial::ALL {
        let series = format!("keystile_denials_total{{reason=\"{}\"}}", denial.reason());
        assert_eq!(value(&text, &series), Some(1.0));
    }
    assert_eq!(value(&text, "keystile_responses_aborted_total{end=\"cut\"}"), Some(Denial::ALL.len() as f64));
    assert_eq!(value(&text, "keystile_responses_aborted_total{end=\"client_gone\"}"), Some(0.0));
    assert_eq!(value(&text, "keystile_responses_aborted_total{end=\"complete\"}"), None);
}

#[test]
fn the_gateways_time_and_the_upstreams_are_told_apart_in_seconds() {
    let (metrics, _) = metrics(10);
    let worker = metrics.worker();
    worker.settle(&Settled { overhead_ns: 30_000, upstream_ns: Some(3_000_000_000), ..settled() });
    worker.settle(&Settled { overhead_ns: 70_000, upstream_ns: None, ..settled() });
    let text = metrics.render();
    assert_eq!(value(&text, "keystile_gateway_overhead_seconds_count"), Some(2.0));
    assert_eq!(value(&text, "keystile_gateway_overhead_seconds_sum"), Some(0.0001));
    assert_eq!(value(&text, "keystile_gateway_overhead_seconds_bucket{le=\"0.00005\"}"), Some(1.0));
    assert_eq!(value(&text, "keystile_gateway_overhead_seconds_bucket{le=\"+Inf\"}"), Some(2.0));
    assert_eq!(value(&text, "keystile_upstream_wait_seconds_count"), Some(1.0));
    assert_eq!(value(&text, "keystile_upstream_wait_seconds_sum"), Some(3.0));
}

#[test]
fn the_pool_of_an_upstream_is_shown() {
    let (metrics, _) = metrics(10);
    let index = metrics.intern_upstream("echo");
    let (one, two) = (metrics.worker(), metrics.worker());
    for worker in [&one, &two] {
        worker.upstream(index).connection_opened();
        worker.upstream(index).idle_added();
    }
    two.upstream(index).idle_removed();
    two.upstream(index).connection_reused();
    two.upstream(index).retried();
    let text = metrics.render();
    assert_eq!(value(&text, "keystile_upstream_connections_opened_total{upstream=\"echo\"}"), Some(2.0));
    assert_eq!(value(&text, "keystile_upstream_connections_reused_total{upstream=\"echo\"}"), Some(1.0));
    assert_eq!(value(&text, "keystile_upstream_retries_total{upstream=\"echo\"}"), Some(1.0));
    assert_eq!(value(&text, "keystile_upstream_idle_connections{upstream=\"echo\"}"), Some(1.0));
}

#[test]
fn open_connections_are_those_accepted_and_not_closed() {
    let (metrics, _) = metrics(10);
    let worker = metrics.worker();
    worker.connection_opened();
    worker.connection_opened();
    worker.connection_closed();
    worker.connection_refused();
    let text = metrics.render();
    assert_eq!(value(&text, "keystile_open_connections"), Some(1.0));
    assert_eq!(value(&text, "keystile_connections_accepted_total"), Some(2.0));
    assert_eq!(value(&text, "keystile_connections_refused_total"), Some(1.0));
}

#[test]
fn a_key_of_the_key_table_is_counted_from_its_account() {
    let organization = OrganizationId::generate();
    let table = Arc::new(KeyTable::new(Limits::default()));
    table.put_organization(OrganizationFacts {
        id: organization,
        slug: "acme".parse().unwrap(),
        zone: jiff::tz::TimeZone::UTC,
        limits: Limits::default(),
        agents: Vec::new(),
    });
    let facts = |id| KeyFacts {
        id,
        organization,
        hash: SecretHash::of(id.as_bytes()),
        scope: Scope::Organization,
        access: Access::All,
        expires_at: None,
        disabled: false,
        limits: Limits::default(),
    };
    let (used, unused) = (KeyId::generate(), KeyId::generate());
    table.put_key(facts(used)).unwrap();
    table.put_key(facts(unused)).unwrap();
    let (limiter, _keeper) = Limiter::new();
    let entry = table.lookup(&SecretHash::of(used.as_bytes())).unwrap();
    limiter.count(entry.account(), Outcome::Allowed);
    limiter.count(entry.account(), Outcome::Denied(Denial::RateExceeded));
    limiter.count(entry.account(), Outcome::Denied(Denial::AgentNotPermitted));
    limiter.count(entry.account(), Outcome::Failed(Denial::BadGateway));

    let source: Arc<dyn KeyCounters> = Arc::clone(&table) as _;
    let metrics = Metrics::new(source, 10, Readiness::starting());
    let text = metrics.render();
    let of = |outcome| key_series(&text, &used.to_string(), outcome);
    assert_eq!((of("allowed"), of("denied"), of("failed")), (Some(1.0), Some(2.0), Some(1.0)));
    assert!(!text.contains(&unused.to_string()), "a key that was never used needs no series");
    assert_eq!(value(&text, "keystile_key_table_keys"), Some(2.0));
}

#[test]
fn keys_over_the_bound_are_summed_into_other_and_nothing_is_lost_or_counted_twice() {
    let (metrics, keys) = metrics(2);
    (0..5).for_each(|_| keys.set(KeyId::generate(), 10));
    for _ in 0..2 {
        let text = metrics.render();
        let allowed: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("keystile_key_requests_total") && line.contains("\"allowed\""))
            .collect();
        assert_eq!(allowed.len(), 3, "{allowed:?}");
        assert_eq!(key_series(&text, "other", "allowed"), Some(30.0));
        assert_eq!(key_series(&text, "other", "denied"), Some(3.0));
        assert_eq!(value(&text, "keystile_key_table_keys"), Some(5.0));
    }
}

#[test]
fn other_never_falls_when_its_keys_go_and_a_deleted_keys_series_goes() {
    let (metrics, keys) = metrics(1);
    let named = KeyId::generate();
    keys.set(named, 5);
    assert_eq!(key_series(&metrics.render(), &named.to_string(), "allowed"), Some(5.0));
    let summed = KeyId::generate();
    keys.set(summed, 7);
    assert_eq!(key_series(&metrics.render(), "other", "allowed"), Some(7.0));
    keys.remove(summed);
    assert_eq!(key_series(&metrics.render(), "other", "allowed"), Some(7.0));
    keys.remove(named);
    let text = metrics.render();
    assert!(!text.contains(&named.to_string()), "{text}");
    assert_eq!(key_series(&text, "other", "allowed"), Some(7.0));
}

#[test]
fn a_place_that_gets_free_goes_to_a_new_key_and_never_to_one_already_summed() {
    let (metrics, keys) = metrics(1);
    let (first, second, third) = (KeyId::generate(), KeyId::generate(), KeyId::generate());
    keys.set(first, 1);
    metrics.render();
    keys.set(second, 20);
    metrics.render();
    keys.remove(first);
    keys.set(second, 25);
    keys.set(third, 300);
    let text = metrics.render();
    assert_eq!(key_series(&text, "other", "allowed"), Some(25.0));
    assert_eq!(key_series(&text, &third.to_string(), "allowed"), Some(300.0));
}

#[test]
fn no_key_has_a_series_where_the_bound_is_zero() {
    let (metrics, keys) = metrics(0);
    keys.set(KeyId::generate(), 3);
    assert_eq!(key_series(&metrics.render(), "other", "allowed"), Some(3.0));
}

#[test]
fn a_registered_value_is_read_at_each_scrape_and_keeps_the_rules() {
    let (metrics, _) = metrics(1);
    let value_now = Arc::new(AtomicU64::new(3));
    let read = Arc::clone(&value_now);
    metrics
        .register_gauge("keystile_ledger_queued_leases", "Leases that wait to be renewed.", move || {
            read.load(Ordering::Relaxed) as f64
        })
        .unwrap();
    assert_eq!(value(&metrics.render(), "keystile_ledger_queued_leases"), Some(3.0));
    value_now.store(4, Ordering::Relaxed);
    assert_eq!(value(&metrics.render(), "keystile_ledger_queued_leases"), Some(4.0));

    let good_help = "A sentence of some words.";
    let refused = [
        ("ledger_queued_leases", good_help, "begin"),
        ("keystile_ledger_queue", good_help, "end the name"),
        ("keystile_ledger_bytes_total", good_help, "_total"),
        ("keystile_ledger_rows", "rows", "sentence"),
        ("keystile_ledger_queued_leases", good_help, "taken"),
        ("keystile_build_info", good_help, "taken"),
    ];
    for (name, help, expected) in refused {
        let error = metrics.register_gauge(name, help, || 0.0).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
}

#[test]
fn the_generation_is_the_one_that_the_data_plane_runs() {
    let readiness = Readiness::starting();
    let metrics = Metrics::new(Arc::new(Keys::default()), 1, readiness.clone());
    readiness.set_generation(7);
    assert_eq!(value(&metrics.render(), "keystile_configuration_generation"), Some(7.0));
}

#[test]
fn readiness_is_a_metric_so_that_alarms_see_what_balancers_see() {
    use crate::telemetry::NotReady;
    let readiness = Readiness::starting();
    let metrics = Metrics::new(Arc::new(Keys::default()), 1, readiness.clone());
    assert_eq!(value(&metrics.render(), "keystile_ready_ratio"), Some(0.0));
    readiness.unset(NotReady::Starting);
    assert_eq!(value(&metrics.render(), "keystile_ready_ratio"), Some(1.0));
}
