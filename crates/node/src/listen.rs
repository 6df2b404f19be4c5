// SPDX-License-Identifier: Apache-2.0
//! The sockets of the API: the one of this machine, and TCP with TLS.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use door::{Guest, Listen, TlsStream};
use rustix::fs::{Gid, chown};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

use crate::access::{Access, Certificate, Peer, read_certificate};

/// What connections are served with.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) router: Router,
    pub(crate) access: Arc<Access>,
    /// Becomes true when the daemon is to end.
    pub(crate) end: watch::Receiver<bool>,
}

/// What is listened at.
pub(crate) enum Listener {
    /// The socket of this machine.
    Local(UnixListener),
    /// TCP, with TLS.
    Remote(TcpListener),
    /// TCP without, for what l3afd v1 serves so.
    Open(TcpListener),
}

/// A connection that came in.
pub(crate) enum Accepted {
    Local(UnixStream),
    Remote(TcpStream, SocketAddr),
    Open(TcpStream, SocketAddr),
}

/// Takes a socket from whoever held it.
pub(crate) fn adopt(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Takes the socket over from a daemon that is gone, and never from one that answers. Where a group is named its members may
/// connect as well.
pub(crate) fn bind(socket: &Path, group: Option<&str>) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon answers there"));
    }
    if let Some(folder) = socket.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) | Ok(()) => {}
    }
    let group = group.map(number_of).transpose()?;
    let listener = UnixListener::bind(socket)?;
    // Whoever may connect may ask; what for, policies say.
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    fs::set_permissions(socket, fs::Permissions::from_mode(mode))?;
    if let Some(group) = group {
        chown(socket, None, Some(group))?;
    }
    Ok(listener)
}

/// The number of a group (group(5)).
fn number_of(group: &str) -> io::Result<Gid> {
    let groups = fs::read_to_string("/etc/group")?;
    let found = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut found = found.filter(|fields| fields.first() == Some(&group));
    let number = found.next().and_then(|fields| fields.get(2)?.parse().ok()).map(Gid::from_raw);
    let missing =
        || io::Error::new(io::ErrorKind::NotFound, format!("there is no group `{group}` (`socket_group`)"));
    number.ok_or_else(missing)
}

impl Listen for Listener {
    type Accepted = Accepted;

    async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Local(listener) => Accepted::Local(listener.accept().await?.0),
            Self::Remote(listener) => {
                let (stream, address) = listener.accept().await?;
                Accepted::Remote(stream, address)
            }
            Self::Open(listener) => {
                let (stream, address) = listener.accept().await?;
                Accepted::Open(stream, address)
            }
        })
    }
}

impl Served {
    /// Accepts one connection after the other, and serves each beside the others, until the daemon ends.
    pub(crate) async fn serve(self, listener: Listener) {
        let (connections, end) = (self.access.limits().connections, self.end.clone());
        door::admit(listener, connections, end, |accepted, guest| self.clone().meet(accepted, guest)).await;
    }

    /// Finds out who is at the other end, and answers.
    async fn meet(self, accepted: Accepted, guest: Guest) {
        match accepted {
            Accepted::Local(stream) => match stream.peer_cred() {
                Ok(peer) => {
                    self.answer(stream, Peer::Local { uid: peer.uid(), gid: peer.gid() }, guest).await;
                }
                Err(error) => tracing::warn!("the kernel does not say who connected: {error}"),
            },
            Accepted::Open(stream, address) => self.answer(stream, Peer::Open { address }, guest).await,
            Accepted::Remote(stream, address) => match self.shake(stream).await {
                Ok((stream, certificate)) => {
                    self.answer(stream, Peer::Remote { address, certificate }, guest).await;
                }
                Err(error) => tracing::debug!(%address, "no connection was made: {error}"),
            },
        }
    }

    /// Makes a connection with TLS.
    async fn shake(&self, stream: TcpStream) -> io::Result<(TlsStream, Option<Arc<Certificate>>)> {
        let tls = self.access.tls().ok_or(io::ErrorKind::Unsupported)?;
        let patience = Duration::from_secs(self.access.limits().handshake_seconds.get().into());
        let stream = door::shake(stream, tls, patience).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown.map(|shown| read_certificate(shown)).transpose().map_err(io::Error::other)?;
        Ok((stream, certificate.map(Arc::new)))
    }

    /// Answers the calls of one connection.
    async fn answer(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        guest: Guest,
    ) {
        let patience = Duration::from_secs(self.access.limits().read_seconds.get().into());
        guest.answer(stream, peer, self.router, patience).await;
    }
}
