// SPDX-License-Identifier: Apache-2.0
//! HTTP as it is on the wire, so that stories can say what no library would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::Side;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A request, which goes over a connection of its own.
#[derive(Debug, Clone)]
pub struct Ask {
    address: SocketAddr,
    namespace: Option<String>,
    head: String,
    body: Option<Vec<u8>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// As it was sent: 200.
    pub status: u16,
    /// Names in small letters, and values, in their order.
    pub headers: Vec<(String, String)>,
    /// As it was before it was cut into chunks.
    pub body: Vec<u8>,
}

impl Ask {
    pub(super) fn new(address: SocketAddr, namespace: Option<String>, method: &str, path: &str) -> Self {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        Self { address, namespace, head, body: None }
    }

    /// A request to whatever answers there.
    pub fn to(address: SocketAddr, method: &str, path: &str) -> Self {
        Self::new(address, None, method, path)
    }

    /// Another request to the same hub.
    #[must_use]
    pub fn again(&self, method: &str, path: &str) -> Self {
        Self::new(self.address, self.namespace.clone(), method, path)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.extend([name, ": ", value, "\r\n"]);
        self
    }

    /// Adds a body, and its length.
    #[must_use]
    pub fn body(self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let mut ask = self.header("Content-Length", &bytes.len().to_string());
        ask.body = Some(bytes);
        ask
    }

    /// Adds a body in chunks, whose length is not told before.
    #[must_use]
    pub fn chunked(self, chunks: &[&[u8]]) -> Self {
        let mut ask = self.header("Transfer-Encoding", "chunked");
        let mut body = Vec::new();
        for chunk in chunks {
            body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            body.extend_from_slice(chunk);
            body.extend(b"\r\n");
        }
        body.extend(b"0\r\n\r\n");
        ask.body = Some(body);
        ask
    }

    /// Adds a body of which less is sent than was announced.
    #[must_use]
    pub fn broken_off(self, announced: usize, sent: impl Into<Vec<u8>>) -> Self {
        let mut ask = self.header("Content-Length", &announced.to_string());
        ask.body = Some(sent.into());
        ask
    }

    /// Sends it and waits for the answer.
    ///
    /// # Errors
    /// When nobody answers, or it is no HTTP.
    pub fn send(self) -> Result<Reply> {
        self.exchange(|mut stream| {
            let mut answer = Vec::new();
            // A server that does not want the rest of a body hangs up when it has answered.
            let end = stream.read_to_end(&mut answer);
            if answer.is_empty() {
                end?;
            }
            Ok(answer)
        })
        .and_then(|answer| Reply::parse(&answer).context("the answer is no HTTP"))
    }

    /// Sends it and hangs up.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn hang_up(self) -> Result<()> {
        self.exchange(|_| Ok(()))
    }

    /// Sends it and keeps the connection, over which nothing more is said.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn hold(self) -> Result<TcpStream> {
        self.exchange(Ok)
    }

    fn exchange<T: Send + 'static>(
        self,
        then: impl FnOnce(TcpStream) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let Self { address, namespace, head, body } = self;
        let speak = move || {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.write_all(format!("{head}\r\n").as_bytes())?;
            // A server may answer, and hang up, before it has heard all.
            drop(stream.write_all(&body.unwrap_or_default()));
            then(stream)
        };
        match namespace {
            Some(namespace) => Side::enter(&namespace, speak)?,
            None => speak(),
        }
    }
}

impl Reply {
    /// The first header of a name, in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |(have, _): &&(String, String)| have == name;
        self.headers.iter().find(named).map(|(_, value)| value.as_str())
    }

    /// The body, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("`{}` is no JSON", self.text()))
    }

    /// The code of the first error in an answer of a registry: `BLOB_UNKNOWN`.
    pub fn code(&self) -> String {
        let code = self.json().ok().and_then(|body| Some(body["errors"][0]["code"].as_str()?.to_owned()));
        code.unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.map(header).collect::<Option<Vec<_>>>()?;
        let mut reply = Self { status, headers, body: bytes[end + 4..].to_vec() };
        if status == 100 {
            return Self::parse(&reply.body);
        }
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = joined(&reply.body)?;
        }
        Some(reply)
    }
}

/// What was cut into chunks.
fn joined(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let line = chunks.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&chunks[..line]).ok()?, 16).ok()?;
        chunks = &chunks[line + 2..];
        if length == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(chunks.get(..length)?);
        chunks = chunks.get(length + 2..)?;
    }
}
