//! The secrets of `deploy/compose`, and its Redis, which lets nobody do more than they must.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::compose::{FOLDER, compose, services};
use crate::files::{below, copy, read, run, said};
use crate::support::eventually;
use crate::yaml::texts;

/// The folder as somebody has it who followed its first step.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(FOLDER, folder.path());
    make_secrets(folder.path());
    folder
}

fn make_secrets(at: &Path) {
    run(Command::new("sh").arg(at.join(FOLDER).join("make-secrets")));
}

fn secret(at: &Path, name: &str) -> String {
    std::fs::read_to_string(at.join(FOLDER).join("secrets").join(name)).unwrap()
}

#[test]
fn every_secret_is_made_once_and_for_its_owner_alone() {
    let folder = prepared();
    let compose = compose();
    let names: Vec<&String> = compose["secrets"].as_object().unwrap().keys().collect();
    let first: Vec<String> = names.iter().map(|name| secret(folder.path(), name)).collect();
    make_secrets(folder.path());
    let second: Vec<String> = names.iter().map(|name| secret(folder.path(), name)).collect();
    assert_eq!(first, second, "what is there is left as it is");
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len(), "each is its own");
    assert!(first.iter().all(|secret| secret.len() >= 64), "32 bytes in hexadecimal at least");
    assert!(!secret(folder.path(), "redis_users").contains(&secret(folder.path(), "redis_password")));
    let secrets = std::fs::metadata(folder.path().join(FOLDER).join("secrets")).unwrap();
    assert_eq!(secrets.permissions().mode() & 0o777, 0o700);
    assert!(read("deploy/compose/.gitignore").lines().any(|line| line == "/secrets"));
    for (name, service) in services() {
        for given in texts(&service["secrets"]) {
            assert!(compose["secrets"].get(given).is_some(), "{name}: no secret is called {given}");
        }
    }
}

/// A Redis with the deployment's configuration and users, on a port and a socket of its own.
pub(crate) struct Redis {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Redis {
    pub(crate) fn start() -> Redis {
        // A port that was free may be taken before Redis has it: then another one.
        std::iter::repeat_with(Redis::try_start).take(20).flatten().next().expect("redis-server starts")
    }

    fn try_start() -> Option<Redis> {
        let folder = prepared();
        let at = folder.path().join(FOLDER);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let own = format!("port {port}\nunixsocket {}/redis.sock", folder.path().display());
        let text = read("deploy/compose/redis/redis.conf")
            .replace("/run/secrets/", &format!("{}/secrets/", at.display()))
            .replace("dir /data", &format!("dir {}", folder.path().display()))
            .replace("bind * -::*", "bind 127.0.0.1")
            .replace("port 6379", &own);
        std::fs::write(folder.path().join("redis.conf"), text).unwrap();
        let child = Command::new("redis-server")
            .arg(folder.path().join("redis.conf"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut redis = Redis { child, folder, port };
        let mut answers = false;
        eventually("Redis answers or ends", || {
            answers = redis.ask(&["--user", "health", "--pass", "none"], "ping") == "PONG";
            answers || redis.child.try_wait().unwrap().is_some()
        });
        answers.then_some(redis)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn password(&self) -> String {
        secret(self.folder.path(), "redis_password")
    }

    /// What a user is answered.
    fn ask(&self, user: &[&str], command: &str) -> String {
        let output: Output = Command::new("redis-cli")
            .arg("-s")
            .arg(self.folder.path().join("redis.sock"))
            .arg("--no-auth-warning")
            .args(user)
            .args(command.split(' '))
            .output()
            .unwrap();
        said(&output).trim().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn redis_of_the_fleet_lets_keystile_do_its_work_and_nobody_anything_else() {
    let redis = Redis::start();
    let password = redis.password();
    let keystile = ["--user", "keystile", "--pass", &password];
    for allowed in ["ping", "hset keystile:{feed}:x a 1", "hget keystile:{feed}:x a", "info server"] {
        let answer = redis.ask(&keystile, allowed);
        assert!(!answer.contains("NOPERM") && !answer.contains("ERR"), "{allowed}: {answer}");
    }
    for refused in [
        "flushall",
        "flushdb",
        "keys *",
        "config get *",
        "acl list",
        "shutdown",
        "replicaof no one",
        "get other:x",
    ] {
        assert!(redis.ask(&keystile, refused).contains("NOPERM"), "keystile may {refused}");
    }
    assert!(redis.ask(&[], "ping").contains("NOAUTH"), "whoever is nobody");
    let health = ["--user", "health", "--pass", "none"];
    assert!(redis.ask(&health, "get keystile:{feed}:x").contains("NOPERM"));
    assert!(redis.ask(&["--user", "keystile", "--pass", "wrong"], "ping").contains("WRONGPASS"));
}

#[test]
fn redis_of_the_fleet_forgets_nothing_for_want_of_memory_or_by_a_restart() {
    let settings = read("deploy/compose/redis/redis.conf");
    for line in ["maxmemory-policy noeviction", "appendonly yes", "aclfile /run/secrets/redis_users"] {
        assert!(settings.lines().any(|own| own == line), "{line}");
    }
}

/// Every command that scripts of `src/fleet` give to Redis, in small letters.
fn commands_of_scripts() -> BTreeSet<String> {
    let mut commands = BTreeSet::new();
    for path in below("src/fleet").iter().filter(|path| path.ends_with(".lua")) {
        for call in read(path).split("redis.").skip(1) {
            let called = call.strip_prefix("call('").or_else(|| call.strip_prefix("pcall('"));
            if let Some((command, _)) = called.and_then(|rest| rest.split_once('\'')) {
                commands.insert(command.to_lowercase());
            }
        }
    }
    commands
}

/// Commands that the program gives by itself: scripts, by their hash or whole; the feed; a database other than 0; and in
/// a cluster which server has what, whether it lives, and what is moving.
const OF_THE_CLIENT: &[&str] = &["evalsha", "eval", "xread", "select", "cluster|slots", "ping", "asking"];

/// The line of a text that gives Keystile its rights, with the password left out.
fn rights(path: &str) -> Vec<String> {
    let text = read(path);
    let line = text.lines().map(str::trim).find(|line| line.starts_with("user keystile ")).unwrap();
    let is_password = |word: &&str| word.starts_with(['>', '#']);
    line.split(' ').filter(|word| !is_password(word)).map(str::to_owned).collect()
}

#[test]
fn the_rights_of_keystile_in_redis_are_every_command_that_it_gives_and_nothing_more() {
    let line = rights("deploy/compose/redis/users.acl.in");
    let given: BTreeSet<String> =
        line.iter().filter_map(|word| word.strip_prefix('+')).map(str::to_owned).collect();
    let mut needed = commands_of_scripts();
    assert!(!needed.is_empty(), "no script was found");
    needed.extend(OF_THE_CLIENT.iter().map(|command| (*command).to_owned()));
    let missing: Vec<_> = needed.difference(&given).collect();
    assert!(missing.is_empty(), "users.acl.in and docs/fleet.md lack {missing:?}");
    let unused: Vec<_> = given.difference(&needed).collect();
    assert!(unused.is_empty(), "nobody uses {unused:?} of users.acl.in and docs/fleet.md");
    for rule in ["~keystile:*", "-@all", "resetchannels"] {
        assert!(line.iter().any(|word| word == rule), "{rule} is missing in {line:?}");
    }
    assert_eq!(line, rights("docs/fleet.md"), "one line in both places");
}
