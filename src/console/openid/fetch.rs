//! Requests to the provider.
//!
//! Promises that they are encrypted unless they stay on this machine, follow no redirect, end in bounded time and
//! take bounded memory. Never retries: a code is good once.

use std::time::Duration;

use http::{Method, Request, Response, header};
use openidconnect::{HttpRequest, HttpResponse, SyncHttpClient};

/// Longest wait for a whole answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer, in bytes: the key sets of large providers have a tenth of it.
const ANSWER_BYTES_MAX: u64 = 256 << 10;

/// Asks the provider.
#[derive(Debug)]
pub(super) struct Fetch {
    agent: ureq::Agent,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// The provider's own documents name an address that must not be asked.
    #[error("{0} is neither https nor on this machine")]
    Insecure(String),
    /// The request failed.
    #[error("{0} does not answer")]
    Failed(String, #[source] Box<ureq::Error>),
    /// The answer is none that could be passed on.
    #[error("an answer that does not read")]
    Malformed(#[from] http::Error),
}

impl Fetch {
    pub(super) fn new() -> Fetch {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would take the client's secret elsewhere.
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(TIMEOUT))
            .build()
            .new_agent();
        Fetch { agent }
    }
}

impl SyncHttpClient for Fetch {
    type Error = Unanswered;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse, Unanswered> {
        let (parts, body) = request.into_parts();
        // Without its query: what an address is asked with is not for logs.
        let whom = format!("{}{}", parts.uri.authority().map_or("", |host| host.as_str()), parts.uri.path());
        let host = parts.uri.host().unwrap_or("");
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_here = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if !(parts.uri.scheme_str() == Some("https") || parts.uri.scheme_str() == Some("http") && is_here) {
            return Err(Unanswered::Insecure(whom));
        }
        let failed = |error| Unanswered::Failed(whom.clone(), Box::new(error));
        let answer = if parts.method == Method::POST {
            self.agent.run(Request::from_parts(parts, body))
        } else {
            self.agent.run(Request::from_parts(parts, ()))
        };
        let (parts, body) = answer.map_err(failed)?.into_parts();
        let body = body.into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(failed)?;
        let mut response = Response::builder().status(parts.status);
        if let Some(content) = parts.headers.get(header::CONTENT_TYPE) {
            response = response.header(header::CONTENT_TYPE, content);
        }
        Ok(response.body(body)?)
    }
}
