// SPDX-License-Identifier: Apache-2.0
//! A server that answers as a test wants it to: well, wrongly, by half, or never.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What came.
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What goes back.
pub(crate) enum Answer {
    /// A whole answer: status, headers, body.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Fewer bytes than were promised.
    Half(Vec<u8>),
    /// The bytes from here to there, as `206 Partial Content` where they do not begin at the start, and then the connection breaks.
    Broken(Vec<u8>, Range<usize>),
    /// One byte after the other, forever.
    Drip,
    /// Bytes without end.
    Flood,
    /// Nothing.
    Silence,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Whole(200, Vec::new(), body.into())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Whole(status, Vec::new(), Vec::new())
    }
}

/// The server. Its threads end with the test.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves on a port of its own.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let (asked, answer) = (Arc::clone(&server.asked), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &asked, answer.as_ref()));
            }
        });
        server
    }

    /// A reference to something in a repository there.
    pub(crate) fn reference(&self, rest: &str) -> wire::Reference {
        format!("{}/{rest}", self.address).parse().unwrap()
    }

    /// What was asked so far, each as its method and path.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, asked: &Mutex<Vec<String>>, answer: &dyn Fn(&Request) -> Answer) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        asked.lock().unwrap().push(format!("{} {}", request.method, request.path));
        let is_head = request.method == "HEAD";
        // Whoever asked may have given up.
        if write(reader.get_mut(), answer(&request), is_head).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines.first()?.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
    let headers: BTreeMap<_, _> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

fn write(stream: &mut TcpStream, answer: Answer, is_head: bool) -> std::io::Result<()> {
    let open = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    match answer {
        Answer::Whole(status, headers, body) => {
            write!(stream, "HTTP/1.1 {status} So\r\nContent-Length: {}\r\n", body.len())?;
            for (name, value) in headers {
                write!(stream, "{name}: {value}\r\n")?;
            }
            stream.write_all(b"\r\n")?;
            if is_head { Ok(()) } else { stream.write_all(&body) }
        }
        Answer::Half(body) => {
            write!(stream, "{open}Content-Length: {}\r\n\r\n", body.len() * 2)?;
            stream.write_all(&body)?;
            stream.shutdown(std::net::Shutdown::Both)
        }
        Answer::Broken(body, Range { start, end }) => {
            let (status, left, last) =
                (if start > 0 { 206 } else { 200 }, body.len() - start, body.len() - 1);
            write!(stream, "HTTP/1.1 {status} So\r\nConnection: close\r\nContent-Length: {left}\r\n")?;
            write!(stream, "Content-Range: bytes {start}-{last}/{}\r\n\r\n", body.len())?;
            stream.write_all(&body[start..end.min(body.len())])?;
            stream.shutdown(std::net::Shutdown::Both)
        }
        Answer::Drip => {
            write!(stream, "{open}\r\n")?;
            loop {
                stream.write_all(b" ")?;
                thread::park_timeout(Duration::from_millis(20));
            }
        }
        Answer::Flood => {
            write!(stream, "{open}\r\n")?;
            loop {
                stream.write_all(&[b' '; 4096])?;
            }
        }
        Answer::Silence => {
            // Until the other side gives up.
            stream.read(&mut [0]).map(drop)
        }
    }
}
