// SPDX-License-Identifier: Apache-2.0
//! Accepting connections, and answering the calls that come by each.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

/// How long connections may go on when the end has come.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long to wait when nobody can be accepted, since there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// A place where connections come in.
pub trait Listen: Send {
    /// What comes in there.
    type Accepted: Send;

    /// Waits for the next connection.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Accepted>> + Send;
}

/// The place of a connection among those that there may be at a time. It is free again when this goes out of scope.
pub struct Guest {
    _room: OwnedSemaphorePermit,
    watcher: Watcher,
}

/// Accepts one connection after the other, and has each met beside the others, until `end` becomes true.
pub async fn admit<L: Listen, F: Future<Output = ()> + Send + 'static>(
    listener: L,
    connections: NonZeroUsize,
    mut end: watch::Receiver<bool>,
    meet: impl Fn(L::Accepted, Guest) -> F,
) {
    let room = Arc::new(Semaphore::new(connections.get()));
    let graceful = GracefulShutdown::new();
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|accepted| (permit, accepted))
        };
        let next = tokio::select! {
            _ = end.wait_for(|ended| *ended) => break,
            next = next => next,
        };
        match next {
            Ok((room, accepted)) => {
                let guest = Guest { _room: room, watcher: graceful.watcher() };
                drop(tokio::spawn(meet(accepted, guest)));
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(PAUSE).await;
            }
        }
    }
    if timeout(FAREWELL, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections are cut off that did not end");
    }
}

impl Guest {
    /// Answers the calls of one connection (HTTP/1.1), each with `peer` among its extensions. The head of a call may take as
    /// long as `patience`.
    pub async fn answer<P: Clone + Send + Sync + 'static>(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: P,
        router: Router,
        patience: Duration,
    ) {
        let calls = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            let request: Request = request.map(Body::new);
            router.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience)
            .serve_connection(TokioIo::new(stream), calls);
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!("a connection broke off: {error}");
        }
    }
}
