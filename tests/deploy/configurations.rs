//! Every configuration of keystile that the repository shows can be used as it stands.

use std::process::Command;

use crate::files::{below, read, root, said};
use crate::support::gateway::BINARY;
use crate::yaml;

/// Where configurations stand, and files in YAML that other programs read.
const OF_OTHERS: &[&str] = &[
    "deploy/compose/compose.yaml",
    "deploy/compose/grafana/provisioning/dashboards/keystile.yml",
    "deploy/compose/grafana/provisioning/datasources/prometheus.yml",
    "deploy/prometheus/prometheus.yml",
    "deploy/prometheus/rules/keystile.yml",
    "deploy/prometheus/tests/keystile.yml",
];

/// Every secret that a configuration reads from a file.
const SECRETS: &[&str] = &["redis-password", "database-password", "redis_password", "database_password"];

fn configurations() -> Vec<String> {
    let is_yaml = |path: &String| path.ends_with(".yaml") || path.ends_with(".yml");
    let files = [below("config"), below("deploy")].concat();
    files.into_iter().filter(is_yaml).filter(|path| !OF_OTHERS.contains(&path.as_str())).collect()
}

/// `keystile check`, with secrets where systemd or a container engine would put them.
pub(crate) fn check(path: &str) -> Result<String, String> {
    let secrets = tempfile::tempdir().unwrap();
    for name in SECRETS {
        std::fs::write(secrets.path().join(name), "not-a-secret\n").unwrap();
    }
    let output = Command::new(BINARY)
        .args(["check", "--config"])
        .arg(root().join(path))
        .env("CREDENTIALS_DIRECTORY", secrets.path())
        .env("SECRETS", secrets.path())
        .output()
        .unwrap();
    if output.status.success() { Ok(said(&output)) } else { Err(said(&output)) }
}

#[test]
fn every_configuration_of_the_repository_passes_its_own_check() {
    let configurations = configurations();
    assert!(configurations.len() >= 9, "{configurations:?}");
    let problems: Vec<String> = configurations.iter().filter_map(|path| check(path).err()).collect();
    assert!(problems.is_empty(), "{}", problems.concat());
}

#[test]
fn files_of_other_programs_are_none_of_ours() {
    for path in OF_OTHERS {
        assert!(yaml::parse(&read(path)).get("routes").is_none(), "{path} looks like a configuration");
    }
}

#[test]
fn no_configuration_that_is_deployed_holds_a_secret_itself() {
    for path in configurations().iter().filter(|path| path.starts_with("deploy/")) {
        for line in read(path).lines().map(str::trim) {
            let named = line.split_once(':').map(|(name, _)| name);
            let holds = named.is_some_and(|name| name.ends_with("password") || name.ends_with("secret"));
            assert!(!holds, "{path}: {line}: write it as `…_file`");
        }
    }
}
