//! The management API as a program uses it.
//!
//! Promises to show status and document as answered; the shorthands fail the test where the answer is not the usual one.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::WATCHDOG;

/// A client with a bearer token.
#[derive(Clone)]
pub(crate) struct Management {
    agent: ureq::Agent,
    url: String,
    token: String,
}

/// What the creation of a key gives.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// Path of the key below `/api/v1`.
    pub(crate) path: String,
}

impl Management {
    pub(crate) fn new(console: SocketAddr, token: String) -> Management {
        let settings = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(WATCHDOG))
            .build();
        Management { agent: settings.into(), url: format!("http://{console}"), token }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// One call; `Err` where no whole answer came (the process was killed, say).
    pub(crate) fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), ureq::Error> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.url))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        let text = body.map(Value::to_string).unwrap_or_default();
        let mut response = self.agent.run(request.body(text).unwrap())?;
        let answer = response.body_mut().read_to_string()?;
        Ok((response.status().as_u16(), serde_json::from_str(&answer).unwrap_or(Value::Null)))
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.expect(200, "GET", path, None)
    }

    pub(crate) fn expect(&self, status: u16, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (got, answer) = self.call(method, path, body);
        assert_eq!(got, status, "{method} {path}: {answer}");
        answer
    }

    pub(crate) fn organization(&self, slug: &str, more: Value) {
        let mut body = json!({"slug": slug, "name": slug});
        merge(&mut body, more);
        self.expect(201, "POST", "/organizations", Some(&body));
    }

    pub(crate) fn agent(&self, organization: &str, slug: &str) {
        let body = json!({"slug": slug, "name": slug});
        self.expect(201, "POST", &format!("/organizations/{organization}/agents"), Some(&body));
    }

    /// A key of the whole organization; `more` adds or replaces fields of the request.
    pub(crate) fn key(&self, organization: &str, more: Value) -> Key {
        let mut body = json!({"name": "test key", "scope": {"type": "organization"}});
        merge(&mut body, more);
        let created = self.expect(201, "POST", &format!("/organizations/{organization}/keys"), Some(&body));
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
        let id = text(&created["key"]["id"]);
        let path = format!("/organizations/{organization}/keys/{id}");
        Key { secret: text(&created["secret"]), id, path }
    }

    /// Changes a key, `If-Match` left out.
    pub(crate) fn change(&self, key: &Key, fields: Value) -> Value {
        self.expect(200, "PATCH", &key.path, Some(&fields))
    }

    pub(crate) fn delete(&self, key: &Key) -> Value {
        self.expect(200, "DELETE", &key.path, None)
    }

    pub(crate) fn usage(&self, key: &Key) -> Value {
        self.get(&format!("{}/usage", key.path))
    }
}

/// The scope of a key for one agent.
pub(crate) fn for_agent(slug: &str) -> Value {
    json!({"scope": {"type": "agent", "agent": slug}})
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}
