//! The real keystile, in a folder of its own: started, watched, stopped, killed and started again. `keystile serve`
//! unless the test asks for another role.
//!
//! Waits for what the process says on standard error, never for time to pass. Ends only the process that it started.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};

use super::client::{Client, Request, Response};
use super::management::Management;
use super::{Settings, WATCHDOG};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_keystile");

/// A gateway and console in one process; in a fleet, one of the two.
pub(crate) struct Gateway {
    role: &'static str,
    running: Option<Running>,
    folder: tempfile::TempDir,
    token: Option<String>,
    logs: Logs,
}

struct Running {
    child: Child,
    gateway: Option<SocketAddr>,
    console: Option<SocketAddr>,
    ops: SocketAddr,
}

/// All that the process said since the test began, over restarts: standard error and standard output.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<String>>);

/// How a start failed.
#[derive(Debug)]
pub(crate) struct FailedStart {
    pub(crate) status: ExitStatus,
    pub(crate) said: String,
}

impl Gateway {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(configure: impl FnOnce(&mut Settings)) -> Gateway {
        let mut gateway = Gateway::prepare(configure);
        gateway.run();
        gateway
    }

    /// A folder with its configuration; nothing runs yet.
    pub(crate) fn prepare(configure: impl FnOnce(&mut Settings)) -> Gateway {
        Gateway::prepare_as("serve", configure)
    }

    /// As [`Gateway::prepare`], for `keystile gateway` or `keystile console`.
    pub(crate) fn prepare_as(role: &'static str, configure: impl FnOnce(&mut Settings)) -> Gateway {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        configure(&mut settings);
        std::fs::write(folder.path().join("keystile.yaml"), settings.yaml(folder.path())).unwrap();
        Gateway { role, running: None, folder, token: None, logs: Logs::default() }
    }

    /// Starts it on its folder; a failure to start fails the test.
    pub(crate) fn run(&mut self) {
        if let Err(failed) = self.try_run() {
            panic!("keystile {} did not start ({}):\n{}", self.role, failed.status, failed.said);
        }
    }

    /// As [`Gateway::run`], where a failure is what the test is about.
    pub(crate) fn try_run(&mut self) -> Result<(), FailedStart> {
        self.run_until(|line| line.split_whitespace().next_back() == Some("ready"))
    }

    /// Starts it and waits only until it listens, for one that cannot become ready yet.
    pub(crate) fn run_until_listening(&mut self) {
        if let Err(failed) = self.run_until(|line| line.contains("ops listening on ")) {
            panic!("keystile {} does not listen ({}):\n{}", self.role, failed.status, failed.said);
        }
    }

    fn run_until(&mut self, is_up: impl Fn(&str) -> bool) -> Result<(), FailedStart> {
        assert!(self.running.is_none(), "it runs already");
        // The shell only sees to it that a bound on the size of files (see the tests of full disks) is an error to the
        // process, as a full disk is, and not a signal that ends it.
        let mut child = self
            .program("sh", &["-c", "trap '' XFSZ; exec \"$@\"", "sh", BINARY, self.role])
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.logs.collect(child.stdout.take().unwrap());
        let lines = self.logs.collect(child.stderr.take().unwrap());
        let mut said = String::new();
        let (mut gateway, mut console, mut ops) = (None, None, None);
        loop {
            let line = match lines.recv_timeout(WATCHDOG) {
                Ok(line) => line,
                // Its standard error ended with it: what it said is why.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    child.kill().unwrap();
                    break;
                }
            };
            let address = || line.rsplit(' ').next().and_then(|word| word.parse().ok());
            if line.contains("gateway listening on ") {
                gateway = gateway.or_else(address);
            } else if line.contains("console listening on ") {
                console = address();
            } else if line.contains("ops listening on ") {
                ops = address();
            }
            if is_up(&line) {
                let ops = ops.unwrap();
                self.running = Some(Running { child, gateway, console, ops });
                return Ok(());
            }
            said += &format!("{line}\n");
        }
        Err(FailedStart { status: child.wait().unwrap(), said })
    }

    /// Asks it to leave and waits until it has.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Waits until it has left.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("it runs");
        running.child.wait().unwrap()
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        let mut running = self.running.take().expect("it runs");
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }

    /// Stops it in order and starts it on the same folder.
    pub(crate) fn restart(&mut self) {
        let status = self.stop();
        assert!(status.success(), "left with {status}:\n{}", self.logs());
        self.run();
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's own `kill`: the program of that name is not on every machine.
        let script = format!("kill -s {name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &script]).status().unwrap();
        assert!(status.success());
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running().gateway.expect("a role that listens for programs")
    }

    pub(crate) fn console_address(&self) -> SocketAddr {
        self.running().console.expect("a role that listens for people")
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn ops_address(&self) -> SocketAddr {
        self.running().ops
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running().child.id()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder().join("keystile.yaml")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder().join("keystile.db")
    }

    pub(crate) fn logs(&self) -> String {
        self.logs.0.lock().unwrap().clone()
    }

    /// A new connection to the data plane.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// One request on a connection of its own.
    pub(crate) fn exchange(&self, request: &Request) -> Response {
        self.connect().exchange(request)
    }

    /// A page of the ops listener.
    pub(crate) fn ops(&self, path: &str) -> Response {
        Client::connect(self.running().ops).exchange(&Request::get(path).field("connection", "close"))
    }

    /// The sum of all samples of a metric whose labels contain every one of `labels` (`name="value"`).
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = self.ops("/metrics").text();
        let samples = page.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (own, own_labels) = series.split_once('{').unwrap_or((series, ""));
            let matches = own == name && labels.iter().all(|label| own_labels.contains(label));
            matches.then(|| value.parse::<f64>().unwrap())
        });
        samples.sum()
    }

    /// The management API, as the operator.
    pub(crate) fn management(&mut self) -> Management {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => self.operator_token(),
        };
        self.token = Some(token.clone());
        Management::new(self.console_address(), token)
    }

    fn operator_token(&self) -> String {
        let config = self.config();
        let output = self
            .command(&["operator", "token", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A command that speaks to the management API.
    pub(crate) fn cli(&mut self, arguments: &[&str]) -> Output {
        let management = self.management();
        self.command(arguments)
            .env("KEYSTILE_URL", management.url())
            .env("KEYSTILE_TOKEN", management.token())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.program(BINARY, arguments)
    }

    fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder())
            .env_remove("KEYSTILE_URL")
            .env_remove("KEYSTILE_LOG");
        command
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            // It may have left by itself; either way it is gone after the wait.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- what keystile said ---\n{}", self.logs());
        }
    }
}

impl Logs {
    /// Reads `from` to its end on a thread; the receiver sees each line too.
    fn collect(&self, from: impl Read + Send + 'static) -> Receiver<String> {
        let (sender, receiver) = channel();
        let all = Arc::clone(&self.0);
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                all.lock().unwrap().push_str(&format!("{line}\n"));
                // Nobody listens any more once the process is ready.
                let _ = sender.send(line);
            }
        });
        receiver
    }
}
