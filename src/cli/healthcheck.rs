//! `keystile healthcheck [--url URL]`: asks a running process whether it wants requests, for supervisors of containers,
//! whose images have no other program to ask with.
//!
//! Promises an answer within [`TIMEOUT`]. Never follows a redirect and never goes through a proxy: what answers is what
//! was asked.

use std::time::Duration;

use anyhow::{anyhow, bail};

use super::table::visible;

/// Longest wait: below what supervisors allow a check, so that what is wrong is said.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Most of an answer that is shown.
const SHOWN_BYTES_MAX: u64 = 1024;

/// Asks `url`; nothing is said where it answers 200.
///
/// # Errors
/// Where it answers anything else, or not in time.
pub(super) fn run(url: &str) -> anyhow::Result<()> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .build()
        .new_agent();
    let asked = agent.get(url).header("connection", "close").call();
    let mut answer = asked.map_err(|error| anyhow!("{} does not answer ({error})", visible(url)))?;
    if answer.status() != http::StatusCode::OK {
        let body = answer.body_mut().with_config().limit(SHOWN_BYTES_MAX).read_to_string();
        let said = visible(body.unwrap_or_default().trim());
        bail!("{} answers {}: {said}", visible(url), answer.status().as_u16());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Asks a server that answers one request with `answer`.
    fn asked(answer: &'static str) -> anyhow::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let done = run(&url);
        server.join().unwrap();
        done
    }

    #[test]
    fn only_200_is_healthy_and_the_reason_is_said_on_one_line() {
        asked("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        let error = asked("HTTP/1.1 503 no\r\ncontent-length: 24\r\n\r\n{\"reasons\":[\"draining\"]}\n");
        let said = error.unwrap_err().to_string();
        assert!(said.ends_with("answers 503: {\"reasons\":[\"draining\"]}"), "{said}");
        let moved = asked("HTTP/1.1 302 moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
        assert!(moved.unwrap_err().to_string().contains("answers 302"));
    }

    #[test]
    fn a_process_that_is_not_there_is_said_to_be_silent() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let said = run(&format!("http://{free}/readyz")).unwrap_err().to_string();
        assert!(said.contains("does not answer"), "{said}");
    }
}
