//! A client that sends exact bytes and shows exact answers.
//!
//! Promises that what it sends is what the test wrote. Never follows, retries or corrects.

use std::io;
use std::net::{SocketAddr, TcpStream};

use super::wire::{Framing, Head, Wire};

/// One connection to the gateway (or to the console or ops listener).
pub(crate) struct Client {
    pub(crate) wire: Wire,
}

/// A well-formed request to start from.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Request {
        let fields = vec![(String::from("host"), String::from("gateway.test"))];
        Request { method: method.to_owned(), target: target.to_owned(), fields, body: None }
    }

    pub(crate) fn get(target: &str) -> Request {
        Request::new("GET", target)
    }

    pub(crate) fn post(target: &str, body: impl AsRef<[u8]>) -> Request {
        Request { body: Some(body.as_ref().to_vec()), ..Request::new("POST", target) }
    }

    pub(crate) fn key(self, secret: &str) -> Request {
        self.field("x-api-key", secret)
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Request {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The head alone, for requests whose body the test sends itself.
    pub(crate) fn head_bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.fields {
            text += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = &self.body {
            text += &format!("content-length: {}\r\n", body.len());
        }
        (text + "\r\n").into_bytes()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head_bytes();
        bytes.extend(self.body.iter().flatten());
        bytes
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client { wire: Wire::new(TcpStream::connect(address).unwrap()) }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        self.wire.send(bytes).unwrap();
        self
    }

    /// Sends a request and reads its whole answer.
    pub(crate) fn exchange(&mut self, request: &Request) -> Response {
        self.send(request.bytes());
        self.response_to(&request.method)
    }

    /// The final answer to a request of `method`; informational ones before it are passed over.
    pub(crate) fn response_to(&mut self, method: &str) -> Response {
        self.try_response_to(method).unwrap_or_else(|error| panic!("no whole answer to {method}: {error}"))
    }

    pub(crate) fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// As [`Client::response_to`]; an error where the answer is not whole.
    pub(crate) fn try_response_to(&mut self, method: &str) -> io::Result<Response> {
        let head = loop {
            let head = self.try_head()?;
            if !(100..200).contains(&status_of(&head)) || status_of(&head) == 101 {
                break head;
            }
        };
        let status = status_of(&head);
        let framing = match (method, status) {
            ("HEAD", _) | (_, 101 | 204 | 304) => Framing::Nothing,
            _ => head.framing(Framing::UntilClose),
        };
        let (body, trailers) = self.wire.body(framing)?;
        Ok(Response { status, head, body, trailers })
    }

    /// The next head, informational or final.
    pub(crate) fn head(&mut self) -> Head {
        self.try_head().unwrap_or_else(|error| panic!("no head of an answer: {error}"))
    }

    fn try_head(&mut self) -> io::Result<Head> {
        let closed = || io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed instead");
        self.wire.head()?.ok_or_else(closed)
    }

    /// Waits for the other side to close, which it must do without sending anything more.
    pub(crate) fn expect_close(&mut self) {
        match self.wire.rest() {
            Ok(rest) => assert_eq!(String::from_utf8_lossy(&rest), "", "sent before closing"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}"),
        }
    }

    /// Waits for the end of the connection, whatever is still sent before it.
    pub(crate) fn expect_end(&mut self) {
        if let Err(error) = self.wire.rest() {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
        }
    }
}

/// The status of a response head.
pub(crate) fn status_of(head: &Head) -> u16 {
    assert!(head.start_line.starts_with("HTTP/1.1 "), "not a status line: {:?}", head.start_line);
    head.word(1).parse().expect("a status of three digits")
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// The public text of a refusal, its shape checked.
    pub(crate) fn refusal(&self) -> String {
        let json = self.json();
        assert_eq!(json["statusCode"], self.status, "{json}");
        assert_eq!(json["requestId"].as_str(), self.field("x-request-id"), "{json}");
        json["message"].as_str().unwrap_or_default().to_owned()
    }
}
