// SPDX-License-Identifier: Apache-2.0
//! The sockets of the daemon besides that of this machine, and what is served at which.

use std::io;
use std::net::{SocketAddr, TcpListener as Listening};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, JoinSet};
use wire::Document;
use wire::l3afd::Configured;

use super::api::{Old, configs, observability};
use super::metrics::Monitor;
use super::restart::Successor;
use super::{L3afdConfig, store};
use crate::access::Access;
use crate::listen::{Listener, Served};
use crate::server::{Shared, Unserved};
use crate::service::Inherited;
use crate::{Config, Fetcher};

/// All that is listened at.
pub(crate) struct Sockets {
    local: UnixListener,
    /// With TLS.
    remote: Option<TcpListener>,
    /// Without, for l3afd v1.
    open: Vec<(SocketAddr, TcpListener)>,
}

impl Sockets {
    /// Listens where the configuration says, at sockets that somebody left where there are any.
    pub(crate) fn bind(
        access: &Access,
        config: &Config,
        mut inherited: Inherited,
        local: UnixListener,
    ) -> Result<Self, Unserved> {
        let mut sockets = Self { local, remote: None, open: Vec::new() };
        let mut place = 1;
        let mut listen_at = |address: SocketAddr| {
            let listener = inherited.tcp(place).and_then(|left| listen(address, left));
            place += 1;
            listener.map_err(|source| Unserved { place: address.to_string(), source })
        };
        if let Some(remote) = access.remote() {
            sockets.remote = Some(listen_at(remote.listen)?);
            tracing::info!(address = %remote.listen, "serving at `{}` with TLS", remote.listen);
        }
        for address in config.l3afd.iter().flat_map(L3afdConfig::open) {
            sockets.open.push((address, listen_at(address)?));
            tracing::info!(%address, "serving at `{address}` for l3afd v1");
        }
        Ok(sockets)
    }

    /// All of them once more, for whoever takes over, in the order in which they are bound.
    pub(crate) fn handed_over(&self) -> Result<Vec<OwnedFd>, Unserved> {
        let tcp = self.remote.iter().chain(self.open.iter().map(|(_, listener)| listener));
        let all = std::iter::once(self.local.as_fd()).chain(tcp.map(TcpListener::as_fd));
        let copies = all.map(|socket| socket.try_clone_to_owned()).collect::<io::Result<_>>();
        copies.map_err(|source| Unserved { place: "the sockets for a successor".to_owned(), source })
    }

    /// Serves at each what belongs there.
    pub(crate) fn serve(self, served: Served, old: Option<&Old>, serving: &mut JoinSet<()>) {
        let with = |router| Served { router, ..served.clone() };
        if let Some(remote) = self.remote {
            let router = served.router.clone();
            let router = old.into_iter().fold(router, |router, old| router.merge(configs(old.clone())));
            serving.spawn(with(router).serve(Listener::Remote(remote)));
        }
        for (address, listener) in self.open {
            let Some(old) = old.cloned() else { continue };
            let router = if address == old.config.api { configs(old) } else { observability(old) };
            serving.spawn(with(router).serve(Listener::Open(listener)));
        }
        serving.spawn(served.serve(Listener::Local(self.local)));
    }
}

impl Old {
    /// What serves callers of l3afd v1.
    pub(crate) fn new(
        config: &L3afdConfig,
        (engine, fetcher): (&Shared, &Arc<Fetcher>),
        served: &Served,
        successor: Successor,
    ) -> Self {
        Self {
            engine: Arc::clone(engine),
            fetcher: Arc::clone(fetcher),
            access: Arc::clone(&served.access),
            config: Arc::new(config.clone()),
            monitor: Arc::new(Monitor::new(config.samples)),
            successor: Arc::new(successor),
            turn: Arc::default(),
        }
    }

    /// Counts what ran when the daemon began, and returns what goes on beside calls.
    pub(crate) fn begin(&self, document: &Document) -> Vec<JoinHandle<()>> {
        self.monitor.note(&Configured::default(), &Configured::of(document));
        let follows = Arc::clone(&self.monitor).follow(Arc::clone(&self.engine));
        vec![tokio::spawn(follows), tokio::spawn(store::take_over(self.clone()))]
    }
}

fn listen(address: SocketAddr, inherited: Option<Listening>) -> io::Result<TcpListener> {
    let listener = match inherited {
        Some(listener) => listener,
        None => Listening::bind(address)?,
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
