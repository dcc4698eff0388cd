//! The fleet of `deploy/compose`: everything that it mounts, names or publishes is there and fits together.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::files::{read, root, run};
use crate::support::gateway::BINARY;
use crate::yaml::{self, texts};

pub(crate) const FOLDER: &str = "deploy/compose";

pub(crate) fn compose() -> Value {
    yaml::parse(&read("deploy/compose/compose.yaml"))
}

/// Names and settings of all services.
pub(crate) fn services() -> Vec<(String, Value)> {
    compose()["services"].as_object().unwrap().clone().into_iter().collect()
}

fn service(name: &str) -> Value {
    let all = services();
    let found = all.into_iter().find(|(own, _)| own == name);
    found.unwrap_or_else(|| panic!("no service is called {name}")).1
}

/// The networks of a service, listed or with settings.
fn networks(name: &str) -> BTreeSet<String> {
    match &service(name)["networks"] {
        Value::Object(map) => map.keys().cloned().collect(),
        list => texts(list).into_iter().map(str::to_owned).collect(),
    }
}

#[test]
fn everything_that_is_mounted_exists_and_is_mounted_for_reading() {
    let compose = compose();
    for (name, service) in services() {
        for mount in texts(&service["volumes"]) {
            let parts: Vec<&str> = mount.split(':').collect();
            if parts[0].starts_with('.') {
                assert!(root().join(FOLDER).join(parts[0]).exists(), "{name}: {mount}");
                assert_eq!(parts[2], "ro", "{name}: {mount}");
            } else {
                assert!(compose["volumes"].get(parts[0]).is_some(), "{name}: {mount}");
            }
        }
        for network in networks(&name) {
            assert!(compose["networks"].get(&network).is_some(), "{name}: network {network}");
        }
        for other in service["depends_on"].as_object().into_iter().flatten().map(|(other, _)| other) {
            assert!(compose["services"].get(other).is_some(), "{name} depends on {other}");
        }
    }
}

#[test]
fn only_ports_of_this_machine_are_published_and_every_image_is_pinned() {
    let mut published = BTreeSet::new();
    for (name, service) in services() {
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
            assert!(published.insert(port.rsplit_once(':').unwrap().0.to_owned()), "{port} twice");
            let open =
                networks(&name).iter().any(|network| compose()["networks"][network]["internal"] != "true");
            assert!(open, "{name}: ports of internal networks are not reachable");
        }
        let image = service["image"].as_str().unwrap();
        let tag = image.rsplit('/').next().unwrap().split_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag != "latest"), "{name}: {image}");
    }
}

#[test]
fn keystile_is_built_from_the_image_of_this_repository_and_run_with_its_commands() {
    for name in ["gateway-1", "gateway-2", "console"] {
        let service = service(name);
        let context = root().join(FOLDER).join(service["build"]["context"].as_str().unwrap());
        assert_eq!(context.canonicalize().unwrap(), root().canonicalize().unwrap());
        assert!(context.join(service["build"]["dockerfile"].as_str().unwrap()).is_file());
        let command = texts(&service["command"]);
        run(Command::new(BINARY).args([command[0], "--help"]));
        let mounted = texts(&service["volumes"])[0];
        assert_eq!(mounted.split(':').nth(1), Some(command[2]), "{name} reads what is mounted");
        assert_eq!(service["read_only"], "true");
        let file = mounted.split(':').next().unwrap().trim_start_matches("./");
        let text = read(&format!("{FOLDER}/{file}"));
        let named: BTreeSet<&str> = text
            .split("${SECRETS:-/run/secrets}/")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        let given: BTreeSet<&str> = texts(&service["secrets"]).into_iter().collect();
        assert_eq!(named, given, "{name}: secrets that it reads and that it is given");
    }
}

/// `HOST:PORT` that a process of `from` speaks to: a service in a network of its own.
fn reaches(from: &str, host: &str) {
    let shared: Vec<String> = networks(from).intersection(&networks(host)).cloned().collect();
    assert!(!shared.is_empty(), "{from} cannot reach {host}: they share no network");
}

#[test]
fn whoever_is_named_can_be_reached() {
    let host_of = |url: &str| {
        let authority = url.split("://").nth(1).unwrap().split('/').next().unwrap();
        authority.rsplit('@').next().unwrap().split(':').next().unwrap().to_owned()
    };
    for (name, file) in [("gateway-1", "gateway"), ("gateway-2", "gateway"), ("console", "console")] {
        let settings = yaml::parse(&read(&format!("{FOLDER}/keystile/{file}.yaml")));
        reaches(name, &host_of(settings["fleet"]["redis"].as_str().unwrap()));
        if let Some(database) = settings["database"].as_str() {
            reaches(name, &host_of(database));
        }
        if file == "gateway" {
            reaches(name, &host_of(texts(&settings["upstreams"]["echo"]["endpoints"])[0]));
        }
        assert!(settings["ops"]["listen"]["address"].as_str().unwrap().ends_with(":8082"));
    }
    let scraped = yaml::parse(&read("deploy/prometheus/prometheus.yml"));
    let mut targets = Vec::new();
    for job in scraped["scrape_configs"].as_array().unwrap() {
        targets.extend(texts(&job["static_configs"][0]["targets"]).into_iter().map(str::to_owned));
    }
    for target in targets.iter().filter(|target| !target.starts_with("localhost:")) {
        let (host, port) = target.split_once(':').unwrap();
        reaches("prometheus", host);
        assert_eq!(port, "8082", "{target} is an ops listener");
    }
    let source = yaml::parse(&read("deploy/compose/grafana/provisioning/datasources/prometheus.yml"));
    reaches("grafana", &host_of(source["datasources"][0]["url"].as_str().unwrap()));
}

#[test]
fn the_balancer_knows_the_gateways_and_they_believe_nobody_else() {
    let configuration = read("deploy/compose/haproxy/haproxy.cfg");
    run(Command::new("haproxy").args(["-c", "-f"]).arg(root().join("deploy/compose/haproxy/haproxy.cfg")));
    let servers = configuration.lines().filter_map(|line| line.trim().strip_prefix("server "));
    let servers: Vec<&str> = servers.map(|rest| rest.split(' ').nth(1).unwrap()).collect();
    assert_eq!(servers, ["gateway-1:8080", "gateway-2:8080"]);
    servers.iter().for_each(|server| reaches("balancer", server.split(':').next().unwrap()));
    let gateway = yaml::parse(&read("deploy/compose/keystile/gateway.yaml"));
    let balancer = service("balancer");
    let address = balancer["networks"]["programs"]["ipv4_address"].as_str().unwrap();
    assert_eq!(texts(&gateway["gateway"]["trusted_proxies"]), [address]);
}
