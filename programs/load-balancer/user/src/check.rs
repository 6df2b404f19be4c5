// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One check of one backend, at its own address and over the route that its packets take.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How a backend is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// It is well as long as there is a route.
    None,
    /// It takes a TCP connection at this port.
    Tcp(u16),
    /// It answers a GET of this path with a status from 200 to 399.
    Http(u16, String),
}

/// What a check found.
#[derive(Debug)]
pub(crate) struct Finding {
    /// The address of this host from which the backend is reached.
    pub(crate) source: io::Result<IpAddr>,
    /// Whether it is well.
    pub(crate) result: io::Result<()>,
}

/// Checks a backend. It takes no longer than the timeout, or little.
pub(crate) fn check(address: IpAddr, how: &Check, timeout: Duration) -> Finding {
    let source = source(address);
    let result = match (&source, how) {
        (Err(error), _) => Err(io::Error::new(error.kind(), "there is no route")),
        (Ok(_), Check::None) => nudge(address),
        (Ok(_), Check::Tcp(port)) => connect(address, *port, timeout).map(drop),
        (Ok(_), Check::Http(port, path)) => get(address, *port, path, timeout),
    };
    Finding { source, result }
}

/// "Discard" (RFC 863).
const DISCARD: u16 = 9;

fn outbox(address: IpAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect((address, DISCARD))?;
    Ok(socket)
}

/// The kernel's choice; nothing is sent.
fn source(address: IpAddr) -> io::Result<IpAddr> {
    Ok(outbox(address)?.local_addr()?.ip())
}

/// Has the kernel resolve the next hop, as other checks do by the way: packets in tunnels need it.
fn nudge(address: IpAddr) -> io::Result<()> {
    outbox(address)?.send(&[]).map(drop)
}

fn connect(address: IpAddr, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::new(address, port), timeout)
}

fn get(address: IpAddr, port: u16, path: &str, timeout: Duration) -> io::Result<()> {
    if !is_target(path) {
        let why = "`check_path` must begin with `/` and have no blanks";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let begin = Instant::now();
    let mut stream = connect(address, port, timeout)?;
    let place = SocketAddr::new(address, port);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: l3af-load-balancer\r\nConnection: close\r\n\r\n"
    );
    stream.set_write_timeout(Some(rest(begin, timeout)?))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    while status(&answer).is_none() {
        let mut piece = [0; STATUS_BYTES];
        stream.set_read_timeout(Some(rest(begin, timeout)?))?;
        let length = stream.read(&mut piece[answer.len()..])?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let begin = answer.len();
        answer.extend_from_slice(&piece[begin..begin + length]);
    }
    match status(&answer) {
        Some(Ok(200..=399)) => Ok(()),
        Some(Ok(status)) => Err(io::Error::other(format!("its status is {status}"))),
        Some(Err(())) | None => Err(io::Error::new(io::ErrorKind::InvalidData, "it answers no HTTP")),
    }
}

/// Whether it can stand in a request (RFC 9112, section 3.2.1), and ends no line of it.
fn is_target(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}

fn rest(begin: Instant, timeout: Duration) -> io::Result<Duration> {
    let rest = timeout.checked_sub(begin.elapsed()).filter(|rest| !rest.is_zero());
    rest.ok_or_else(|| io::ErrorKind::TimedOut.into())
}

/// How much of an answer is read: `HTTP/1.1 200` and what follows.
const STATUS_BYTES: usize = 13;

/// The status of an answer (RFC 9112, section 4); nothing while too little of it is there.
fn status(answer: &[u8]) -> Option<Result<u16, ()>> {
    let head: &[u8; STATUS_BYTES] = answer.get(..STATUS_BYTES)?.try_into().ok()?;
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9', b' ', a, b, c, b' ' | b'\r'] = head else {
        return Some(Err(()));
    };
    let digits = [a, b, c].map(|digit| char::from(*digit).to_digit(10));
    let [Some(a), Some(b), Some(c)] = digits else { return Some(Err(())) };
    Some(u16::try_from(a * 100 + b * 10 + c).map_err(drop))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// Somebody who takes one connection, reads a request and says something, in pieces.
    fn server(says: &'static [&'static str]) -> (IpAddr, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            drop(stream.read(&mut request));
            for piece in says {
                stream.write_all(piece.as_bytes()).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        });
        (address.ip(), address.port())
    }

    fn got(says: &'static [&'static str]) -> io::Result<()> {
        let (address, port) = server(says);
        check(address, &Check::Http(port, "/".to_owned()), TIMEOUT).result
    }

    #[test]
    fn answers_from_200_to_399_are_good() {
        assert!(got(&["HTTP/1.1 200 OK\r\n\r\n"]).is_ok());
        assert!(got(&["HTTP/1.0 39", "9 \r\n\r\n"]).is_ok());
        assert!(got(&["HTTP/1.1 204\r\n\r\n"]).is_ok());
        assert!(got(&["HTTP/1.1 400 Bad Request\r\n\r\n"]).is_err());
        assert!(got(&["HTTP/1.1 503 Service Unavailable\r\n\r\n"]).is_err());
    }

    #[test]
    fn a_path_that_would_end_the_request_is_not_asked_for() {
        for path in ["", "up", "/a b", "/\r\nHost: other", "/\u{fc}"] {
            let how = Check::Http(9, path.to_owned());
            let error = check(Ipv4Addr::LOCALHOST.into(), &how, TIMEOUT).result.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
    }

    #[test]
    fn what_is_no_http_is_bad() {
        assert!(got(&["SSH-2.0-OpenSSH_9.2\r\n"]).is_err());
        assert!(got(&["HTTP/1.1 20"]).is_err());
        assert!(got(&["HTTP/1.1 2x0 OK\r\n\r\n"]).is_err());
        assert!(got(&[]).is_err());
    }

    #[test]
    fn a_port_that_is_open_is_good_and_one_that_is_not_is_bad() {
        let (address, port) = server(&[]);
        let finding = check(address, &Check::Tcp(port), TIMEOUT);
        assert!(finding.result.is_ok());
        assert_eq!(finding.source.unwrap(), address);
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(check(address, &Check::Tcp(closed), TIMEOUT).result.is_err());
        assert!(check(address, &Check::None, TIMEOUT).result.is_ok());
    }

    #[test]
    fn who_says_nothing_has_failed_when_the_time_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let how = Check::Http(port, "/".to_owned());
        let timeout = Duration::from_millis(50);
        assert!(check(Ipv4Addr::LOCALHOST.into(), &how, timeout).result.is_err());
    }
}
