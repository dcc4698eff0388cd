//! The configuration from the outside: the files we ship, every kind of broken file, and any bytes at all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::domain::limit::{Period, Rate};
use crate::domain::route::RouteAccess;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The environment that every test sees.
fn environment(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("127.0.0.1".into()),
        "SECRET" => Some("hunter2".into()),
        "INJECTION" => Some("ks, listen: {}\n  workers: 3".into()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Config, Problems> {
    load_str(text, "keystile.yaml", &environment)
}

fn shipped(name: &str) -> Config {
    load(&root().join("config").join(name)).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn what_keystile_yaml_shows_are_the_defaults() {
    let full = shipped("keystile.yaml");
    let minimal = shipped("minimal.yaml");
    assert_eq!(Config { routes: minimal.routes.clone(), ..full.clone() }, minimal);
    assert_eq!(full.routes.first(), minimal.routes.first());
    assert_eq!(full.routes.len(), 3);
}

#[test]
fn defaults_are_those_of_the_design() {
    let config = read("routes: []").unwrap();
    assert_eq!(config.gateway.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(config.console.public_url, "http://127.0.0.1:8081");
    assert_eq!(config.gateway.public_url, "http://127.0.0.1:8080");
    let (hour, day) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
    assert_eq!(config.console.sessions, Sessions { idle_timeout: 12 * hour, lifetime: 7 * day });
    assert_eq!((config.console.trusted_proxies.len(), config.console.openid), (0, None));
    assert_eq!(config.database, DatabaseUrl::Sqlite("keystile-data/keystile.db".into()));
    assert_eq!(config.key_limits.rate, Some(Rate { requests: 100, per: Period::Second, burst: 200 }));
    assert_eq!(config.key_limits.quotas.map(|quotas| quotas.len()), Some(2));
    assert_eq!(config.guard.failures_per_minute, Some(60));
    assert_eq!(config.gateway.head_timeout, Duration::from_secs(10));
    assert!(config.gateway.workers >= 1);
}

#[test]
fn settings_that_are_written_are_used() {
    let config = read(
        r#"
gateway: { listen: [{ address: "${HOST}:0" }, { address: "[::1]:0" }], workers: "${WORKERS:-3}", head_bytes_max: 4kB }
console: { listen: { address: 0.0.0.0:9 }, public_url: "https://keys.example.com/" }
keys: { prefix: acme }
limits: { keys_per_organization: 3, key: { rate: 5/m, concurrency: none, quotas: none } }
guard: { failures_per_minute: off }
access_log: { file: a.log }
upstreams:
  a: &defaults { endpoints: ["http://[::1]:9"], timeouts: { total: 1h }, idle_connections_max: 0 }
  b-echo: *defaults
routes:
  - { path: /x/, methods: [GET], upstream: a, body_bytes_max: 0 }
  - { path: /x/, methods: [PUT], upstream: a, access: public }
  - { path: "/{who}", agent: "{who}", upstream: "b-{agent}", rewrite: "/v1/{who}/", encoded_slash: allow }
"#,
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.gateway.workers, 3);
    assert_eq!((config.gateway.head_bytes_max, config.gateway.target_bytes_max), (4_000, 4_000));
    assert_eq!(config.gateway.listen.len(), 2);
    assert_eq!(config.console.public_url, "https://keys.example.com");
    assert_eq!(config.key_format.prefix(), "acme");
    assert_eq!(config.keys_per_organization, 3);
    assert_eq!(config.key_limits.rate, Some(Rate { requests: 5, per: Period::Minute, burst: 5 }));
    assert_eq!((config.key_limits.concurrency, config.key_limits.quotas), (None, Some(vec![])));
    assert_eq!(config.guard.failures_per_minute, None);
    assert_eq!(config.access_log, AccessLog::File("a.log".into()));
    let (a, b) = (&config.upstreams[0], &config.upstreams[1]);
    assert_eq!((&a.endpoints, a.timeouts.total), (&b.endpoints, Some(Duration::from_secs(3_600))));
    let labels: Vec<&str> = config.routes.iter().map(|route| route.label.as_str()).collect();
    assert_eq!(labels, ["GET /x/", "PUT /x/", "/{who}"]);
    assert_eq!(config.routes[0].body_bytes_max, 0);
    assert_eq!(config.routes[1].access, RouteAccess::Public);
    assert!(config.routes[2].encoded_slash);
}

#[test]
fn a_variable_cannot_become_structure_and_is_never_shown() {
    let problems = read("keys: { prefix: \"${INJECTION}\" }\ndatabase: ${SECRET}\n").unwrap_err();
    let shown = problems.to_string();
    assert_eq!(problems.count(), 2, "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains("workers: 3"), "{shown}");
    assert!(shown.contains("once its variables are filled in"), "{shown}");
}

#[test]
fn a_provider_is_read_with_its_secret_which_is_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let text = |secret: &str| {
        format!(
            "console: {{ public_url: \"https://keys.example.com\", openid: {{ issuer: \"https://id.example.com/Realm/\", client_id: keystile, {secret}, allowed_domains: [Example.com] }} }}"
        )
    };
    let from_file = read(&text(&format!("client_secret_file: {}", file.display()))).unwrap();
    let openid = from_file.console.openid.clone().unwrap();
    assert_eq!(
        (openid.issuer.as_str(), openid.client_id.as_str()),
        ("https://id.example.com/Realm/", "keystile")
    );
    assert_eq!(
        (openid.client_secret.expose(), openid.allowed_domains),
        ("hunter2", vec!["example.com".into()])
    );
    assert_eq!(read(&text("client_secret: \"${SECRET}\"")).unwrap(), from_file);
    assert!(!format!("{from_file:?}").contains("hunter2"));
    let problems = read(&text("client_secret: hunter2, bad: [")).unwrap_err();
    assert!(!format!("{problems:?}{problems}").contains("hunter2"), "{problems}");
}

#[test]
fn a_fleet_is_read_with_its_passwords_which_are_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "hunter2\n").unwrap();
    let text = format!(
        "fleet: {{ redis: \"rediss+sentinel://keystile@a,b:1/mymaster\", password_file: {0}, sentinel_password: \"${{SECRET}}\", ca_file: ca.pem, name: gw-1, key_prefix: ks, trust: 500ms, on_redis_loss: refuse, failover_overlap: 1s }}",
        file.display()
    );
    let fleet = read(&text).unwrap_or_else(|problems| panic!("{problems}")).fleet.unwrap();
    let secret = |secret: &Option<SecretText>| secret.as_ref().map(|secret| secret.expose().to_owned());
    assert_eq!(secret(&fleet.password).as_deref(), Some("hunter2"));
    assert_eq!(secret(&fleet.sentinel_password).as_deref(), Some("hunter2"));
    assert!(!format!("{fleet:?}").contains("hunter2"));
    assert_eq!((fleet.name.as_str(), fleet.key_prefix.as_str(), fleet.serve_for), ("gw-1", "ks", None));
    assert_eq!((fleet.trust, fleet.failover_overlap), (Duration::from_millis(500), Duration::from_secs(1)));
    let least = read("fleet: { redis: \"redis://localhost\" }").unwrap().fleet.unwrap();
    assert_eq!((least.trust, least.serve_for), (Duration::from_secs(2), Some(Duration::from_secs(600))));
    assert_eq!((least.key_prefix.as_str(), least.failover_overlap), ("keystile", Duration::from_secs(10)));
    assert!(!least.name.is_empty());
}

#[test]
fn the_example_of_a_fleet_differs_from_one_machine_in_the_fleet_alone() {
    let fleet = shipped("fleet.yaml");
    assert!(fleet.fleet.is_some());
    let minimal = shipped("minimal.yaml");
    assert_eq!(Config { fleet: None, ..fleet }, minimal);
}

#[test]
fn every_broken_file_gets_exactly_the_message_beside_it() {
    let accept = std::env::var_os("KEYSTILE_ACCEPT").is_some();
    let folder = root().join("tests/fixtures/config/rejected");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    assert!(paths.len() >= 36, "{} fixtures", paths.len());
    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        let label = path.file_name().unwrap().to_str().unwrap();
        let Err(problems) = load_bytes(&bytes, label, &environment) else { panic!("{label} was accepted") };
        let message = format!("{problems}\n");
        let expected = path.with_extension("expected");
        if accept {
            std::fs::write(&expected, &message).unwrap();
        }
        assert_eq!(message, std::fs::read_to_string(&expected).unwrap_or_default(), "{label}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_clear_problem() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| load(path).unwrap_err().to_string();
    assert!(message(&folder.path().join("no.yaml")).contains("no.yaml: cannot be read: No such file"));
    assert!(message(folder.path()).contains("cannot be read: Is a directory"));
    let large = folder.path().join("large.yaml");
    std::fs::write(&large, "#".repeat(FILE_BYTES_MAX + 1)).unwrap();
    assert!(message(&large).contains("large.yaml: too large"));
    assert!(load(Path::new("/dev/zero")).unwrap_err().to_string().contains("too large"));
}

#[test]
fn a_file_of_wrong_lines_is_told_in_bounded_space() {
    let text: String = (0..20_000).map(|at| format!("wrong{at}: 1\n")).collect();
    let problems = read(&text).unwrap_err();
    assert_eq!(problems.count(), 20_000);
    assert!(problems.to_string().contains("19900 more problems are not shown"));
    assert!(problems.to_string().len() < 100_000);
}

/// Every field name that the schema knows, wherever.
fn field_names(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
                into.extend(properties.keys().cloned());
            }
            fields.values().for_each(|value| field_names(value, into));
        }
        Value::Array(items) => items.iter().for_each(|item| field_names(item, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn keystile_yaml_shows_every_setting_that_exists() {
    let text = std::fs::read_to_string(root().join("config/keystile.yaml")).unwrap();
    let mut names = BTreeSet::new();
    field_names(&schema(), &mut names);
    assert!(names.len() > 40);
    let words: BTreeSet<&str> = text.split(|c: char| c.is_whitespace() || "{}[],".contains(c)).collect();
    let missing: Vec<&String> =
        names.iter().filter(|name| !words.contains(format!("{name}:").as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Checks that the schema knows every field of `node`.
fn assert_known(node: &tree::Node, schema: &Value, at: &str) {
    let alternatives = schema["anyOf"].as_array();
    let schema = alternatives
        .and_then(|all| all.iter().find(|one| one.get("properties").is_some() || one.get("items").is_some()))
        .unwrap_or(schema);
    match &node.kind {
        Kind::Mapping(entries) => {
            for entry in entries {
                let name = &entry.name.value;
                let inner = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                assert!(inner.is_object(), "the schema does not know {at}.{name}");
                assert_known(&entry.value, inner, &format!("{at}.{name}"));
            }
        }
        Kind::Sequence(items) => items.iter().for_each(|item| assert_known(item, &schema["items"], at)),
        Kind::Scalar(_) | Kind::Null | Kind::Broken => assert!(schema.is_object(), "{at}"),
    }
}

#[test]
fn the_schema_knows_every_field_of_the_files_we_ship() {
    for name in ["keystile.yaml", "minimal.yaml", "fleet.yaml"] {
        let text = std::fs::read_to_string(root().join("config").join(name)).unwrap();
        let node = tree::read(&text, &environment, &mut problem::Findings::default()).unwrap();
        assert_known(&node, &schema(), name);
    }
}

proptest! {
    #[test]
    fn no_text_makes_loading_panic(text in any::<String>()) {
        let _ = read(&text).map_err(|problems| problems.to_string());
    }

    #[test]
    fn no_bytes_make_loading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = load_bytes(&bytes, "any.yaml", &environment).map_err(|problems| problems.to_string());
    }

    #[test]
    fn no_pieces_of_yaml_make_loading_panic(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("routes:"), Just("gateway:"), Just("listen:"), Just("path: /{a}"), Just("upstream: a"),
                Just("upstreams:"), Just("endpoints:"), Just("http://a:b@c"), Just("${"), Just("${A"), Just("}"),
                Just("$${"), Just("\n"), Just("\n  "), Just("\n- "), Just(" "), Just("\t"), Just("{"), Just("["),
                Just("]"), Just(","), Just("&a "), Just("*a"), Just("!t "), Just("\""), Just("'"), Just("|\n"),
                Just("#"), Just("? "), Just(": "), Just("---\n"), Just("\u{feff}"), Just("ä😀"), Just("\r"), Just("<<: "),
                Just("limits: {key: {rate: 0/s}}"), Just("rate: 1/s"), Just("0"), Just("://"), Just("@"),
            ],
            0..40,
        ),
    ) {
        let _ = read(&pieces.concat()).map_err(|problems| problems.to_string());
    }
}
