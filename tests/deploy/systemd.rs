//! The units for systemd: read by systemd's own checker, and in agreement with the configurations that they name.

use std::process::Command;

use crate::files::{below, copy, has_program, read, run};
use crate::support::gateway::BINARY;
use crate::yaml;

/// Where the units say that things are.
const INSTALLED: &str = "/usr/local/bin/keystile";
const CONFIGURED: &str = "/etc/keystile/";
/// What `systemd-analyze security` may give at most, in tenths of its 10 points of exposure.
const EXPOSURE_MAX: &str = "15";

/// A unit: its lines `name=value`, in order.
struct Unit {
    file: String,
    settings: Vec<(String, String)>,
}

impl Unit {
    fn read(file: &str) -> Unit {
        let text = read(file);
        let lines =
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        let settings = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Unit { file: file.to_owned(), settings }
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.settings.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    }

    fn one(&self, name: &str) -> &str {
        match self.all(name)[..] {
            [value] => value,
            ref values => panic!("{}: {name} stands {} times", self.file, values.len()),
        }
    }

    /// The configuration it runs by, as the repository has it.
    fn configuration(&self) -> String {
        let path = self.one("ExecStart").rsplit(' ').next().unwrap();
        format!("deploy/systemd/{}", path.strip_prefix(CONFIGURED).expect("a file of /etc/keystile"))
    }
}

fn units() -> Vec<Unit> {
    let units: Vec<Unit> = below("deploy/systemd")
        .iter()
        .filter(|path| path.ends_with(".service"))
        .map(|path| Unit::read(path))
        .collect();
    assert_eq!(units.len(), 3);
    units
}

fn seconds(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        other => panic!("{text}: {other} is no unit of these files"),
    };
    number.parse::<u64>().unwrap() * factor
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units_and_little_to_attack() {
    if !has_program("systemd-analyze") {
        eprintln!("no systemd-analyze here: the units are not checked by systemd itself");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let units = copy("deploy/systemd", folder.path());
    for unit in self::units() {
        let path = units.join(unit.file.rsplit('/').next().unwrap());
        // The checker wants the program to be there.
        let text = std::fs::read_to_string(&path).unwrap().replace(INSTALLED, BINARY);
        std::fs::write(&path, text).unwrap();
        let said = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path));
        assert_eq!(said, "", "systemd-analyze verify {}", unit.file);
        run(Command::new("systemd-analyze")
            .args(["security", "--no-pager", "--offline=true", "--threshold", EXPOSURE_MAX])
            .arg(&path));
    }
}

#[test]
fn units_run_commands_that_there_are_on_configurations_that_there_are() {
    for unit in units() {
        let words: Vec<&str> = unit.one("ExecStart").split(' ').collect();
        assert_eq!((words[0], words[2]), (INSTALLED, "--config"), "{}", unit.file);
        run(Command::new(BINARY).args([words[1], "--help"]));
        yaml::parse(&read(&unit.configuration()));
        assert_eq!(unit.one("Type"), "notify");
        assert_eq!(unit.one("ExecReload"), "/bin/kill -HUP $MAINPID");
    }
}

#[test]
fn credentials_of_a_unit_are_those_that_its_configuration_reads() {
    for unit in units() {
        let given: Vec<&str> = unit
            .all("LoadCredential")
            .iter()
            .map(|credential| {
                let (name, file) = credential.split_once(':').expect("a name and a file");
                assert_eq!(file, format!("/etc/keystile/secrets/{name}"));
                name
            })
            .collect();
        let text = read(&unit.configuration());
        let named = text.split("${CREDENTIALS_DIRECTORY}/").skip(1);
        let mut named: Vec<&str> = named.map(|rest| rest.split('"').next().unwrap()).collect();
        let mut given = given;
        named.sort_unstable();
        given.sort_unstable();
        assert_eq!(given, named, "{}", unit.file);
    }
}

#[test]
fn a_unit_waits_for_leaving_and_allows_the_files_that_its_connections_take() {
    for unit in units() {
        let configuration = yaml::parse(&read(&unit.configuration()));
        let time = |name: &str| configuration["gateway"][name].as_str().map_or(0, seconds);
        let (leaving, waits) = (time("leave_delay") + time("grace"), seconds(unit.one("TimeoutStopSec")));
        assert!(waits >= leaving + 30, "{}: {waits} s for {leaving} s and the last records", unit.file);
        if configuration["gateway"]["listen"].is_array() {
            // Its default of 10,000 connections, two files each.
            assert!(unit.one("LimitNOFILE").parse::<u64>().unwrap() > 2 * 10_000, "{}", unit.file);
        }
    }
}

#[test]
fn the_user_of_the_units_is_the_one_that_is_made_and_the_guide_installs_every_file() {
    let guide = read("deploy/systemd/README.md");
    for path in below("deploy/systemd").iter().filter(|path| !path.ends_with("README.md")) {
        let name = path.rsplit('/').next().unwrap();
        assert!(guide.contains(name), "deploy/systemd/README.md does not say what becomes of {name}");
    }
    let users = read("deploy/systemd/keystile.sysusers");
    for unit in units() {
        assert!(users.contains(&format!("\nu {} ", unit.one("User"))), "{}", unit.file);
    }
}
