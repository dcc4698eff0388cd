//! What systemd is told: when the process serves, when it reads its configuration again, when it leaves.

use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use crate::support::gateway::BINARY;
use crate::support::{Settings, WATCHDOG};

/// A `keystile serve` under a supervisor that listens.
struct Supervised {
    child: Child,
    notices: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Supervised {
    fn start() -> Supervised {
        let folder = tempfile::tempdir().unwrap();
        let notices = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        notices.set_read_timeout(Some(WATCHDOG)).unwrap();
        let config = folder.path().join("keystile.yaml");
        std::fs::write(&config, Settings::default().yaml(folder.path())).unwrap();
        let child = Command::new(BINARY)
            .args(["serve", "--config"])
            .arg(&config)
            .env("NOTIFY_SOCKET", folder.path().join("notify"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Supervised { child, notices, folder }
    }

    /// The next thing it is told; its own words where nothing comes.
    fn told(&mut self) -> String {
        let mut buffer = [0; 4096];
        match self.notices.recv(&mut buffer) {
            Ok(length) => String::from_utf8(buffer[..length].to_vec()).unwrap(),
            Err(error) => {
                self.child.kill().unwrap();
                let mut said = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("nothing was told ({error}); the process said:\n{said}");
            }
        }
    }

    fn signal(&self, name: &str) {
        let script = format!("kill -s {name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    /// The instant of a message that a reload has begun, in microseconds.
    fn reload_began(&mut self) -> u128 {
        let told = self.told();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, "RELOADING=1"), "{told}");
        lines[1].strip_prefix("MONOTONIC_USEC=").and_then(|number| number.parse().ok()).expect("an instant")
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_supervisor_learns_when_it_serves_reloads_and_leaves() {
    let mut supervised = Supervised::start();
    assert_eq!(supervised.told(), "READY=1\n");

    supervised.signal("HUP");
    let first = supervised.reload_began();
    assert_eq!(supervised.told(), "READY=1\n");

    // One that is refused is over as well: the process serves on with what it had.
    std::fs::write(supervised.folder.path().join("keystile.yaml"), "nonsense: 1\n").unwrap();
    supervised.signal("HUP");
    assert!(supervised.reload_began() > first, "each reload says when it began");
    assert_eq!(supervised.told(), "READY=1\n");

    supervised.signal("TERM");
    assert_eq!(supervised.told(), "STOPPING=1\n");
    assert!(supervised.child.wait().unwrap().success());
    supervised.notices.set_nonblocking(true).unwrap();
    assert!(supervised.notices.recv(&mut [0; 64]).is_err(), "nothing is told after it left");
}
