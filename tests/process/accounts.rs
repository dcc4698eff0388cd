//! Usage, metrics and the access log tell the same story once it has settled (G3).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Next, Request, Scene, Upstream, eventually, unknown_key};

/// Sends a mix of requests and returns how many there were.
fn mixed_requests(scene: &Scene, limited: &str) -> usize {
    let mut sent = 0;
    let mut send = |request: Request, expected: u16| {
        let response = scene.exchange(&request);
        assert_eq!(response.status, expected, "{request:?}");
        sent += 1;
    };
    for number in 0..7 {
        send(Request::get("/agents/echo/x").key(limited), if number < 5 { 200 } else { 429 });
    }
    for _ in 0..3 {
        send(scene.post("/agents/echo/x?secret=query", "hello"), 200);
        send(scene.get("/agents/nobody/x"), 403);
    }
    send(scene.get("/agents/echo/fails"), 502);
    send(scene.get("/agents/echo/teapot"), 418);
    send(scene.get("/nowhere"), 404);
    send(Request::get("/agents/echo/x"), 401);
    send(Request::get("/agents/echo/x").key("malformed"), 401);
    for _ in 0..4 {
        send(Request::get("/agents/echo/x").key(&unknown_key()), 401);
    }
    sent
}

fn upstream() -> Upstream {
    Upstream::start(|exchange| {
        exchange.body();
        match exchange.request.word(1) {
            "/fails" => return Next::Close,
            "/teapot" => exchange.respond("418 Teapot", b""),
            _ => exchange.respond("200 OK", b"fine"),
        }
        Next::Request
    })
}

/// How many lines have this value in this field.
fn lines_with(lines: &[Value], field: &str, value: &Value) -> usize {
    lines.iter().filter(|line| line[field] == *value).count()
}

#[test]
fn access_log_metrics_and_usage_agree() {
    let mut scene = Scene::with(upstream(), |settings| {
        settings.section("access_log: { file: access.log }");
    });
    let management = scene.management();
    let limits = json!({"quotas": [{"requests": 5, "per": "month"}]});
    let limited = management.key("acme", json!({"name": "limited", "limits": limits}));
    let sent = mixed_requests(&scene, &limited.secret);
    let total = |scene: &Scene| scene.gateway.metric("keystile_requests_total", &[]);
    eventually("every request is counted", || total(&scene) == sent as f64);
    let mut usages = Vec::new();
    for key in [&limited, &scene.key] {
        usages.push((key.id.clone(), management.usage(key)));
    }
    let denials: BTreeMap<&str, f64> = [
        "quota_exceeded",
        "agent_not_permitted",
        "no_route",
        "missing_key",
        "malformed_key",
        "unknown_key",
        "bad_gateway",
    ]
    .into_iter()
    .map(|reason| {
        let label = format!("reason=\"{reason}\"");
        (reason, scene.gateway.metric("keystile_denials_total", &[&label]))
    })
    .collect();
    assert!(scene.gateway.stop().success());
    let log = std::fs::read_to_string(scene.gateway.folder().join("access.log")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();

    assert_eq!(lines.len(), sent);
    for (reason, counted) in denials {
        assert_eq!(lines_with(&lines, "denial", &json!(reason)) as f64, counted, "{reason}");
    }
    for (id, usage) in usages {
        let own: Vec<Value> = lines.iter().filter(|line| line["keyId"] == json!(id)).cloned().collect();
        let is_failure = |line: &&Value| line["denial"] == "bad_gateway";
        let failed = own.iter().filter(is_failure).count();
        let passed = lines_with(&own, "denial", &Value::Null);
        let of = |reason: &str| lines_with(&own, "denial", &json!(reason));
        let other = of("agent_not_permitted") + of("no_route");
        let expected = json!({"allowed": passed, "denied": own.len() - passed - failed, "failed": failed,
            "deniedBy": {"rate": 0, "quota": of("quota_exceeded"), "concurrency": 0, "other": other}});
        assert_eq!(usage["totals"], expected, "{id}");
        let route = json!([{"route": "/agents/{agent}/{*rest}", "requests": passed + failed}]);
        let agent = json!([{"agent": "echo", "requests": passed + failed}]);
        assert_eq!((&usage["routes"], &usage["agents"]), (&route, &agent), "{id}");
    }
    assert_eq!(lines_with(&lines, "status", &json!(200)), 8);
    assert_eq!(lines_with(&lines, "status", &json!(418)), 1);
    assert!(!log.contains("secret=query") && !log.contains('?'), "no query string");
}

#[test]
fn each_line_tells_who_what_where_and_how_much() {
    let mut scene = Scene::with(upstream(), |settings| {
        settings.section("access_log: stdout");
    });
    let response = scene.exchange(&scene.post("/agents/echo/a/../b?c=d", "hello"));
    assert!(scene.gateway.stop().success());
    let said = scene.gateway.logs();
    let line = said.lines().find(|line| line.starts_with('{') && line.contains("requestId")).expect("a line");
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["requestId"].as_str(), response.field("x-request-id"));
    assert_eq!(line["keyId"], json!(scene.key.id));
    assert_eq!((&line["organization"], &line["agent"]), (&json!("acme"), &json!("echo")));
    assert_eq!((&line["method"], &line["path"]), (&json!("POST"), &json!("/agents/echo/b")));
    assert_eq!((&line["status"], &line["bytesIn"], &line["bytesOut"]), (&json!(200), &json!(5), &json!(4)));
    assert_eq!((&line["client"], &line["denial"]), (&json!("127.0.0.1"), &Value::Null));
    assert!(line["durationMs"].is_number() && line["upstreamMs"].is_number(), "{line}");
}

