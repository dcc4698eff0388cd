//! `keystile demo`: everything at once, with an example backend, a first key, and a curl line that works as pasted.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::gateway::BINARY;
use crate::support::{Client, Request};

struct Demo {
    child: Child,
    told: Value,
    rest: BufReader<std::process::ChildStdout>,
    /// Where its temporary folder is made.
    folder: tempfile::TempDir,
}

impl Demo {
    fn start() -> Demo {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(BINARY)
            .args(["demo", "--json"])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut rest = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        rest.read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not one JSON line: {line:?}"));
        Demo { child, told, rest, folder }
    }

    fn text(&self, field: &str) -> String {
        self.told[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.told)).to_owned()
    }

    /// A connection to the gateway that it named.
    fn connect(&self) -> Client {
        let url = self.text("gateway");
        Client::connect(url.strip_prefix("http://").unwrap().parse().unwrap())
    }

    fn leave(mut self) {
        let script = format!("kill -s INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "left with {status}");
        let mut more = String::new();
        self.rest.read_to_string(&mut more).unwrap();
        assert_eq!(more, "", "one JSON line and nothing else");
        assert_eq!(std::fs::read_dir(self.folder.path()).unwrap().count(), 0, "nothing is left behind");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_tells_a_curl_line_that_works_as_pasted() {
    let demo = Demo::start();
    let line = demo.text("curl");
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(shown.contains("x-keystile-organization"), "echo shows what an upstream sees: {shown}");
    let secret = demo.text("key");
    assert!(!shown.contains(&secret), "{shown}");
}

#[test]
fn both_example_agents_answer_to_the_key_and_to_nothing_else() {
    let demo = Demo::start();
    let secret = demo.text("key");
    for (target, kind) in [("/agents/echo/hello", "application/json"), ("/agents/clock", "text/event-stream")]
    {
        let mut client = demo.connect();
        // The clock never stops ticking, so only the head is waited for.
        client.send(Request::get(target).key(&secret).bytes());
        let head = client.head();
        assert_eq!((head.word(1), head.field("content-type")), ("200", Some(kind)), "{target}");
        assert_eq!(demo.connect().exchange(&Request::get(target)).status, 401);
    }
    demo.leave();
}

#[test]
fn a_second_demo_takes_the_next_free_ports() {
    let (first, second) = (Demo::start(), Demo::start());
    let line = |demo: &Demo| demo.text("curl");
    assert_ne!(line(&first), line(&second));
    for demo in [first, second] {
        let output = Command::new("sh").args(["-c", &line(&demo)]).output().unwrap();
        assert!(output.status.success());
    }
}
