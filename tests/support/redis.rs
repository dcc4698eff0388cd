//! Real Redis servers for tests: one, several with Sentinels, a cluster.
//!
//! Promises free ports on loopback, a folder of its own for each, and that every process ends with its test, by pid.
//! Waits by what servers say of themselves, never by time. Stands on nothing but the standard library, so that the
//! tests inside the crate use it as well.
#![allow(dead_code, reason = "each test target uses its own part of the support")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

#[path = "redis_groups.rs"]
mod groups;
pub(crate) use groups::{Cluster, Sentinels};

/// How often something is asked before a test fails: each time is a process of its own, so this is most of a minute.
const ASKED_MAX: usize = 5_000;
/// How often a port is looked for: another process may take it before the server does.
const PORTS_MAX: usize = 20;

/// A `redis-server`, or a Sentinel. Ends with its owner.
#[derive(Debug)]
pub(crate) struct RedisServer {
    child: Option<Child>,
    port: u16,
    settings: Vec<(String, String)>,
    sentinel: bool,
    tls: bool,
    folder: TempDir,
}

impl RedisServer {
    /// A server that keeps nothing on disk.
    pub(crate) fn start() -> RedisServer {
        RedisServer::with(&[])
    }

    /// A server with settings as in `redis.conf`, such as `("requirepass", "hunter2")`, `("maxmemory", "3mb")` or
    /// `("appendonly", "yes")`.
    pub(crate) fn with(settings: &[(&str, &str)]) -> RedisServer {
        let folder = tempfile::tempdir().unwrap();
        RedisServer::begin(folder, settings, false, false)
    }

    /// A server that speaks TLS only. Its certificate is for 127.0.0.1 and localhost; see [`ca_file`](Self::ca_file).
    pub(crate) fn with_tls(settings: &[(&str, &str)]) -> RedisServer {
        let folder = tempfile::tempdir().unwrap();
        make_certificates(folder.path());
        RedisServer::begin(folder, settings, false, true)
    }

    pub(crate) fn begin(
        folder: TempDir,
        settings: &[(&str, &str)],
        sentinel: bool,
        tls: bool,
    ) -> RedisServer {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut server = RedisServer { child: None, port: 0, settings, sentinel, tls, folder };
        for _ in 0..PORTS_MAX {
            server.port = free_port();
            if server.spawn() {
                return server;
            }
        }
        panic!("no redis-server came up");
    }

    /// Where it is, for `fleet.redis`.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.tls { "rediss" } else { "redis" }, self.address())
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The process. Fails where it was killed.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server was killed").id()
    }

    /// The certificate that vouches for the server's.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again on its port, with what it kept on disk, if anything. Ends it before, if need be.
    pub(crate) fn restart(&mut self) {
        self.kill();
        assert!(self.spawn(), "redis-server does not come up again on port {}", self.port);
    }

    /// Lets it do nothing: connections stay, answers do not come.
    pub(crate) fn stop_process(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// What `redis-cli` prints for a command, without the last line end.
    pub(crate) fn command(&self, command: &[&str]) -> String {
        let output = self.cli(command);
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Asks until the answer is as wanted.
    ///
    /// # Panics
    /// Where it does not come.
    pub(crate) fn until(&self, command: &[&str], wanted: impl Fn(&str) -> bool) {
        let asked = (0..ASKED_MAX).any(|_| wanted(&self.command(command)));
        assert!(asked, "{}: {command:?} stays at {}", self.address(), self.command(command));
    }

    fn cli(&self, command: &[&str]) -> Output {
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if self.tls {
            cli.arg("--tls").arg("--cacert").arg(self.ca_file());
        }
        if let Some((_, password)) = self.settings.iter().find(|(name, _)| name == "requirepass") {
            cli.env("REDISCLI_AUTH", password);
        }
        cli.args(command).stdin(Stdio::null()).output().unwrap()
    }

    /// Whether it came up.
    fn spawn(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        let folder = self.folder.path();
        if self.sentinel {
            command.arg(folder.join("sentinel.conf")).arg("--sentinel");
        } else {
            command.args(["--save", ""]);
        }
        let (plain, tls) = if self.tls { (0, self.port) } else { (self.port, 0) };
        command.args(["--bind", "127.0.0.1", "--port", &plain.to_string()]);
        if self.tls {
            command.args(["--tls-port", &tls.to_string(), "--tls-auth-clients", "no"]);
            for (setting, file) in [
                ("--tls-cert-file", "server.pem"),
                ("--tls-key-file", "server.key"),
                ("--tls-ca-cert-file", "ca.pem"),
            ] {
                command.arg(setting).arg(folder.join(file));
            }
        }
        command.arg("--dir").arg(folder);
        for (name, value) in &self.settings {
            command.arg(format!("--{name}")).args(value.split(' '));
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = if self.sentinel { "Sentinel ID is" } else { "Ready to accept connections" };
        let up = lines.any(|line| line.is_ok_and(|line| line.contains(ready)));
        // Its output has to go somewhere as long as it runs.
        std::thread::spawn(move || lines.for_each(drop));
        if up {
            self.child = Some(child);
        } else {
            let _ = child.wait();
        }
        up
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// `ca.pem`, and `server.pem` with `server.key` that it vouches for.
fn make_certificates(folder: &Path) {
    let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").current_dir(folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let ca = ["req", "-x509", "-subj", "/CN=test ca", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(&[&ca[..], &curve[..]].concat());
    let server = ["req", "-x509", "-subj", "/CN=redis", "-keyout", "server.key", "-out", "server.pem"];
    let signed = [
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-addext",
        names,
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ];
    openssl(&[&server[..], &curve[..], &signed[..]].concat());
}