#[test]
fn the_metrics_page_is_well_formed_and_explains_itself() {
    let scene = Scene::new(upstream());
    scene.exchange(&scene.get("/agents/echo/x"));
    let response = scene.gateway.ops("/metrics");
    assert!(response.field("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let page = response.text();
    let mut families = BTreeMap::new();
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a text");
            assert!(text.len() > 10, "{name} is not explained: {text}");
            families.insert(name.to_owned(), ());
        } else if !line.starts_with('#') && !line.is_empty() {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let known = families.contains_key(name) || family.is_some_and(|name| families.contains_key(name));
            assert!(known, "{name} has no HELP");
            assert!(name.starts_with("keystile_") || name.starts_with("process_"), "{name}");
        }
    }
    assert!(families.len() > 10, "{families:?}");
}

#[test]
fn keys_over_the_cap_of_metrics_share_one_series() {
    let mut scene = Scene::with(upstream(), |settings| {
        settings.section("metrics: { keys_max: 2 }");
    });
    let management = scene.management();
    let keys: Vec<_> =
        (0..5).map(|number| management.key("acme", json!({"name": format!("{number}")}))).collect();
    for key in &keys {
        assert_eq!(scene.exchange(&Request::get("/agents/echo/x").key(&key.secret)).status, 200);
    }
    let all = |scene: &Scene| scene.gateway.metric("keystile_key_requests_total", &[]);
    eventually("all are counted", || all(&scene) == 5.0);
    assert!(scene.gateway.metric("keystile_key_requests_total", &["\"other\""]) >= 3.0);
}

#[test]
fn routes_and_agents_of_a_key_outlive_a_restart() {
    let mut scene = Scene::new(upstream());
    for target in ["/agents/echo/x", "/agents/echo/fails", "/agents/clock/x", "/agents/echo/teapot"] {
        scene.exchange(&scene.get(target));
    }
    let used = |scene: &mut Scene| {
        let usage = scene.management().usage(&scene.key);
        (usage["routes"].clone(), usage["agents"].clone())
    };
    let expected = (
        json!([{"route": "/agents/{agent}/{*rest}", "requests": 4}]),
        json!([{"agent": "echo", "requests": 3}, {"agent": "clock", "requests": 1}]),
    );
    eventually("all are counted", || scene.gateway.metric("keystile_requests_total", &[]) == 4.0);
    assert_eq!(used(&mut scene), expected);
    scene.gateway.restart();
    assert_eq!(used(&mut scene), expected);
    scene.management().expect(200, "DELETE", "/organizations/acme/agents/clock", None);
    assert_eq!(used(&mut scene), expected, "a deleted agent keeps its slug");
}
