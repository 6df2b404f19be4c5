// SPDX-License-Identifier: Apache-2.0
//! Listens, and leads each request to what answers it.

mod description;
mod limits;
mod metrics;
mod tls;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use door::{Guest, Listen};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tower_http::timeout::RequestBodyTimeoutLayer;

use self::description::described;
use self::limits::{Paces, paced};
use self::metrics::{Metrics, counted};
use self::tls::Identity;
use crate::answer::{problem, refuse, whole};
use crate::config::{LimitsConfig, ProxyConfig};
use crate::{Hub, access, events, mail, mirrors, packages, rebuild, registry, search};

/// How often files are looked at that may have changed.
const LOOK: Duration = Duration::from_secs(5);
/// How long the end of a hub waits for what lies beside the blobs.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
}

/// Where connections come in.
struct Entrance(TcpListener);

/// What a connection is answered with.
#[derive(Clone)]
struct Served {
    router: Router,
    /// None where no TLS is spoken.
    identity: Option<Arc<Identity>>,
    limits: LimitsConfig,
}

/// Answers requests until `end` is ready.
///
/// # Errors
/// When the certificate cannot be used.
pub async fn serve(
    hub: Arc<Hub>,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let identity = hub.config.tls.as_ref().map(Identity::read).transpose();
    let identity = identity.map_err(|bad| io::Error::other(whole(&bad)))?.map(Arc::new);
    let (tell_end, ended) = watch::channel(false);
    drop(tokio::spawn(async move {
        end.await;
        tell_end.send_replace(true);
    }));
    let looks = follow(Arc::clone(&hub), identity.clone(), signal(SignalKind::hangup())?);
    let looks = tokio::spawn(looks);
    // Whatever it is at can be cut off: it is in the database, and is taken up by whoever looks next.
    let work = tokio::spawn(work(Arc::clone(&hub)));
    let limits = hub.config.limits.clone();
    let served = Served { router: router(Arc::clone(&hub)), identity, limits: limits.clone() };
    let meet = |(stream, address), guest| served.clone().meet(stream, address, guest);
    door::admit(Entrance(listener), limits.connections, ended, meet).await;
    looks.abort();
    work.abort();
    // Whoever ends a hub may go on with its storage alone.
    if tokio::time::timeout(LAST_WORDS, hub.record()).await.is_err() {
        tracing::warn!("what lies beside the blobs is not up to date: the next start goes on with it");
    }
    Ok(())
}

/// What is done beside answering.
async fn work(hub: Arc<Hub>) {
    tokio::join!(
        packages::work(Arc::clone(&hub)),
        renew(Arc::clone(&hub)),
        events::deliver(Arc::clone(&hub)),
        mirrors::work(Arc::clone(&hub)),
        mail::send(Arc::clone(&hub)),
        rebuild::keep(Arc::clone(&hub)),
        registry::sweep(hub)
    );
}

async fn renew(hub: Arc<Hub>) {
    if let Err(error) = search::renew(&hub.database).await {
        tracing::error!("the index of packages is not made anew, and searches may miss some: {error}");
    }
}

fn router(hub: Arc<Hub>) -> Router {
    let patience = Duration::from_secs(hub.config.limits.read_seconds.get().into());
    let (paces, proxy) = (Arc::new(Paces::new(&hub.config.limits)), Arc::new(hub.config.proxy.clone()));
    let measured = Arc::new(Metrics::with(Arc::clone(&hub.mirrors)));
    Router::new()
        .merge(described(
            access::api()
                .merge(packages::api())
                .merge(events::api())
                .merge(mail::api())
                .merge(mirrors::api()),
        ))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::metrics).with_state(Arc::clone(&measured)))
        .merge(access::routes())
        .merge(events::routes())
        .merge(mail::routes())
        .method_not_allowed_fallback(no_method)
        .merge(registry::routes())
        .fallback(nothing)
        .layer(from_fn(access::same_origin))
        .layer(RequestBodyTimeoutLayer::new(patience))
        .layer(from_fn_with_state(paces, paced))
        .layer(from_fn_with_state(proxy, say_who))
        .layer(from_fn_with_state(measured, counted))
        .with_state(hub)
}

impl Listen for Entrance {
    type Accepted = (TcpStream, SocketAddr);

    async fn accept(&self) -> io::Result<Self::Accepted> {
        self.0.accept().await
    }
}

impl Served {
    /// Makes a connection with TLS where that is spoken, and answers.
    async fn meet(self, stream: TcpStream, address: SocketAddr, guest: Guest) {
        let Self { router, identity, limits } = self;
        let read = Duration::from_secs(limits.read_seconds.get().into());
        let Some(identity) = identity else {
            // An answer is one piece: to wait for more would only be slow.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%address, "small answers may be slow: {error}");
            }
            return guest.answer(stream, address, router, read).await;
        };
        let patience = Duration::from_secs(limits.handshake_seconds.get().into());
        match door::shake(stream, identity.server(), patience).await {
            Ok(stream) => guest.answer(stream, address, router, read).await,
            Err(error) => tracing::debug!(%address, "no connection was made: {error}"),
        }
    }
}

/// Looks at files again and again, and at SIGHUP, whether they have other content.
async fn follow(hub: Arc<Hub>, identity: Option<Arc<Identity>>, mut hangup: Signal) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = hangup.recv() => {}
        }
        let (hub, identity) = (Arc::clone(&hub), identity.clone());
        let looked = tokio::task::spawn_blocking(move || {
            hub.access.look();
            if let Some(identity) = identity {
                identity.look();
            }
        });
        if let Err(panicked) = looked.await {
            tracing::error!("looking at the files of the hub failed inside: {panicked}");
        }
    }
}

/// Finds out where a request comes from.
async fn say_who(
    State(proxy): State<Arc<ProxyConfig>>,
    Extension(peer): Extension<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let forwarded = request.headers().get_all(proxy.header.name());
    let forwarded: Vec<&str> = forwarded.iter().filter_map(|value| value.to_str().ok()).collect();
    let address = proxy.origin(peer.ip(), &forwarded);
    request.extensions_mut().insert(Client { address });
    next.run(request).await
}

/// Whether the hub can answer: its database does.
async fn ready(State(hub): State<Arc<Hub>>) -> Response {
    match sqlx::query("SELECT 1").execute(hub.database.readers()).await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => crate::answer::failed(&error),
    }
}

async fn nothing() -> Response {
    let title = "there is no such resource".to_owned();
    let hint = "`/api/v1/openapi.json` lists them".to_owned();
    refuse(&problem(StatusCode::NOT_FOUND, "not-found", title, hint))
}

async fn no_method() -> Response {
    let title = "this resource has no such method".to_owned();
    let hint = "`Allow` lists those that it has".to_owned();
    refuse(&problem(StatusCode::METHOD_NOT_ALLOWED, "method", title, hint))
}
