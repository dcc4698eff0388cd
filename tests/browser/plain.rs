//! Plain HTTP to the console, without a browser: for answers whose status and fields matter.
//!
//! Follows nothing, keeps no cookies but those it was given, and shows the answer as it came.

use serde_json::{Value, json};

use crate::stage::PASSWORD;
use crate::support::WATCHDOG;

/// Somebody who sends requests, signed in or not.
pub(crate) struct Plain {
    agent: ureq::Agent,
    url: String,
    cookies: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Plain {
    pub(crate) fn new(url: &str) -> Plain {
        let settings = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(WATCHDOG))
            .build();
        Plain { agent: settings.into(), url: url.to_owned(), cookies: String::new() }
    }

    /// The same, with cookies from elsewhere.
    pub(crate) fn with_cookies(mut self, cookies: String) -> Plain {
        self.cookies = cookies;
        self
    }

    /// The same, signed in through the API.
    pub(crate) fn signed_in(self, email: &str) -> Plain {
        let answer = self.post_json("/api/v1/session", &json!({ "email": email, "password": PASSWORD }));
        assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.body);
        let set = answer.fields.iter().filter(|(name, _)| name == "set-cookie");
        let pairs = set.map(|(_, cookie)| cookie.split(';').next().unwrap_or_default().to_owned());
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        assert!(!cookies.is_empty(), "no cookie in {:?}", answer.fields);
        self.with_cookies(cookies)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "text/html", "")
    }

    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, "application/json", &body.to_string())
    }

    /// One request; a form, a document or nothing, as `kind` says.
    pub(crate) fn send(&self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("origin", &self.url)
            .header("content-type", kind);
        if !self.cookies.is_empty() {
            request = request.header("cookie", &self.cookies);
        }
        let answer = self.agent.run(request.body(body.to_owned()).unwrap());
        let mut answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let fields = answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = answer.body_mut().read_to_string().unwrap();
        Answer { status: answer.status().as_u16(), fields, body }
    }
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}
