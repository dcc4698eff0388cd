//! Debian's Prometheus: its checker, and a server of a test's own that scrapes what the test says.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::files::{copy, run};
use crate::support::{WATCHDOG, eventually};

/// How often it scrapes and evaluates: often, so that tests wait little for rates.
const INTERVAL: &str = "200ms";

/// `promtool` on a file of the repository; gives what it said.
pub(crate) fn promtool(arguments: &[&str]) -> String {
    run(Command::new("promtool").args(arguments).current_dir(crate::files::root()))
}

/// A server that scrapes.
pub(crate) struct Prometheus {
    child: Child,
    url: String,
    agent: ureq::Agent,
    _folder: tempfile::TempDir,
}

/// A job of the scrape configuration: its name and the processes' ops listeners.
pub(crate) type Job<'a> = (&'a str, Vec<SocketAddr>);

impl Prometheus {
    /// One with the deployment's rules that scrapes `jobs`.
    pub(crate) fn scraping(jobs: &[Job<'_>]) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let rules = copy("deploy/prometheus/rules", folder.path());
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, configuration(jobs, &rules)).unwrap();
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("records").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Debian's package `prometheus`");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = String::new();
        let address = lines.by_ref().find_map(|line| {
            said += &format!("{line}\n");
            let line: Value = serde_json::from_str(&line).ok()?;
            (line["msg"] == "Listening on").then(|| line["address"].as_str().unwrap_or_default().to_owned())
        });
        let Some(address) = address else { panic!("prometheus did not start:\n{said}") };
        // What it says later is read to its end, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let agent = ureq::Agent::config_builder().proxy(None).timeout_global(Some(WATCHDOG)).build().into();
        let started = Prometheus { child, url: format!("http://{address}"), agent, _folder: folder };
        eventually("prometheus answers queries", || {
            started.agent.get(format!("{}/-/ready", started.url)).call().is_ok()
        });
        started
    }

    fn get(&self, path: &str) -> Value {
        let mut answer = self.agent.get(format!("{}/api/v1{path}", self.url)).call().unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// The samples that an expression has now: values that are numbers.
    ///
    /// # Errors
    /// Where the expression is wrong.
    pub(crate) fn query(&self, expression: &str) -> Result<Vec<f64>, String> {
        let form = [("query", expression)];
        let request = self
            .agent
            .post(format!("{}/api/v1/query", self.url))
            .config()
            .http_status_as_error(false)
            .build();
        let mut answer = request.send_form(form).map_err(|error| error.to_string())?;
        let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        let samples = answer["data"]["result"].as_array().into_iter().flatten();
        let values = samples.filter_map(|sample| sample["value"][1].as_str()?.parse::<f64>().ok());
        Ok(values.filter(|value| !value.is_nan()).collect())
    }

    /// Every rule's name and what came of its last evaluation: `ok`, `err` or `unknown` before the first.
    pub(crate) fn rules(&self) -> Vec<(String, String)> {
        let answer = self.get("/rules");
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        rules.map(|rule| (text(&rule["name"]), text(&rule["health"]))).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(jobs: &[Job<'_>], rules: &Path) -> String {
    let mut text = format!(
        "global: {{ scrape_interval: {INTERVAL}, scrape_timeout: {INTERVAL}, evaluation_interval: {INTERVAL} }}\n\
         rule_files: [\"{}/*.yml\"]\nscrape_configs:\n",
        rules.display()
    );
    for (name, targets) in jobs {
        let targets: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        let targets = targets.join(", ");
        text += &format!("  - {{ job_name: {name}, static_configs: [{{ targets: [{targets}] }}] }}\n");
    }
    text
}
