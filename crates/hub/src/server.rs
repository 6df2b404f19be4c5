// SPDX-License-Identifier: Apache-2.0
//! Listens, and leads each request to what answers it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{Hub, access, events, packages, registry};

/// What the API is.
#[derive(OpenApi)]
#[openapi(info(title = "L3AF hub", description = "The eBPF package repository"))]
struct Description;

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
}

/// Answers requests until `end` is ready.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    hub: Arc<Hub>,
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (api, description) = OpenApiRouter::with_openapi(Description::openapi())
        .merge(access::api())
        .merge(packages::api())
        .split_for_parts();
    let described = get(async move || axum::Json(description.clone()));
    let routes = Router::new()
        .merge(api)
        .route("/api/v1/openapi.json", described)
        .route("/healthz", get(async || "ok\n"))
        .merge(registry::routes())
        .merge(access::routes())
        .merge(events::routes())
        .layer(from_fn(access::same_origin))
        .layer(from_fn(say_who))
        .with_state(Arc::clone(&hub));
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let (tell, ended) = watch::channel(false);
    let work = tokio::spawn(work(hub, ended));
    let end = async move {
        end.await;
        tell.send_replace(true);
    };
    let served = axum::serve(listener, service).with_graceful_shutdown(end).await;
    work.await.map_err(io::Error::other)?;
    served
}

/// What is done beside answering, until the hub ends.
async fn work(hub: Arc<Hub>, ended: watch::Receiver<bool>) {
    tokio::select! {
        () = events::deliver(Arc::clone(&hub), ended) => (),
        () = packages::work(hub) => (),
    }
}

/// Finds out where a request comes from.
async fn say_who(
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(Client { address: address.ip() });
    next.run(request).await
}
