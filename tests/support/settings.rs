//! The configuration file of a test's gateway: sound defaults on free ports, and whatever the test says besides.
//!
//! Written as an operator writes it, so that tests also exercise the reading of it.

use std::path::Path;

/// Lines of YAML by section.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    gateway: Vec<String>,
    upstreams: Vec<String>,
    routes: Vec<String>,
    key_limits: String,
    keys_per_organization: u32,
    guard: String,
    console: String,
    console_more: String,
    ops: String,
    database: Option<String>,
    sections: Vec<String>,
}

/// High enough never to be met by accident.
const NO_LIMITS: &str =
    "{ rate: { requests: 1000000, per: second, burst: 1000000 }, concurrency: 10000, quotas: [] }";

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            gateway: vec![String::from("listen: [{ address: 127.0.0.1:0 }]"), String::from("workers: 2")],
            upstreams: Vec::new(),
            routes: Vec::new(),
            key_limits: NO_LIMITS.to_owned(),
            keys_per_organization: 10,
            guard: String::from("off"),
            console: String::from("127.0.0.1:0"),
            console_more: String::new(),
            ops: String::from("127.0.0.1:0"),
            database: None,
            sections: Vec::new(),
        }
    }
}

impl Settings {
    /// A line of `gateway`, such as `head_timeout: 1s`. Replaces an earlier one of the same name.
    pub(crate) fn gateway(&mut self, line: &str) -> &mut Settings {
        let name = line.split(':').next().unwrap_or_default().to_owned();
        self.gateway.retain(|earlier| earlier.split(':').next() != Some(name.as_str()));
        self.gateway.push(line.to_owned());
        self
    }

    /// An upstream with more settings than its endpoints, such as `timeouts: { idle: 1s }`.
    pub(crate) fn upstream(&mut self, name: &str, endpoints: &[String], more: &str) -> &mut Settings {
        let more = if more.is_empty() { String::new() } else { format!(", {more}") };
        self.upstreams.push(format!("{name}: {{ endpoints: [{}]{more} }}", endpoints.join(", ")));
        self
    }

    /// A route, without its braces.
    pub(crate) fn route(&mut self, inner: &str) -> &mut Settings {
        self.routes.push(format!("- {{ {inner} }}"));
        self
    }

    /// The configuration's default limits of keys.
    pub(crate) fn key_limits(&mut self, limits: &str) -> &mut Settings {
        self.key_limits = limits.to_owned();
        self
    }

    pub(crate) fn keys_per_organization(&mut self, cap: u32) -> &mut Settings {
        self.keys_per_organization = cap;
        self
    }

    /// `failures_per_minute`: a number or `off`.
    pub(crate) fn guard(&mut self, failures_per_minute: &str) -> &mut Settings {
        self.guard = failures_per_minute.to_owned();
        self
    }

    /// Where the console listens.
    pub(crate) fn console(&mut self, address: &str) -> &mut Settings {
        self.console = address.to_owned();
        self
    }

    /// Another setting of the console, such as `trusted_proxies: [10.0.0.0/8]`.
    pub(crate) fn console_line(&mut self, line: &str) -> &mut Settings {
        self.console_more.push_str(&format!(", {line}"));
        self
    }

    /// Where the ops listener listens.
    pub(crate) fn ops_listener(&mut self, address: &str) -> &mut Settings {
        self.ops = address.to_owned();
        self
    }

    /// Another database than the one in the test's folder.
    pub(crate) fn database(&mut self, url: &str) -> &mut Settings {
        self.database = Some(url.to_owned());
        self
    }

    /// Another top-level line, such as `access_log: stdout`.
    pub(crate) fn section(&mut self, line: &str) -> &mut Settings {
        self.sections.push(line.to_owned());
        self
    }

    /// The file, with its database in `folder`.
    pub(crate) fn yaml(&self, folder: &Path) -> String {
        let own = || format!("sqlite:{}/keystile.db", folder.display());
        let database = self.database.clone().unwrap_or_else(own);
        let block = |title: &str, lines: &[String]| {
            if lines.is_empty() { String::new() } else { format!("{title}:\n  {}\n", lines.join("\n  ")) }
        };
        [
            block("gateway", &self.gateway),
            format!("console: {{ listen: {{ address: {} }}{} }}\n", self.console, self.console_more),
            format!("ops: {{ listen: {{ address: {} }} }}\n", self.ops),
            format!("database: {database}\n"),
            format!(
                "limits:\n  keys_per_organization: {}\n  key: {}\n",
                self.keys_per_organization, self.key_limits
            ),
            format!("guard: {{ failures_per_minute: {} }}\n", self.guard),
            block("upstreams", &self.upstreams),
            block("routes", &self.routes),
            self.sections.iter().map(|line| format!("{line}\n")).collect(),
        ]
        .concat()
    }
}
