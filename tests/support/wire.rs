//! HTTP/1.1 as bytes on a socket: heads, framed bodies, closes. Both the test client and the fault upstream read with it.
//!
//! Promises to show what was on the wire, order and spelling kept. Never repairs anything.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::WATCHDOG;

/// Names, as spelled, and values, in order.
pub(crate) type Fields = Vec<(String, String)>;

/// The head of a request or response.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Request or status line.
    pub(crate) start_line: String,
    pub(crate) fields: Fields,
    /// All bytes up to and with the empty line.
    pub(crate) raw: Vec<u8>,
}

impl Head {
    fn parse(raw: Vec<u8>) -> Head {
        let text = String::from_utf8_lossy(&raw).into_owned();
        let mut lines = text.split("\r\n");
        let start_line = lines.next().unwrap_or_default().to_owned();
        let fields = lines.filter(|line| !line.is_empty()).map(split_field).collect();
        Head { start_line, fields, raw }
    }

    /// The only value of a field, if there is one.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(
            all.len() < 2,
            "{name} stands {} times in:\n{}",
            all.len(),
            String::from_utf8_lossy(&self.raw)
        );
        all.first().copied()
    }

    /// Every value of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// A word of the start line.
    pub(crate) fn word(&self, at: usize) -> &str {
        self.start_line.split(' ').nth(at).unwrap_or_default()
    }

    /// How the body is framed, apart from what method and status say.
    pub(crate) fn framing(&self, otherwise: Framing) -> Framing {
        if self.field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return Framing::Chunked;
        }
        match self.field("content-length") {
            Some(length) => Framing::Length(length.parse().expect("a content-length of digits")),
            None => otherwise,
        }
    }
}

fn split_field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_owned(), value.trim().to_owned())
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Nothing,
    /// After so many bytes.
    Length(usize),
    /// With the last chunk.
    Chunked,
    /// When the connection is closed.
    UntilClose,
}

/// A socket and what was read ahead from it.
pub(crate) struct Wire {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        stream.set_write_timeout(Some(WATCHDOG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire { stream, ahead: Vec::new() }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Says that nothing more will be sent, and keeps reading.
    pub(crate) fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes with a reset instead of an orderly end.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// The next head; `None` where the connection was closed before its first byte.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(at) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                return Ok(Some(Head::parse(self.take(at + 4))));
            }
            if self.read_more()? == 0 {
                return if self.ahead.is_empty() { Ok(None) } else { Err(cut_short("a head", &self.ahead)) };
            }
        }
    }

    /// Whatever comes next; empty at the end of the connection.
    pub(crate) fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.ahead.is_empty() {
            self.read_more()?;
        }
        Ok(std::mem::take(&mut self.ahead))
    }

    pub(crate) fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < length {
            if self.read_more()? == 0 {
                return Err(cut_short("a body", &self.ahead));
            }
        }
        Ok(self.take(length))
    }

    /// All that comes until the connection ends. A reset is an error, not an end.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.read_more()? > 0 {}
        Ok(std::mem::take(&mut self.ahead))
    }

    /// The next chunk of a chunked body; empty for the last, whose trailers come next.
    pub(crate) fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let size_line = self.line()?;
        let size = size_line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("chunk size {size_line:?}")))?;
        if size == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.exactly(size)?;
        let end = self.exactly(2)?;
        if end == b"\r\n" {
            Ok(bytes)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "no line end after a chunk"))
        }
    }

    /// The trailers after the last chunk.
    pub(crate) fn trailers(&mut self) -> io::Result<Fields> {
        let mut trailers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(trailers);
            }
            trailers.push(split_field(&line));
        }
    }

    /// A whole body, and the trailers after it.
    pub(crate) fn body(&mut self, framing: Framing) -> io::Result<(Vec<u8>, Fields)> {
        match framing {
            Framing::Nothing => Ok((Vec::new(), Vec::new())),
            Framing::Length(length) => Ok((self.exactly(length)?, Vec::new())),
            Framing::UntilClose => Ok((self.rest()?, Vec::new())),
            Framing::Chunked => {
                let mut body = Vec::new();
                loop {
                    let chunk = self.chunk()?;
                    if chunk.is_empty() {
                        return Ok((body, self.trailers()?));
                    }
                    body.extend(chunk);
                }
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.ahead.windows(2).position(|window| window == b"\r\n") {
                let line = self.take(at + 2);
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if self.read_more()? == 0 {
                return Err(cut_short("a line", &self.ahead));
            }
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let left = self.ahead.split_off(length);
        std::mem::replace(&mut self.ahead, left)
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let read = self.stream.read(&mut buffer)?;
        self.ahead.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

fn cut_short(what: &str, so_far: &[u8]) -> io::Error {
    let shown = String::from_utf8_lossy(&so_far[..so_far.len().min(400)]).into_owned();
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("the connection ended within {what} after {shown:?}"),
    )
}
