//! Debian's chromedriver on a free port, and an end to it and to every chromium that it started.
//!
//! Promises that nothing of it outlives the test that started it, failed or not. Ends only its own processes, by id.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};

use crate::support::WATCHDOG;

/// What it prints once it listens, before the port.
const STARTED: &str = "was started successfully on port ";

/// A running chromedriver with a folder for all that its browsers write.
///
/// It stays in the test's own process group, so that whoever ends the test from outside ends it too; chromium holds a
/// pipe to it and leaves with it.
pub(crate) struct Driver {
    child: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Driver {
    /// Starts one and waits until it listens.
    pub(crate) fn start() -> Driver {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("TMPDIR", folder.path())
            .env("HOME", folder.path())
            .env_remove("DISPLAY")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver of the package chromium-driver");
        let port = match port_said(child.stdout.take().unwrap()) {
            Ok(port) => port,
            Err(error) => {
                end(&mut child);
                panic!("chromedriver did not start: {error}");
            }
        };
        Driver { child, url: format!("http://127.0.0.1:{port}"), folder }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A new folder for one browser's profile.
    pub(crate) fn profile(&self) -> PathBuf {
        tempfile::tempdir_in(self.folder.path()).unwrap().keep()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Reads until the port is said, then drains the rest on a thread, so that a full pipe never stops chromedriver.
fn port_said(from: impl Read + Send + 'static) -> Result<u16, RecvTimeoutError> {
    let (sender, ports) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if let Some((_, port)) = line.split_once(STARTED) {
                // Nobody listens any more where the watchdog came first.
                let _ = sender.send(port.trim_end_matches('.').parse().expect("a port"));
            }
        }
    });
    ports.recv_timeout(WATCHDOG)
}

/// Ends a process and all that descend from it, and waits until it is gone.
fn end(child: &mut Child) {
    let mut doomed = descendants(child.id());
    doomed.push(child.id());
    let doomed: Vec<String> = doomed.iter().map(u32::to_string).collect();
    // Those that have left by themselves meanwhile are no failure.
    let script = format!("kill -s KILL {} 2>/dev/null", doomed.join(" "));
    let _ = Command::new("sh").args(["-c", &script]).status();
    let _ = child.wait();
}

/// The ids of all processes below `ancestor`, children before their own.
fn descendants(ancestor: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some((process, parent)) = parent_of(&entry.path()) {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut found = children.remove(&ancestor).unwrap_or_default();
    let mut at = 0;
    while let Some(process) = found.get(at) {
        let below = children.remove(process).unwrap_or_default();
        found.extend(below);
        at += 1;
    }
    found
}

/// A process and its parent, from its folder under `/proc`.
fn parent_of(folder: &Path) -> Option<(u32, u32)> {
    let process = folder.file_name()?.to_str()?.parse().ok()?;
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    // The program's name stands in brackets and may hold anything; the state and the parent follow it.
    let (_, after_name) = stat.rsplit_once(')')?;
    Some((process, after_name.split_whitespace().nth(1)?.parse().ok()?))
}
