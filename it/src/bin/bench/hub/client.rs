// SPDX-License-Identifier: Apache-2.0
//! A client of HTTP/1.1 that costs little, so that what is measured is the server: connections that stay, a thread for each.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

/// How many connections ask at a time.
const CONNECTIONS: usize = 16;
/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that stays.
pub(super) struct Connection {
    address: String,
    /// A line of each request's head.
    credentials: String,
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The value of `Location`.
    pub(super) location: Option<String>,
    /// How many bytes the body had.
    pub(super) length: usize,
}

/// A request with a body, or none.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) media_type: &'a str,
    pub(super) body: &'a [u8],
}

impl Connection {
    pub(super) fn open(address: &str, credentials: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let credentials = credentials.to_owned();
        Ok(Self { address: address.to_owned(), credentials, stream, read: vec![0; 64 * 1024] })
    }

    pub(super) fn get(&mut self, path: &str) -> Result<Answer> {
        self.ask(&Request { method: "GET", path, media_type: "", body: &[] })
    }

    /// Asks, and reads all of the answer.
    pub(super) fn ask(&mut self, request: &Request<'_>) -> Result<Answer> {
        let Request { method, path, media_type, body } = request;
        // Debian's registry gives a manifest to those only who say that they know its type.
        let accept = "application/vnd.oci.image.manifest.v1+json, */*";
        let Self { address, credentials, .. } = self;
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n{credentials}");
        if *method != "GET" {
            let length = body.len();
            head = format!("{head}Content-Type: {media_type}\r\nContent-Length: {length}\r\n");
        }
        head.push_str("\r\n");
        let mut sent = head.into_bytes();
        // Small requests are one packet.
        if body.len() <= 64 * 1024 {
            sent.extend_from_slice(body);
            self.stream.write_all(&sent)?;
        } else {
            self.stream.write_all(&sent)?;
            self.stream.write_all(body)?;
        }
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut filled = 0;
        let end = loop {
            let count = self.stream.read(&mut self.read[filled..])?;
            ensure!(count > 0, "the server closed the connection");
            filled += count;
            if let Some(end) = self.read[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            ensure!(filled < self.read.len(), "the head of an answer is too long");
        };
        let head = std::str::from_utf8(&self.read[..end])?;
        let field = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(':'));
            let mut found = lines.filter(|(field, _)| field.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.trim().to_owned())
        };
        let status = head.get(9..12).context("no status")?.parse()?;
        let length = field("content-length").map_or(Ok(0), |length| length.parse())?;
        let location = field("location");
        ensure!(field("transfer-encoding").is_none(), "an answer in chunks has no length to wait for");
        let mut missing = length - (filled - end - 4);
        while missing > 0 {
            let count = self.stream.read(&mut self.read)?;
            ensure!(count > 0, "the server closed the connection in the middle of an answer");
            missing -= count;
        }
        Ok(Answer { status, location, length })
    }

    /// Uploads a blob in one piece, as clients do who do not ask before.
    pub(super) fn push_blob(&mut self, repository: &str, digest: &str, bytes: &[u8]) -> Result<()> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let begun = self.ask(&Request { method: "POST", path: &path, media_type: "", body: &[] })?;
        let Some(location) = begun.location.filter(|_| begun.status == 202) else {
            bail!("POST {path}: {}", begun.status);
        };
        let path = match location.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]))
        {
            Some(path) => path.to_owned(),
            None => location,
        };
        let path = format!("{path}{}digest={digest}", if path.contains('?') { '&' } else { '?' });
        let media_type = "application/octet-stream";
        let ended = self.ask(&Request { method: "PUT", path: &path, media_type, body: bytes })?;
        ensure!(ended.status == 201, "PUT {path}: {}", ended.status);
        Ok(())
    }

    pub(super) fn push_manifest(&mut self, repository: &str, tag: &str, body: &[u8]) -> Result<()> {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let ended = self.ask(&Request { method: "PUT", path: &path, media_type, body })?;
        ensure!(ended.status == 201, "PUT {path}: {}", ended.status);
        Ok(())
    }
}

/// How often something is done in a second, by so many connections at a time that one processor, the last, is busy with
/// asking. `what` is given a connection, the number of that connection, and how often it was called for it.
pub(super) fn rate(
    address: &str,
    credentials: &str,
    time: Duration,
    what: &(impl Fn(&mut Connection, usize, usize) -> Result<()> + Sync),
) -> Result<f64> {
    let ready = Barrier::new(CONNECTIONS);
    let work = |number: usize| {
        let opened = on_last_processor().and_then(|()| Connection::open(address, credentials));
        // Whoever failed must not let the others wait.
        ready.wait();
        let (mut connection, begin, mut count) = (opened?, Instant::now(), 0);
        while begin.elapsed() < time {
            what(&mut connection, number, count)?;
            count += 1;
        }
        Ok(f64::from(u32::try_from(count)?) / begin.elapsed().as_secs_f64())
    };
    let work = &work;
    let counts: Vec<Result<f64>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|number| scope.spawn(move || work(number))).collect();
        let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
        joined.map(|result| result.unwrap_or_else(|_panic| bail!("a client panicked"))).collect()
    });
    counts.into_iter().sum()
}

/// Keeps this thread on the last processor, which servers do not get.
pub(super) fn on_last_processor() -> Result<()> {
    let processors = thread::available_parallelism()?.get();
    let mut last = CpuSet::new();
    last.set(processors - 1);
    Ok(sched_setaffinity(None, &last)?)
}
