//! A PostgreSQL server of its own for a test: on loopback, at a free port, with nothing kept.
//!
//! Promises that the server ends with the test, however that ends: by its id where the test returns or panics, by the
//! kernel where the process is killed. The first test on a machine makes an empty cluster, and the others copy it.
#![allow(dead_code, clippy::unwrap_used, reason = "tests fail loudly, and each uses its own part of this")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

/// The user that databases belong to.
pub(crate) const USER: &str = "keystile";

/// Another process may take the free port first: then the next one is tried.
const STARTS_MAX: u32 = 10;

/// A running server.
pub(crate) struct Postgres {
    child: Child,
    port: u16,
    programs: PathBuf,
    /// Cluster and socket; removed when dropped, after the server has ended.
    folder: tempfile::TempDir,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts a server that lets everybody in who comes over loopback.
    pub(crate) fn start() -> Postgres {
        Postgres::start_with(None)
    }

    /// Starts a server that asks [`USER`] for `password`.
    pub(crate) fn start_with_password(password: &str) -> Postgres {
        Postgres::start_with(Some(password))
    }

    fn start_with(password: Option<&str>) -> Postgres {
        let programs = programs();
        // Short, because the path of a socket is at most 107 bytes.
        let folder = tempfile::Builder::new().prefix("ks-pg-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let cluster = folder.path().join("cluster");
        copy(&template(&programs), &cluster);
        if password.is_some() {
            let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
            fs::write(cluster.join("pg_hba.conf"), rules).unwrap();
        }
        give_away(folder.path());
        for _ in 0..STARTS_MAX {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(child) = serve(&programs, &cluster, folder.path(), port) {
                let databases = AtomicU32::new(0);
                let server = Postgres { child, port, programs, folder, databases };
                if let Some(password) = password {
                    server.sql("postgres", &format!("ALTER ROLE {USER} PASSWORD '{password}'"));
                }
                return server;
            }
        }
        panic!("PostgreSQL did not start at any of {STARTS_MAX} ports");
    }

    /// The URL of a new, empty database, without a password.
    pub(crate) fn url(&self) -> String {
        let name = format!("keystile{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {USER} TEMPLATE template0"));
        self.url_of(&name)
    }

    /// The URL of a database that may or may not exist.
    pub(crate) fn url_of(&self, name: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port)
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The process that a signal would go to.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs SQL as the server's administrator, and gives what it prints: rows in lines, columns apart by `|`.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
        command.arg(format!("--host={}", self.folder.path().display())).arg(format!("--port={}", self.port));
        command.args(["--username=postgres", "--dbname", database, "--command", statements]);
        let done = command.stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "{statements}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    /// Ends the server as a crash would; what is connected is cut.
    pub(crate) fn end(&mut self) {
        signal(self.child.id(), "QUIT");
        let _ = self.child.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a signal by the process's id.
fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}

/// The folder of the newest server that Debian has installed.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("install postgresql: its server is needed");
    let version = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.unwrap().path()).max_by_key(version).unwrap();
    newest.join("bin")
}

/// Whether the test runs as root, as which PostgreSQL refuses to run.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A program of PostgreSQL, run as a user that it accepts.
fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    command.arg("--pdeathsig=QUIT").arg(program).stdin(Stdio::null());
    command
}

/// Lets the server's user own a folder.
fn give_away(folder: &Path) {
    if is_root() {
        assert!(
            Command::new("chown").args(["-R", "postgres:postgres"]).arg(folder).status().unwrap().success()
        );
    }
}

fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    assert!(command.args(["-R", "--reflink=auto"]).arg(from).arg(to).status().unwrap().success());
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
}

/// An empty cluster with the user in it, made once for each version of the server.
fn template(programs: &Path) -> PathBuf {
    let version = Command::new(programs.join("postgres")).arg("--version").output().unwrap().stdout;
    let version: String =
        String::from_utf8(version).unwrap().chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    let home = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/postgres"));
    fs::create_dir_all(&home).unwrap();
    let ready = home.join(version);
    let lock = File::create(home.join("lock")).unwrap();
    lock.lock().unwrap();
    if ready.exists() {
        return ready;
    }
    let folder = tempfile::Builder::new().prefix("ks-initdb-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    give_away(folder.path());
    let made = folder.path().join("cluster");
    let mut initdb = command(&programs.join("initdb"));
    initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
    initdb.args(["--no-sync", "--wal-segsize=1", "--pgdata"]).arg(&made);
    let done = initdb.output().unwrap();
    assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
    let mut single = command(&programs.join("postgres"));
    single.args(["--single", "-F", "-D"]).arg(&made).arg("postgres").stdin(Stdio::piped());
    let mut single = single.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let create = format!("CREATE ROLE {USER} LOGIN;\n");
    std::io::Write::write_all(&mut single.stdin.take().unwrap(), create.as_bytes()).unwrap();
    assert!(single.wait().unwrap().success());
    let beside = home.join("making");
    let _ = fs::remove_dir_all(&beside);
    copy(&made, &beside);
    fs::rename(&beside, &ready).unwrap();
    ready
}

/// Starts the server, and waits until it takes connections. Nothing where it ends instead.
fn serve(programs: &Path, cluster: &Path, sockets: &Path, port: u16) -> Option<Child> {
    let mut postgres = command(&programs.join("postgres"));
    postgres.arg("-D").arg(cluster).arg("-p").arg(port.to_string()).arg("-k").arg(sockets);
    for setting in [
        "listen_addresses=127.0.0.1",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "max_connections=200",
        "shared_buffers=16MB",
        "autovacuum=off",
        "max_wal_size=64MB",
    ] {
        postgres.arg("-c").arg(setting);
    }
    postgres.stdout(Stdio::null()).stderr(Stdio::piped());
    let (tell, told) = mpsc::channel();
    // The kernel ends the server with the thread that started it: this one lives as long as the process does.
    std::thread::spawn(move || {
        let mut child = postgres.spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let mut child = Some(child);
        for line in said.lines().map_while(Result::ok) {
            if line.contains("database system is ready to accept connections") {
                let _ = tell.send(child.take());
            }
        }
        if let Some(mut child) = child {
            let _ = child.wait();
            let _ = tell.send(None);
        }
        loop {
            std::thread::park();
        }
    });
    told.recv().unwrap()
}
