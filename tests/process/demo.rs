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
}

impl Demo {
    fn start() -> Demo {
        let mut child = Command::new(BINARY)
            .args(["demo", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut rest = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        rest.read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not one JSON line: {line:?}"));
        Demo { child, told, rest }
    }

    /// The text of whichever field satisfies `is_it`.
    fn text(&self, is_it: impl Fn(&str) -> bool) -> String {
        fn walk(value: &Value, is_it: &dyn Fn(&str) -> bool) -> Option<String> {
            match value {
                Value::String(text) => is_it(text).then(|| text.clone()),
                Value::Array(values) => values.iter().find_map(|value| walk(value, is_it)),
                Value::Object(fields) => fields.values().find_map(|value| walk(value, is_it)),
                Value::Null | Value::Bool(_) | Value::Number(_) => None,
            }
        }
        walk(&self.told, &is_it).unwrap_or_else(|| panic!("not told: {}", self.told))
    }

    fn leave(mut self) {
        let script = format!("kill -s INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "left with {status}");
        let mut more = String::new();
        self.rest.read_to_string(&mut more).unwrap();
        assert_eq!(more, "", "one JSON line and nothing else");
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
    let line = demo.text(|text| text.starts_with("curl "));
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(shown.contains("x-keystile-organization"), "echo shows what an upstream sees: {shown}");
    let secret = demo.text(|text| text.starts_with("ks_"));
    assert!(!shown.contains(&secret), "{shown}");
}

#[test]
fn both_example_agents_answer_to_the_key_and_to_nothing_else() {
    let demo = Demo::start();
    let secret = demo.text(|text| text.starts_with("ks_"));
    let line = demo.text(|text| text.starts_with("curl "));
    let url = line.split(['\'', '"', ' ']).find(|word| word.starts_with("http://")).expect("a URL");
    let address = url["http://".len()..].split('/').next().unwrap().parse().unwrap();
    for agent in ["echo", "clock"] {
        let target = format!("/agents/{agent}/");
        let answer = Client::connect(address).exchange(&Request::get(&target).key(&secret));
        assert_eq!(answer.status, 200, "{agent}");
        assert_eq!(Client::connect(address).exchange(&Request::get(&target)).status, 401);
    }
    demo.leave();
}

#[test]
fn a_second_demo_takes_the_next_free_ports() {
    let (first, second) = (Demo::start(), Demo::start());
    let line = |demo: &Demo| demo.text(|text| text.starts_with("curl "));
    assert_ne!(line(&first), line(&second));
    for demo in [first, second] {
        let output = Command::new("sh").args(["-c", &line(&demo)]).output().unwrap();
        assert!(output.status.success());
    }
}
