//! The management API as the commands speak to it: one connection, one token, errors as one line that says what to do.
//!
//! Promises that the token goes to the given address only, and that an answer's text is made harmless before it
//! reaches a terminal. Never retries: a change may have been made.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::Value;
use zeroize::Zeroizing;

use super::table::visible;

/// Longest wait for an answer: a deletion waits a few seconds for gateways at most.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// Records asked for at a time.
const PAGE: &str = "limit=200";

/// Where the management API is and how to answer.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// Address of the console.
    #[arg(long, env = "KEYSTILE_URL", default_value = "http://127.0.0.1:8081", global = true)]
    url: String,
    /// File that holds the management token; the variable KEYSTILE_TOKEN, unless set.
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// Print the API's JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,
}

/// A client of the management API.
pub(super) struct Client {
    agent: ureq::Agent,
    base: String,
    authorization: Zeroizing<String>,
    json: bool,
}

/// An answer, with the tag of the state it shows.
pub(super) struct Answer {
    pub(super) body: Value,
    pub(super) tag: Option<String>,
}

impl Client {
    /// A client for `connection`.
    pub(super) fn new(connection: &Connection) -> anyhow::Result<Client> {
        let token = match &connection.token_file {
            Some(file) => {
                let read = std::fs::read_to_string(file);
                Zeroizing::new(
                    read.with_context(|| format!("cannot read the token from {}", file.display()))?,
                )
            }
            None => Zeroizing::new(std::env::var("KEYSTILE_TOKEN").map_err(|_| {
                anyhow!(
                    "no management token: set KEYSTILE_TOKEN or --token-file; \
                     `keystile operator token --config FILE` makes one"
                )
            })?),
        };
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("the management token is not one: expected `ksm_…` and nothing else");
        }
        let base = connection.url.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            bail!("the address {} is not one: expected http://HOST:PORT or https://HOST", visible(&base));
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A redirect or a proxy from the environment would take the token elsewhere.
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .build()
            .new_agent();
        let authorization = Zeroizing::new(format!("Bearer {token}"));
        Ok(Client { agent, base, authorization, json: connection.json })
    }

    /// Whether the API's JSON is wanted.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    pub(super) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send("GET", path, None, None)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send("POST", path, Some(body), None)
    }

    pub(super) fn patch(&self, path: &str, body: &Value, tag: Option<&str>) -> anyhow::Result<Answer> {
        self.send("PATCH", path, Some(body), tag)
    }

    pub(super) fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send("DELETE", path, None, None)
    }

    /// Every page of a list as one answer, with what the first page says besides.
    pub(super) fn list(&self, path: &str) -> anyhow::Result<Value> {
        let mut whole = self.get(&format!("{path}?{PAGE}"))?.body;
        while let Some(next) = whole.get("next").and_then(Value::as_str).map(str::to_owned) {
            let mut page = self.get(&format!("{path}?{PAGE}&cursor={}", segment(&next)))?.body;
            let more = page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
            if let (Some(items), Some(more)) = (whole.get_mut("items").and_then(Value::as_array_mut), more) {
                items.extend(more);
            }
            let after = page.get("next").cloned().unwrap_or_default();
            if after.as_str() == Some(&next) {
                bail!("the console repeats a page of its list");
            }
            if let Some(place) = whole.get_mut("next") {
                *place = after;
            }
        }
        Ok(whole)
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        tag: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.base))
            .header("authorization", self.authorization.as_str())
            .header("accept", "application/json");
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        let answered = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                self.agent.run(request.body(serde_json::to_vec(body)?)?)
            }
            None => self.agent.run(request.body(())?),
        };
        let mut response = answered.map_err(|error| {
            let base = visible(&self.base);
            anyhow!("cannot reach the console at {base} ({error}); is it running? set KEYSTILE_URL or --url")
        })?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|field| field.to_str().ok());
        let tag = header("etag").map(str::to_owned);
        let read = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let bytes =
            read.context("the console's answer broke off; read the record before repeating a change")?;
        // What is gone leaves no body behind.
        let body = if status == 204 { Some(Value::Null) } else { serde_json::from_slice(&bytes).ok() };
        match (status, body) {
            (200..=299, Some(body)) => Ok(Answer { body, tag }),
            (200..=299, None) => {
                bail!("{} does not answer like a keystile console; check --url", visible(&self.base))
            }
            (_, body) => Err(refusal(status, body.as_ref())),
        }
    }
}

/// A problem document as one line.
fn refusal(status: u16, problem: Option<&Value>) -> anyhow::Error {
    let text = |name: &str| problem.and_then(|document| document.get(name)).and_then(Value::as_str);
    let said = text("detail").or_else(|| text("title")).unwrap_or("no reason given");
    let fields: Vec<String> = problem
        .and_then(|document| document.get("errors"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|error| format!("{}: {}", string(error, "pointer"), string(error, "detail")))
        .collect();
    let said = match status {
        401 => "the console does not know this management token; \
                `keystile operator token --config FILE` makes one"
            .to_owned(),
        404 => "no such record; check --org and the name or id".to_owned(),
        _ if fields.is_empty() => said.to_owned(),
        _ => fields.join("; "),
    };
    anyhow!("{} (status {status})", visible(&said))
}

/// A text field of a record; empty where it is absent or null.
pub(super) fn string(record: &Value, name: &str) -> String {
    match record.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The items of a list.
pub(super) fn items(list: &Value) -> &[Value] {
    list.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A name as one segment of a path (RFC 3986 section 2.3): whatever it holds, it stays that segment.
pub(super) fn segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && !name.starts_with('.'))
        {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Prints `text` on stdout. A reader that has read enough is no failure.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(()),
    }
}

/// Prints an answer as JSON, one document.
pub(super) fn print_json(answer: &Value) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(answer)?))
}

/// Says something on stderr that is no result.
pub(super) fn say(text: &str) {
    // Where nobody listens there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment_of_the_path() {
        assert_eq!(segment("acme-1"), "acme-1");
        assert_eq!(segment("a/b?c#d"), "a%2Fb%3Fc%23d");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn a_refusal_is_one_harmless_line_that_names_the_fields() {
        let problem = serde_json::json!({"title": "x", "detail": "some fields are not valid",
            "errors": [{"pointer": "/name", "detail": "too\n\u{1b}[2J long"}]});
        let line = refusal(422, Some(&problem)).to_string();
        assert_eq!(line, "/name: too\\u{a}\\u{1b}[2J long (status 422)");
    }
}
